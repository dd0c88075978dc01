//! What the kernel has counted since the last time.

use std::collections::BTreeMap;

use guard_common::{
    abi::{
        counters::{Counter, SHARD_ROWS},
        hit::Hit,
        reason::Reason,
    },
    testing::shared::pairs_in_use,
};
use guard_user::dataplane::tables::mapping::Mapping;

use super::{Harness, reasons};

impl Harness {
    /// Packets by reason since the last time; sets every counter to zero.
    pub fn drain_reasons(&mut self) -> Vec<(Reason, Counter)> {
        reasons(&self.drain()).collect()
    }

    /// Row and counter of everything that moved since the last time, summed over the shards; sets
    /// it to zero, and what was counted for rules.
    pub fn drain(&mut self) -> Vec<(u32, Counter)> {
        drop(self.drain_hits());
        drain(&self.counters, |place| place % SHARD_ROWS)
            .into_iter()
            .collect()
    }

    /// The same of the packets counted for rules, by the rule's ordinal + 1.
    pub fn drain_hits(&mut self) -> BTreeMap<u32, Counter> {
        drain(&self.hits, |place| Hit::from_bits(place as u16).number())
    }
}

/// The counters that are not zero, summed by what their place stands for; sets them to zero.
fn drain(counters: &Mapping, row: impl Fn(u32) -> u32) -> BTreeMap<u32, Counter> {
    let mut moved = BTreeMap::<u32, Counter>::new();
    for at in pairs_in_use(counters.words()) {
        let (packets, bytes) = (counters.load(at), counters.load(at + 1));
        counters.store(at, 0);
        counters.store(at + 1, 0);
        let counter = moved.entry(row((at / 2) as u32)).or_default();
        counter.packets += packets;
        counter.bytes += bytes;
    }
    moved
}
