//! Names in the BPF object. The kernel keeps 15 characters.

/// The XDP program.
pub const INGRESS: &str = "guard_ingress";
/// Array of policy words: [`super::switch::SLOTS`] slots of [`SLOT_WORDS`] words.
pub const POLICY: &str = "policy";
/// Array of one [`super::switch::SwitchWord`].
pub const SWITCH: &str = "switch";
/// Array of [`super::counters::Counter`], one shard after the other.
pub const COUNTERS: &str = "counters";
/// Array of fragment stamps.
pub const FRAGMENTS: &str = "fragments";
/// Every map, in the order in which they are pinned.
pub const MAPS: [&str; 4] = [POLICY, SWITCH, COUNTERS, FRAGMENTS];

/// Constant of the object: words in one policy slot.
pub const SLOT_WORDS: &str = "SLOT_WORDS";
/// Constant of the object: counter shards, a power of two.
pub const SHARDS: &str = "SHARDS";
/// Constant of the object: 1 when every possible CPU has a shard of its own.
pub const OWN_SHARD: &str = "OWN_SHARD";
/// Constant of the object: random number of this boot, for hashes that an attacker could aim at.
pub const SEED: &str = "SEED";
