//! The four arrays of bans, in memory.

use std::cell::{Cell, RefCell};

use crate::abi::ban::{BUCKET_WORDS, BanMap, CHUNK_WORDS, FILTER_LEN, TOPS};

/// Arrays of bans as they lie in the maps. Made when something is written to them.
#[derive(Clone, Debug)]
pub struct MemBans {
    arrays: [RefCell<Vec<Cell<u64>>>; 4],
    chunks: u32,
    buckets: u32,
}

impl Default for MemBans {
    fn default() -> Self {
        Self::with_room(64, 1 << 10)
    }
}

impl MemBans {
    /// With room for that many chunks and buckets, the latter a power of two.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn with_room(chunks: u32, buckets: u32) -> Self {
        assert!(buckets.is_power_of_two(), "{buckets} buckets");
        Self {
            arrays: Default::default(),
            chunks,
            buckets,
        }
    }

    /// Buckets of the set less one.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.buckets - 1
    }

    /// Words of an array.
    #[must_use]
    pub fn words(&self, map: BanMap) -> usize {
        match map {
            BanMap::Filter => FILTER_LEN as usize,
            BanMap::Tops => TOPS as usize,
            BanMap::Chunks => (self.chunks * CHUNK_WORDS) as usize,
            BanMap::Set => self.buckets as usize * BUCKET_WORDS,
        }
    }

    /// A word; 0 behind the end.
    #[must_use]
    pub fn load(&self, map: BanMap, at: usize) -> u64 {
        self.arrays[map as usize]
            .borrow()
            .get(at)
            .map_or(0, Cell::get)
    }

    /// Writes a word.
    ///
    /// # Panics
    /// Behind the end.
    pub fn store(&self, map: BanMap, at: usize, value: u64) {
        let mut array = self.arrays[map as usize].borrow_mut();
        if array.is_empty() {
            array.resize(self.words(map), Cell::new(0));
        }
        array[at].set(value);
    }
}
