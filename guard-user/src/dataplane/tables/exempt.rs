//! Exempt sources: those that have a session with a service which limits new connections: whoever forges their
//! address uses their limit up, and must not keep them from coming back.
//!
//! This is decided by looking at sessions, not by packets: a packet that ends a handshake would free an
//! attacker of the limit at the price of one connection. A session counts at once when a policy
//! comes into force (its operator's is among them), later only when it has [`LASTS`].

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use guard_common::{
    abi::{
        addr::Addr,
        clock::EIGHTH_SHIFT,
        flow::{self, KEYS, Tuple},
        image::{HEADER_LIMITS, HEADER_METERS},
        meter::{self, Key, Meter, MeterEntry, MeterPart, MeterSlot, Scale, WAYS},
        rule::RuleRef,
    },
    policy::{MeterBucket, exempt_key, find_entry, put},
};

use super::{mapping::Mapping, slots::PolicySlots};
use crate::{dataplane::clock, explain::Left, ruleset::compile::Image};

/// How long a session must have lasted. An SSH server ends one that does not log in after 120 s.
const LASTS: Duration = Duration::from_secs(150);
/// Seconds that a source is exempt after its session was last seen: as long as nobody looks, because the
/// daemon is dead, operators must be able to come back.
const EXEMPT_SECONDS: u64 = 9000;

/// The table of meters, shared with the kernel.
#[derive(Debug)]
pub struct MeterTable {
    words: Mapping,
    keys: [u64; KEYS],
}

impl MeterTable {
    pub(in crate::dataplane) fn new(words: Mapping, seed: u64) -> Self {
        Self {
            words,
            keys: flow::keys(seed),
        }
    }

    /// Nobody who forges this source shuts it out of a port of this host from now on. `now` is in
    /// eighths of a tick.
    pub fn exempt(&self, scale: Scale, remote: Addr, port: u16, now: u32) {
        let place = self.place(exempt_key(scale.source(remote), port));
        let ahead = scale.second() * EXEMPT_SECONDS;
        put(&self.bucket(place), place, time(now), ahead);
    }

    /// Is it so?
    #[must_use]
    pub fn is_exempt(&self, scale: Scale, remote: Addr, port: u16, now: u32) -> bool {
        let place = self.place(exempt_key(scale.source(remote), port));
        let bucket = self.bucket(place);
        let found = find_entry(&bucket, place.tag, time(now));
        let entry = MeterEntry::from_word(bucket.load(found.way()));
        found.is_own() && entry.ahead(time(now)) > 0
    }

    /// What the limit of a rule of the policy in force leaves to a source. `now` is in eighths of a tick.
    #[must_use]
    pub fn left(&self, slots: &PolicySlots, rule: RuleRef, source: Addr, now: u32) -> Left {
        let state = slots.in_force();
        let word = |index| slots.word(state, index);
        let scale = Scale::from_word(word(HEADER_LIMITS));
        let at = word(HEADER_METERS) as u32 + rule.index() * Meter::WORDS;
        let meter = Meter::from_words(word(at), word(at + 1));
        let debt = self.debt(scale, source, meter, now);
        Left {
            now: meter.left(debt),
            at_most: meter.left(0),
            blocked: meter.blocked(debt).div_ceil(scale.second().max(1)),
        }
    }

    /// How much a source owes a meter, in units. `now` is in eighths of a tick.
    ///
    /// It is what it owes when that eighth ends: the clock of user space is so coarse that it may stand before
    /// the very packet that was charged, and the debt would be said too high by a whole connection.
    fn debt(&self, scale: Scale, remote: Addr, meter: Meter, now: u32) -> u64 {
        let place = self.place(Key {
            part: MeterPart::Debts,
            source: scale.source(remote),
            about: meter.number,
        });
        let bucket = self.bucket(place);
        let found = find_entry(&bucket, place.tag, time(now));
        if !found.is_own() {
            return 0;
        }
        MeterEntry::from_word(bucket.load(found.way())).ahead(time(now.wrapping_add(1)))
    }

    fn place(&self, key: Key) -> MeterSlot {
        key.place(|index| self.keys[index])
    }

    fn bucket(&self, place: MeterSlot) -> SharedEntries<'_> {
        SharedEntries {
            words: &self.words,
            at: place.bucket as usize * WAYS,
        }
    }
}

/// Eighths of a tick as a time of the table.
fn time(eighths: u32) -> u64 {
    meter::time(u64::from(eighths) << (clock::tick_shift() - EIGHTH_SHIFT))
}

/// What all meters of an image share.
pub(in crate::dataplane) fn scale(image: &Image) -> Scale {
    let word = image.words.get(HEADER_LIMITS as usize);
    Scale::from_word(word.copied().unwrap_or(0))
}

/// A bucket in shared memory.
struct SharedEntries<'a> {
    words: &'a Mapping,
    at: usize,
}

impl MeterBucket for SharedEntries<'_> {
    fn load(&self, way: usize) -> u64 {
        self.words.load(self.at + way % WAYS)
    }

    fn store(&self, way: usize, word: u64) {
        self.words.store(self.at + way % WAYS, word);
    }

    fn add(&self, way: usize, amount: u64) {
        // User space charges nobody.
        self.store(way, self.load(way).wrapping_add(amount));
    }
}

/// Sessions that were seen before, and since when.
#[derive(Debug, Default)]
pub struct SessionWatch {
    since: BTreeMap<Tuple, Instant>,
}

impl SessionWatch {
    /// Of the sessions that go on at `now` those that have lasted.
    pub(in crate::dataplane) fn lasting(
        &mut self,
        sessions: BTreeSet<Tuple>,
        now: Instant,
    ) -> BTreeSet<Tuple> {
        self.since.retain(|session, _| sessions.contains(session));
        sessions
            .into_iter()
            .filter(|session| {
                let since = *self.since.entry(*session).or_insert(now);
                now.duration_since(since) >= LASTS
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(remote_port: u16) -> Tuple {
        Tuple {
            remote: Addr::from_v4(0xc633_6407),
            local: Addr::from_v4(0xc000_0201),
            remote_port,
            local_port: 22,
            protocol: 6,
        }
    }

    #[test]
    fn a_session_counts_when_it_has_lasted_and_not_when_it_comes_again() {
        let mut watched = SessionWatch::default();
        let start = Instant::now();
        let mut look = |after: u64, ports: &[u16]| {
            let sessions = ports.iter().copied().map(session).collect();
            let lasting = watched.lasting(sessions, start + Duration::from_secs(after));
            let ports = lasting.into_iter().map(|tuple| tuple.remote_port);
            ports.collect::<Vec<_>>()
        };
        assert_eq!(look(0, &[1, 2]), Vec::<u16>::new());
        assert_eq!(look(60, &[1, 2, 3]), Vec::<u16>::new());
        // An SSH server has ended 2, which never logged in; another one has its port.
        assert_eq!(look(120, &[1, 3]), Vec::<u16>::new());
        assert_eq!(look(180, &[1, 2, 3]), [1]);
        assert_eq!(look(240, &[1, 2, 3]), [1, 3]);
        assert_eq!(look(330, &[2]), [2]);
    }
}
