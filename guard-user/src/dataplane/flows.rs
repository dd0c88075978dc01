//! The flow table as user space sees it: counting what lives, and putting in sessions that began
//! before guard.

use guard_common::{
    abi::flow::{self, BUCKET_WORDS, BUCKETS, FlowState, KEYS, Tuple, WAYS, port_place},
    policy::{Bucket, find_place},
};

use super::mapping::Mapping;
use crate::host::LiveFlow;

/// The flow table and the ports that have sessions, shared with the kernel.
#[derive(Debug)]
pub struct FlowTable {
    flows: Mapping,
    ports: Mapping,
    keys: [u64; KEYS],
}

impl FlowTable {
    pub(super) fn new(flows: Mapping, ports: Mapping, seed: u64) -> Self {
        Self {
            flows,
            ports,
            keys: flow::keys(seed),
        }
    }

    /// Flows that live at this tick.
    #[must_use]
    pub fn living(&self, tick: u32) -> usize {
        (0..BUCKETS)
            .map(|index| self.bucket(index))
            .map(|bucket| {
                (0..WAYS)
                    .filter(|way| bucket.tag(*way) != 0)
                    .filter(|way| !FlowState::from_word(bucket.state(*way)).is_expired(tick))
                    .count()
            })
            .sum()
    }

    /// Does the table know this tuple as a living flow?
    #[must_use]
    pub fn knows(&self, tuple: &Tuple, tick: u32) -> bool {
        let tag = tuple.tag(|index| self.keys[index]);
        let bucket = self.bucket(tag.bucket());
        (0..WAYS).any(|way| {
            bucket.tag(way) == tag.bits()
                && !FlowState::from_word(bucket.state(way)).is_expired(tick)
        })
    }

    /// Puts in a session that nothing evicts. `false` when its bucket is full of such sessions.
    #[must_use]
    pub fn adopt(&self, live: &LiveFlow, tick: u32) -> bool {
        let tag = live.tuple.tag(|index| self.keys[index]);
        let bucket = self.bucket(tag.bucket());
        let Some(way) = find_place(&bucket, tag, tick) else {
            return false;
        };
        let state = FlowState::new(live.phase, tick, live.tuple.local_port).kept();
        bucket.set_state(way, state.to_word());
        bucket.set_tag(way, tag.bits());
        self.mark(live.tuple.local_port, flow::flow_mark(live.tuple.protocol));
        true
    }

    /// Remembers that a TCP port of this host has sessions.
    pub fn mark_sessions(&self, port: u16) {
        self.mark(port, flow::HAS_SESSIONS);
    }

    fn mark(&self, port: u16, mark: u8) {
        let (row, place) = port_place(port);
        let at = row as usize * (flow::PORTS_PER_ROW / 8) + place / 8;
        let mut bytes = self.ports.load(at).to_ne_bytes();
        if bytes[place % 8] & mark == 0 {
            bytes[place % 8] |= mark;
            // A mark that the kernel sets beside it at this moment may be lost; the next packet of
            // that port sets it again.
            self.ports.store(at, u64::from_ne_bytes(bytes));
        }
    }

    fn bucket(&self, index: u32) -> SharedBucket<'_> {
        SharedBucket {
            flows: &self.flows,
            at: index as usize * BUCKET_WORDS,
        }
    }
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
