//! What is decided about an instance of the object before it is loaded.

use guard_common::abi::ban::Sizes;

/// What the loader decides about an instance of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Words in one policy slot.
    pub slot_words: u32,
    /// Sizes of the arrays of bans.
    pub bans: Sizes,
    /// Buckets of the flow table, a power of two.
    pub flow_buckets: u32,
    /// Counter shards, a power of two.
    pub shards: u32,
    /// Every possible CPU has a shard of its own.
    pub own_shard: bool,
    /// Random number of this boot, against aimed hash collisions.
    pub seed: u64,
    /// What the programs do with packets.
    pub purpose: Purpose,
    /// The time is what [`PolicySlots::set_jiffies`] says, for tests.
    pub fixed_clock: bool,
}

/// What an instance of the object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To filter.
    Filter,
    /// To answer test runs with reason and rule, as if the packet had arrived on the interface with
    /// this index, and to write to no map.
    Explain(u32),
}

/// CPUs that this host may ever have.
pub(in crate::dataplane) fn possible_cpus() -> u32 {
    // Unreadable: shared shards are right for any number.
    aya::util::nr_cpus().map_or(u32::MAX >> 1, |cpus| cpus as u32)
}
