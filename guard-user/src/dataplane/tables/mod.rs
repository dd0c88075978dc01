//! The maps of guard as memory that is shared with the kernel: policy, counters, flows, meters and bans.

pub mod bans;
pub mod ceilings;
pub mod counters;
pub mod exempt;
pub mod flows;
pub mod hits;
pub mod mapping;
pub mod slots;
