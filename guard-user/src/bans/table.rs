//! Writing the arrays that the kernel looks bans up in. The kernel reads while this writes, so
//! every step leaves each ban that holds to be found. Nothing here needs a kernel: the arrays are a
//! trait, so the model has the same writer.

mod address_slots;
mod addresses;
mod fingerprints;
mod replace;
mod set;
mod writer;

use guard_common::{
    abi::ban::{BanMap, Expiry, Sizes},
    memory::MemBans,
};

use super::prefix::Prefix;

pub use writer::{Writer, cells, holding_level};

/// The arrays, word by word. Indices are those of `guard_common::abi::ban`; the set's count words, not
/// buckets.
pub trait Memory {
    /// A word; 0 beyond the end.
    fn load(&self, map: BanMap, index: u32) -> u64;
    /// Writes a word; nothing beyond the end.
    fn store(&mut self, map: BanMap, index: u32, word: u64);
    /// How large they are.
    fn sizes(&self) -> Sizes;
    /// Returns when no packet is in flight that began before.
    fn let_packets_pass(&mut self);
}

/// Which array has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Chunks: /16 networks with bans of longer prefixes.
    Chunks,
    /// The set: /28 networks and IPv6.
    Set,
    /// IPv4 addresses.
    Addresses,
}

impl Full {
    /// Twice as much of it.
    #[must_use]
    pub const fn doubled(self, sizes: Sizes) -> Sizes {
        match self {
            Self::Chunks => Sizes {
                chunks: sizes.chunks * 2,
                ..sizes
            },
            Self::Set => Sizes {
                buckets: sizes.buckets * 2,
                ..sizes
            },
            Self::Addresses => Sizes {
                addresses: sizes.addresses * 2,
                ..sizes
            },
        }
    }
}

/// A ban as the arrays hold it.
pub type PrefixBan = (Prefix, Expiry);

/// The model's, for which nothing is in flight.
impl Memory for &MemBans {
    fn load(&self, map: BanMap, index: u32) -> u64 {
        MemBans::load(self, map, index as usize)
    }

    fn store(&mut self, map: BanMap, index: u32, word: u64) {
        if (index as usize) < MemBans::sizes(self).words(map) {
            MemBans::store(self, map, index as usize, word);
        }
    }

    fn sizes(&self) -> Sizes {
        MemBans::sizes(self)
    }

    fn let_packets_pass(&mut self) {}
}

#[cfg(test)]
mod tests;
