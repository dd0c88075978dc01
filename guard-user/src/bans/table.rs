//! Writing the four arrays that the kernel looks bans up in. The kernel reads while this writes, so
//! every step leaves each ban that holds to be found. Nothing here needs a kernel: the arrays are a
//! trait, so the model has the same writer.

mod replace;
mod set;
mod writer;

use guard_common::{
    abi::ban::{BUCKET_WORDS, BanMap, CHUNK_WORDS, Expiry, FILTER_LEN, TOPS},
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
    /// Chunks that there are, the unused one included.
    fn chunks(&self) -> u32;
    /// Buckets of the set less one.
    fn mask(&self) -> u32;
    /// Returns when no packet is in flight that began before.
    fn let_packets_pass(&mut self);
}

/// Which array has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Chunks: /16 networks with bans of longer prefixes.
    Chunks,
    /// The set: addresses and IPv6.
    Set,
}

/// A ban as the arrays hold it.
pub type Held = (Prefix, Expiry);

/// How large the two arrays are that can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Chunks, the unused one included.
    pub chunks: u32,
    /// Buckets of the set, a power of two.
    pub buckets: u32,
}

impl Sizes {
    /// What a host without bans needs: 64 KB and 1 MB.
    pub const SMALLEST: Self = Self {
        chunks: 64,
        buckets: 1 << 14,
    };

    /// Neither larger than `most`.
    #[must_use]
    pub fn at_most(self, most: Self) -> Self {
        Self {
            chunks: self.chunks.min(most.chunks),
            buckets: self.buckets.min(most.buckets),
        }
    }

    /// Neither smaller than `least`.
    #[must_use]
    pub fn larger(self, least: Self) -> Self {
        Self {
            chunks: self.chunks.max(least.chunks),
            buckets: self.buckets.max(least.buckets),
        }
    }

    /// Bytes of all four arrays.
    #[must_use]
    pub fn bytes(self) -> u64 {
        let words = u64::from(FILTER_LEN)
            + u64::from(TOPS)
            + u64::from(self.chunks) * u64::from(CHUNK_WORDS)
            + u64::from(self.buckets) * BUCKET_WORDS as u64;
        words * 8
    }
}

/// The model's, for which nothing is in flight.
impl Memory for &MemBans {
    fn load(&self, map: BanMap, index: u32) -> u64 {
        MemBans::load(self, map, index as usize)
    }

    fn store(&mut self, map: BanMap, index: u32, word: u64) {
        if (index as usize) < self.words(map) {
            MemBans::store(self, map, index as usize, word);
        }
    }

    fn chunks(&self) -> u32 {
        self.words(BanMap::Chunks) as u32 / CHUNK_WORDS
    }

    fn mask(&self) -> u32 {
        MemBans::mask(self)
    }

    fn let_packets_pass(&mut self) {}
}

#[cfg(test)]
mod tests;
