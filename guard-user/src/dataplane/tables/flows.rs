//! The flow table as user space sees it: counting what lives, and putting in sessions that began
//! before guard.

use std::{collections::HashSet, ops::Range};

use guard_common::{
    abi::flow::{self, BUCKET_WORDS, FlowState, KEYS, OWN_WAYS, Tag, Tuple, WAYS, port_place},
    abi::peers::{Mark, Peer},
    policy::{Bucket, find_place},
};

use super::mapping::Mapping;
use crate::host::LiveFlow;

/// The flow table and the ports that have sessions, shared with the kernel.
#[derive(Debug)]
pub struct FlowTable {
    flows: Mapping,
    buckets: u32,
    ports: Mapping,
    keys: [u64; KEYS],
}

/// Word of the table of ports, and the port's place in its row.
fn mark_place(port: u16) -> (usize, usize) {
    let (row, place) = port_place(port);
    let at = row as usize * (flow::PORTS_PER_ROW / 8) + place / 8;
    (at, place)
}

/// How many of a hundred places are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentFull {
    /// Of those for what this host began.
    pub own: usize,
    /// Of those for sessions that others began.
    pub others: usize,
}

impl FlowTable {
    pub(in crate::dataplane) fn new(flows: Mapping, ports: Mapping, seed: u64) -> Self {
        Self {
            buckets: (flows.len() / BUCKET_WORDS) as u32,
            flows,
            ports,
            keys: flow::keys(seed),
        }
    }

    /// Buckets that it has, a power of two.
    #[must_use]
    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// Takes up what lives in a table of another size and is not here yet. In a smaller one some find no room: then
    /// the kernel's socket table is asked about segments to their ports.
    pub(in crate::dataplane) fn take_up(&self, other: &Self, tick: u32) {
        let lost = |state: FlowState| {
            self.mark(state.local_port(), flow::HAS_SESSIONS | flow::LOST_SESSIONS);
        };
        for old in (0..other.buckets).map(|index| other.bucket_at(index)) {
            for way in 0..WAYS {
                let state = FlowState::from_word(old.state(way));
                let tag = Tag::from_bits(old.tag(way));
                if tag.bits() == 0 || state.is_expired(tick) {
                    continue;
                }
                let bucket = self.bucket(tag);
                if (0..WAYS).any(|way| bucket.tag(way) == tag.bits()) {
                    continue;
                }
                match find_place(&bucket, tag, tick, way >= OWN_WAYS) {
                    Some(place) => {
                        if is_living(&bucket, place, tick) {
                            lost(FlowState::from_word(bucket.state(place)));
                        }
                        bucket.set_state(place, state.to_word());
                        bucket.set_tag(place, tag.bits());
                    }
                    None => lost(state),
                }
            }
        }
    }

    /// Flows that live at this tick.
    #[must_use]
    pub fn living(&self, tick: u32) -> usize {
        (0..self.buckets)
            .map(|index| self.bucket_at(index))
            .map(|bucket| living(&bucket, tick))
            .sum()
    }

    /// Does the table know this tuple as a living flow?
    #[must_use]
    pub fn knows(&self, tuple: &Tuple, tick: u32) -> bool {
        let tag = tuple.tag(|index| self.keys[index]);
        let bucket = self.bucket(tag);
        (0..WAYS).any(|way| {
            bucket.tag(way) == tag.bits()
                && !FlowState::from_word(bucket.state(way)).is_expired(tick)
        })
    }

    /// Puts in a session that nothing evicts. `false` when its bucket is full of such sessions.
    #[must_use]
    pub fn adopt(&self, live: &LiveFlow, tick: u32) -> bool {
        let state = FlowState::new(live.phase, tick, live.tuple.local_port);
        self.put(&live.tuple, state.kept(), tick, false)
    }

    /// Puts in a session that somebody else began with a port that a rule opens: it gives way as such sessions do,
    /// for whoever may open them could fill the table otherwise. `false` when it finds no room.
    #[must_use]
    pub fn adopt_inbound(&self, live: &LiveFlow, tick: u32) -> bool {
        let port = live.tuple.local_port;
        let has_room = self.put(
            &live.tuple,
            FlowState::new(live.phase, tick, port),
            tick,
            true,
        );
        if !has_room {
            self.mark(port, flow::LOST_SESSIONS);
        }
        has_room
    }

    fn put(&self, tuple: &Tuple, state: FlowState, tick: u32, is_inbound: bool) -> bool {
        let tag = tuple.tag(|index| self.keys[index]);
        let bucket = self.bucket(tag);
        let Some(way) = find_place(&bucket, tag, tick, is_inbound) else {
            return false;
        };
        bucket.set_state(way, state.to_word());
        bucket.set_tag(way, tag.bits());
        self.mark(tuple.local_port, flow::flow_mark(tuple.protocol));
        true
    }

    /// Lets go of every kept session that is none of these: each lives on as any other flow, and gives way
    /// as they do. How many there were.
    pub fn let_go_but<'l>(&self, listed: impl Iterator<Item = &'l Tuple>) -> usize {
        let listed: HashSet<u64> = listed
            .map(|tuple| tuple.tag(|index| self.keys[index]).bits())
            .collect();
        let mut gone = 0;
        for index in 0..self.buckets {
            let bucket = self.bucket_at(index);
            for way in 0..WAYS {
                let state = FlowState::from_word(bucket.state(way));
                if state.is_kept() && !listed.contains(&bucket.tag(way)) {
                    // A packet that passes at this moment renews it again at the next.
                    bucket.set_state(way, state.let_go().to_word());
                    gone += 1;
                }
            }
        }
        gone
    }

    /// How many of a hundred places are taken at this tick, of every sixteenth bucket.
    #[must_use]
    pub fn percent_full(&self, tick: u32) -> PercentFull {
        const EVERY: usize = 16;
        let mut taken = PercentFull::default();
        let mut places = 0;
        for bucket in (0..self.buckets).step_by(EVERY) {
            let bucket = self.bucket_at(bucket);
            let are_taken = |ways: Range<usize>| {
                ways.filter(|way| is_living(&bucket, *way, tick)).count() * 100
            };
            taken.own += are_taken(0..OWN_WAYS);
            taken.others += are_taken(OWN_WAYS..WAYS);
            places += OWN_WAYS;
        }
        PercentFull {
            own: taken.own / places.max(1),
            others: taken.others / places.max(1),
        }
    }

    /// Remembers that a TCP port of this host has sessions.
    pub fn mark_sessions(&self, port: u16) {
        self.mark(port, flow::HAS_SESSIONS);
    }

    /// Does a TCP port have this mark?
    #[must_use]
    pub fn has_mark(&self, port: u16, mark: u8) -> bool {
        let (at, place) = mark_place(port);
        self.ports.load(at).to_ne_bytes()[place % 8] & mark != 0
    }

    /// Where the mark of a peer stands in the map of ceilings.
    #[must_use]
    pub fn peer(&self, peer: Peer) -> Mark {
        peer.mark(|index| self.keys[index])
    }

    fn mark(&self, port: u16, mark: u8) {
        let (at, place) = mark_place(port);
        let mut bits = [0; 8];
        bits[place % 8] = mark;
        // The neighbours belong to other ports, which the kernel may mark at this moment.
        self.ports.set_bits(at, u64::from_ne_bytes(bits));
    }

    /// The bucket of a tag.
    fn bucket(&self, tag: Tag) -> SharedBucket<'_> {
        self.bucket_at(tag.bucket(self.buckets - 1))
    }

    fn bucket_at(&self, index: u32) -> SharedBucket<'_> {
        SharedBucket {
            flows: &self.flows,
            at: index as usize * BUCKET_WORDS,
        }
    }
}

/// Flows of a bucket that live at this tick.
fn living(bucket: &SharedBucket<'_>, tick: u32) -> usize {
    (0..WAYS)
        .filter(|way| is_living(bucket, *way, tick))
        .count()
}

fn is_living(bucket: &SharedBucket<'_>, way: usize, tick: u32) -> bool {
    bucket.tag(way) != 0 && !FlowState::from_word(bucket.state(way)).is_expired(tick)
}

/// A bucket in shared memory.
struct SharedBucket<'a> {
    flows: &'a Mapping,
    at: usize,
}

impl Bucket for SharedBucket<'_> {
    fn tag(&self, way: usize) -> u64 {
        self.flows.load(self.at + way % WAYS)
    }

    fn state(&self, way: usize) -> u64 {
        self.flows.load(self.at + WAYS + way % WAYS)
    }

    fn set_tag(&self, way: usize, tag: u64) {
        self.flows.store(self.at + way % WAYS, tag);
    }

    fn set_state(&self, way: usize, state: u64) {
        self.flows.store(self.at + WAYS + way % WAYS, state);
    }
}

#[cfg(test)]
mod tests;
