//! The arrays of bans, in memory.

use std::cell::{Cell, RefCell};

use crate::abi::ban::{BanMap, Sizes};

/// Arrays of bans as they lie in the maps. Made when something is written to them.
#[derive(Clone, Debug)]
pub struct MemBans {
    arrays: [RefCell<Vec<Cell<u64>>>; BanMap::ALL.len()],
    sizes: Sizes,
}

impl Default for MemBans {
    fn default() -> Self {
        Self::with_room(Sizes {
            chunks: 64,
            buckets: 1 << 10,
            addresses: 1 << 10,
        })
    }
}

impl MemBans {
    /// Of these sizes.
    ///
    /// # Panics
    /// When a number of buckets is no power of two.
    #[must_use]
    pub fn with_room(sizes: Sizes) -> Self {
        for buckets in [sizes.buckets, sizes.addresses] {
            assert!(buckets.is_power_of_two(), "{buckets} buckets");
        }
        Self {
            arrays: Default::default(),
            sizes,
        }
    }

    /// How large they are.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
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
            array.resize(self.sizes.words(map), Cell::new(0));
        }
        array[at].set(value);
    }
}
