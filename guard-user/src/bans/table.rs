//! Writing the four arrays that the kernel looks bans up in. The kernel reads while this writes, so
//! every step leaves each ban that holds to be found. Nothing here needs a kernel: the arrays are a
//! trait, and the model has them in vectors.

mod replace;
mod set;
mod writer;

use guard_common::abi::ban::{BUCKET_WORDS, BanMap, CHUNK_WORDS, Expiry, FILTER_LEN, TOPS};

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

/// The arrays in vectors.
#[derive(Clone, Debug)]
pub struct Words {
    /// [`BanMap::Filter`].
    pub filter: Vec<u64>,
    /// [`BanMap::Tops`].
    pub tops: Vec<u64>,
    /// [`BanMap::Chunks`].
    pub chunks: Vec<u64>,
    /// [`BanMap::Set`].
    pub set: Vec<u64>,
}

impl Words {
    /// Empty ones.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        Self {
            filter: vec![0; FILTER_LEN as usize],
            tops: vec![0; TOPS as usize],
            chunks: vec![0; (sizes.chunks * CHUNK_WORDS) as usize],
            set: vec![0; sizes.buckets as usize * BUCKET_WORDS],
        }
    }

    fn words(&self, map: BanMap) -> &[u64] {
        match map {
            BanMap::Filter => &self.filter,
            BanMap::Tops => &self.tops,
            BanMap::Chunks => &self.chunks,
            BanMap::Set => &self.set,
        }
    }
}

impl Memory for Words {
    fn load(&self, map: BanMap, index: u32) -> u64 {
        self.words(map).get(index as usize).copied().unwrap_or(0)
    }

    fn store(&mut self, map: BanMap, index: u32, word: u64) {
        let words = match map {
            BanMap::Filter => &mut self.filter,
            BanMap::Tops => &mut self.tops,
            BanMap::Chunks => &mut self.chunks,
            BanMap::Set => &mut self.set,
        };
        if let Some(place) = words.get_mut(index as usize) {
            *place = word;
        }
    }

    fn chunks(&self) -> u32 {
        self.chunks.len() as u32 / CHUNK_WORDS
    }

    fn mask(&self) -> u32 {
        (self.set.len() / BUCKET_WORDS) as u32 - 1
    }

    fn let_packets_pass(&mut self) {}
}
