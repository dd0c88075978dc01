//! The arrays of bans as memory that is shared with the kernel.

use guard_common::abi::ban::{ADDRESS_WAYS, BUCKET_WORDS, BanMap, CHUNK_WORDS, Sizes};

use super::{mapping::Mapping, slots};
use crate::bans::table::Memory;

/// The arrays, shared with the kernel.
#[derive(Debug)]
pub struct Shared {
    pub(in crate::dataplane) filter: Mapping,
    pub(in crate::dataplane) tops: Mapping,
    pub(in crate::dataplane) chunks: Mapping,
    pub(in crate::dataplane) set: Mapping,
    pub(in crate::dataplane) addresses: Mapping,
    pub(in crate::dataplane) fingerprints: Mapping,
}

impl Shared {
    fn map(&self, map: BanMap) -> &Mapping {
        match map {
            BanMap::Filter => &self.filter,
            BanMap::Tops => &self.tops,
            BanMap::Chunks => &self.chunks,
            BanMap::Set => &self.set,
            BanMap::Addresses => &self.addresses,
            BanMap::Fingerprints => &self.fingerprints,
        }
    }
}

impl Memory for Shared {
    fn load(&self, map: BanMap, index: u32) -> u64 {
        let mapping = self.map(map);
        if (index as usize) < mapping.len() {
            mapping.load(index as usize)
        } else {
            0
        }
    }

    fn store(&mut self, map: BanMap, index: u32, word: u64) {
        let mapping = self.map(map);
        if (index as usize) < mapping.len() {
            mapping.store(index as usize, word);
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            chunks: self.chunks.len() as u32 / CHUNK_WORDS,
            buckets: (self.set.len() / BUCKET_WORDS) as u32,
            addresses: (self.addresses.len() / ADDRESS_WAYS) as u32,
        }
    }

    fn let_packets_pass(&mut self) {
        slots::wait_for_packets_in_flight();
    }
}
