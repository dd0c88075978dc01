//! Reading the packets that rules let in or dropped: the sum over all shards.

use guard_common::abi::{counters::Counter, hit::Hit};

use super::mapping::Mapping;

/// The array of hits, shared with the kernel.
#[derive(Debug)]
pub struct RuleHits {
    mapping: Mapping,
    shards: usize,
}

impl RuleHits {
    pub(in crate::dataplane) fn new(mapping: Mapping) -> Self {
        let shards = mapping.len() / 2 / Hit::CELLS as usize;
        Self { mapping, shards }
    }

    /// Packets that were counted for the rule with this number (its ordinal + 1), while the policy in this slot was in
    /// force.
    #[must_use]
    pub fn of(&self, slot: u32, number: u32) -> Counter {
        self.places(slot, number)
            .fold(Counter::default(), |sum, at| Counter {
                packets: sum.packets + self.mapping.load(at),
                bytes: sum.bytes + self.mapping.load(at + 1),
            })
    }

    /// Begins anew for a slot whose policy no packet meets.
    pub(in crate::dataplane) fn clear(&self, slot: u32) {
        for at in (1..=Hit::MOST_RULES).flat_map(|number| self.places(slot, number)) {
            if self.mapping.load(at) != 0 {
                self.mapping.store(at, 0);
                self.mapping.store(at + 1, 0);
            }
        }
    }

    fn places(&self, slot: u32, number: u32) -> impl Iterator<Item = usize> + use<> {
        let cell = usize::from(Hit::new(slot, number).bits());
        (0..self.shards).map(move |shard| (shard * Hit::CELLS as usize + cell) * 2)
    }
}
