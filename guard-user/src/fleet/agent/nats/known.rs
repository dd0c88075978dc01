//! What others have said and is not over, and what of it the daemon has still to be handed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};

use ipnetwork::IpNetwork;

use super::{record::Record, subject::About};
use crate::{
    control::fleet::{FleetRecord, FleetTaken, LIFT, MOST_RECORDS, MOST_ROOM},
    fleet::Member,
};

/// Records that are known at a time, of all members: 100 MB at most, with the longest reasons. The daemon takes 10 000 of
/// one member.
const MOST: usize = 250_000;
/// Of one member: somewhat more than the daemon takes, so that it is quarantined for it, and others have room.
const MOST_OF_ONE: usize = 12_000;
/// Between two looks for what is over, when there is no room.
const SWEEP_MS: u64 = 1_000;

/// Who says something about which network; `None`: operators lift it.
pub(super) type Key = (Option<Rc<Member>>, IpNetwork);

#[derive(Debug)]
struct Entry {
    id: u64,
    /// By the boot clock; `None`: lifted.
    end_ms: Option<u64>,
    reason: Box<str>,
    /// Place in the stream; 0 for what was heard before it was stored.
    sequence: u64,
    /// Is it to be handed over?
    is_queued: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: HashMap<Key, Entry>,
    /// Those that are to be handed over, and some that were swept since.
    queue: VecDeque<Key>,
    /// Each name once, however many bans are of it.
    members: HashSet<Rc<Member>>,
    /// Members of which nothing is handed over until then.
    paused: HashMap<Rc<Member>, u64>,
    /// Entries of each member.
    counts: HashMap<Rc<Member>, usize>,
    swept_ms: Option<u64>,
    /// Records that found no room.
    pub(super) overfull: u64,
}

impl Known {
    /// Takes in a message; `late_ms`: so long ago it was sent.
    pub(super) fn hear(
        &mut self,
        about: About,
        record: Record,
        sequence: u64,
        now_ms: u64,
        late_ms: u64,
    ) {
        let end_ms = (record.left > 0)
            .then(|| (now_ms + u64::from(record.left) * 1000).saturating_sub(late_ms));
        let key = match about {
            About::Ban(member, network) => (Some(self.named(member)), network),
            About::Lift(network) => {
                // What was said before it does not count any more.
                self.entries.retain(|(member, other), entry| {
                    member.is_none() || *other != network || entry.sequence > sequence
                });
                self.recount();
                (None, network)
            }
        };
        if let Some(known) = self.entries.get_mut(&key) {
            if sequence != 0 && sequence < known.sequence {
                return;
            }
            let says_the_same = known.id == record.id && known.end_ms.is_some() == end_ms.is_some();
            let is_later = end_ms > known.end_ms.map(|end| end + 2_000);
            known.sequence = known.sequence.max(sequence);
            if says_the_same && !is_later {
                return;
            }
        } else {
            let is_lifted_before = key.0.is_some()
                && self
                    .entries
                    .get(&(None, key.1))
                    .is_some_and(|lift| sequence != 0 && lift.sequence > sequence);
            if is_lifted_before {
                return;
            }
            if !self.has_room(key.0.as_ref(), now_ms) {
                self.overfull += 1;
                return;
            }
            if let Some(member) = &key.0 {
                *self.counts.entry(Rc::clone(member)).or_default() += 1;
            }
        }
        let is_queued = self.entries.get(&key).is_some_and(|known| known.is_queued);
        let entry = Entry {
            id: record.id,
            end_ms,
            reason: record.reason.into_boxed_str(),
            sequence,
            is_queued,
        };
        self.entries.insert(key.clone(), entry);
        self.enqueue(key);
    }

    /// The daemon knows nothing: all of it is to be handed over again, in the order in which it was stored.
    pub(super) fn again(&mut self, now_ms: u64) {
        self.sweep(now_ms);
        let mut all: Vec<(u64, Key)> = self
            .entries
            .iter()
            .map(|(key, entry)| (entry.sequence, key.clone()))
            .collect();
        all.sort_by_key(|(sequence, _)| *sequence);
        self.queue.clear();
        for entry in self.entries.values_mut() {
            entry.is_queued = false;
        }
        self.paused.clear();
        for (_, key) in all {
            self.enqueue(key);
        }
    }

    /// Is there room for one more of this member? Who floods must not make everything be looked at for each message.
    fn has_room(&mut self, member: Option<&Rc<Member>>, now_ms: u64) -> bool {
        let has_room = |known: &Self| {
            let count = member.and_then(|member| known.counts.get(member));
            known.entries.len() < MOST && count.is_none_or(|count| *count < MOST_OF_ONE)
        };
        let is_due = self.swept_ms.is_none_or(|at| now_ms >= at + SWEEP_MS);
        if !has_room(self) && is_due {
            self.swept_ms = Some(now_ms);
            self.sweep(now_ms);
            // What was lifted, and handed over, is only kept for whoever starts anew.
            self.entries
                .retain(|_, entry| entry.end_ms.is_some() || entry.is_queued);
            self.recount();
        }
        has_room(self)
    }

    fn recount(&mut self) {
        self.counts.clear();
        for member in self
            .entries
            .keys()
            .filter_map(|(member, _)| member.as_ref())
        {
            match self.counts.get_mut(member) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(Rc::clone(member), 1)),
            }
        }
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.is_queued
        {
            entry.is_queued = true;
            self.queue.push_back(key);
        }
    }

    fn named(&mut self, member: Member) -> Rc<Member> {
        if let Some(known) = self.members.get(&member) {
            return Rc::clone(known);
        }
        let member = Rc::new(member);
        self.members.insert(Rc::clone(&member));
        member
    }

    /// The next records, of members that are not paused.
    pub(super) fn batch(&mut self, now_ms: u64) -> Vec<(Key, FleetRecord)> {
        let mut batch = Vec::new();
        let mut room = MOST_ROOM;
        self.paused.retain(|_, until| *until > now_ms);
        for _ in 0..self.queue.len() {
            if batch.len() == MOST_RECORDS {
                break;
            }
            let Some(key) = self.queue.pop_front() else {
                break;
            };
            let is_paused = key
                .0
                .as_ref()
                .is_some_and(|member| self.paused.contains_key(member));
            if is_paused {
                self.queue.push_back(key);
                continue;
            }
            // One that was swept, and heard again, stands there twice.
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.is_queued) else {
                continue;
            };
            entry.is_queued = false;
            let left = match entry.end_ms {
                None => 0,
                // It is over: nothing to hand over, and not to be taken for lifted.
                Some(end) if end <= now_ms => continue,
                Some(end) => u32::try_from((end - now_ms).div_ceil(1000)).unwrap_or(u32::MAX),
            };
            let record = FleetRecord {
                by: key
                    .0
                    .as_ref()
                    .map_or(LIFT.to_owned(), |member| member.to_string()),
                prefix: key.1.to_string(),
                id: entry.id,
                left,
                reason: entry.reason.to_string(),
            };
            let Some(rest) = room.checked_sub(record.bytes()) else {
                entry.is_queued = true;
                self.queue.push_front(key);
                break;
            };
            room = rest;
            batch.push((key, record));
        }
        batch
    }

    /// What became of a batch; nothing was taken when there is no answer.
    pub(super) fn settle(&mut self, batch: Vec<Key>, taken: Option<&FleetTaken>, now_ms: u64) {
        let Some(taken) = taken else {
            batch.into_iter().for_each(|key| self.enqueue(key));
            return;
        };
        for later in &taken.later {
            if let Some(key) = batch.get(later.index as usize) {
                if let Some(member) = &key.0 {
                    let until = now_ms + u64::from(later.seconds) * 1000;
                    self.paused.insert(member.clone(), until);
                }
                self.enqueue(key.clone());
            }
        }
    }

    /// Is anything to be handed over?
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn sweep(&mut self, now_ms: u64) {
        self.entries
            .retain(|_, entry| entry.end_ms.is_none_or(|end| end > now_ms));
        let entries = &self.entries;
        self.queue.retain(|key| entries.contains_key(key));
        self.recount();
        // Names that only this set knows.
        self.members.retain(|member| Rc::strong_count(member) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fleet::Later;

    fn network(text: &str) -> IpNetwork {
        text.parse().expect("a network")
    }

    fn member(name: &str) -> Member {
        name.parse().expect("a member")
    }

    fn ban(by: &str, text: &str) -> About {
        About::Ban(member(by), network(text))
    }

    fn record(id: u64, left: u32) -> Record {
        let text = format!("{{\"v\":1,\"id\":{id},\"left\":{left}}}");
        Record::read(text.as_bytes()).expect("a record")
    }

    fn handed(known: &mut Known, now_ms: u64) -> Vec<(String, String, u32)> {
        let batch = known.batch(now_ms);
        let shown = batch
            .iter()
            .map(|(_, record)| (record.by.clone(), record.prefix.clone(), record.left));
        let shown = shown.collect();
        let keys = batch.into_iter().map(|(key, _)| key).collect();
        known.settle(keys, Some(&FleetTaken::default()), now_ms);
        shown
    }

    fn of(by: &str, text: &str, left: u32) -> (String, String, u32) {
        (by.to_owned(), text.to_owned(), left)
    }

    #[test]
    fn what_was_sent_late_has_less_left_and_what_is_over_is_not_handed_over() {
        let mut known = Known::default();
        known.hear(ban("web/a", "11.0.0.1/32"), record(1, 60), 1, 5_000, 20_000);
        known.hear(ban("web/a", "11.0.0.2/32"), record(1, 60), 2, 5_000, 90_000);
        assert_eq!(handed(&mut known, 5_000), [of("web/a", "11.0.0.1/32", 40)]);
        assert!(handed(&mut known, 5_000).is_empty());
        known.again(6_000);
        assert_eq!(handed(&mut known, 6_000), [of("web/a", "11.0.0.1/32", 39)]);
    }

    #[test]
    fn the_same_said_twice_is_handed_over_once_and_a_change_again() {
        let mut known = Known::default();
        let say = |known: &mut Known, id, left, sequence| {
            known.hear(
                ban("web/a", "11.0.0.1/32"),
                record(id, left),
                sequence,
                0,
                0,
            );
            handed(known, 0).len()
        };
        assert_eq!(say(&mut known, 1, 60, 0), 1, "heard before it was stored");
        assert_eq!(say(&mut known, 1, 60, 4), 0);
        assert_eq!(say(&mut known, 2, 60, 5), 1);
        assert_eq!(say(&mut known, 1, 600, 3), 0, "older");
        assert_eq!(say(&mut known, 2, 0, 6), 1, "lifted");
        assert_eq!(say(&mut known, 2, 60, 7), 1, "banned again");
    }

    #[test]
    fn a_lift_ends_what_was_said_before_it_in_whatever_order_it_is_read() {
        let mut known = Known::default();
        known.hear(ban("web/a", "11.0.0.1/32"), record(1, 60), 1, 0, 0);
        known.hear(About::Lift(network("11.0.0.1/32")), record(9, 0), 5, 0, 0);
        known.hear(ban("web/b", "11.0.0.1/32"), record(1, 60), 3, 0, 0);
        known.hear(ban("web/c", "11.0.0.1/32"), record(1, 60), 7, 0, 0);
        let all = handed(&mut known, 0);
        assert_eq!(
            all,
            [of("lift", "11.0.0.1/32", 0), of("web/c", "11.0.0.1/32", 60)]
        );
    }

    #[test]
    fn a_member_that_floods_leaves_room_for_others() {
        let mut known = Known::default();
        let flood = |known: &mut Known, from: usize, now_ms: u64| {
            for n in from..from + MOST_OF_ONE + 5 {
                let address = std::net::Ipv4Addr::from(0x0b00_0000 + n as u32);
                let about = ban("web/a", &format!("{address}/32"));
                known.hear(about, record(1, 60), 1 + n as u64, now_ms, 0);
            }
        };
        flood(&mut known, 0, 0);
        assert_eq!(known.overfull, 5);
        known.hear(ban("web/b", "12.0.0.1/32"), record(1, 60), 90_000, 0, 0);
        assert_eq!(known.waiting(), MOST_OF_ONE + 1);
        // A minute later all of that is over.
        flood(&mut known, 20_000, 61_000);
        assert_eq!(known.overfull, 10);
    }

    #[test]
    fn a_batch_fits_a_request_and_what_a_lost_connection_had_is_handed_over_again() {
        let mut known = Known::default();
        for n in 0..1_000 {
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + n);
            let text = format!(
                "{{\"v\":1,\"id\":1,\"left\":60,\"reason\":\"{}\"}}",
                "\\\\".repeat(64)
            );
            let record = Record::read(text.as_bytes()).expect("a record");
            known.hear(ban("web/a", &format!("{address}/32")), record, 1, 0, 0);
        }
        // Handed over over a connection that ended before there was an answer.
        let lost = known.batch(0);
        assert!((150..MOST_RECORDS).contains(&lost.len()), "{}", lost.len());
        let bytes: usize = lost.iter().map(|(_, record)| record.bytes()).sum();
        assert!(bytes <= MOST_ROOM);
        known.again(0);
        let mut seen = HashSet::new();
        loop {
            let batch = known.batch(0);
            if batch.is_empty() {
                break;
            }
            seen.extend(batch.iter().map(|(_, record)| record.prefix.clone()));
        }
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn who_comes_too_fast_waits_and_others_do_not() {
        let mut known = Known::default();
        known.hear(ban("web/a", "11.0.0.1/32"), record(1, 60), 1, 0, 0);
        known.hear(ban("web/b", "11.0.0.1/32"), record(1, 60), 2, 0, 0);
        let batch: Vec<Key> = known.batch(0).into_iter().map(|(key, _)| key).collect();
        let taken = FleetTaken {
            later: vec![Later {
                index: 0,
                seconds: 2,
            }],
            ..FleetTaken::default()
        };
        known.settle(batch, Some(&taken), 0);
        assert!(known.batch(1_000).is_empty());
        known.hear(ban("web/b", "11.0.0.2/32"), record(1, 60), 3, 0, 0);
        assert_eq!(handed(&mut known, 1_000), [of("web/b", "11.0.0.2/32", 59)]);
        let batch: Vec<Key> = known.batch(2_000).into_iter().map(|(key, _)| key).collect();
        assert_eq!(batch.len(), 1);
        // The daemon did not answer.
        known.settle(batch, None, 2_000);
        assert_eq!(handed(&mut known, 2_000), [of("web/a", "11.0.0.1/32", 58)]);
        assert_eq!(known.waiting(), 0);
    }
}
