//! How large the arrays of bans are.

use super::{
    ADDRESS_WAYS, BUCKET_WORDS, BanMap, CHUNK_WORDS, FILTER_LEN, FINGERPRINT_BUCKETS,
    FINGERPRINT_WORDS, TOPS,
};

/// Addresses in so many buckets have a fingerprint filter: 4 MB are more than a small server's cache has room for.
const WITH_FINGERPRINTS: u32 = 1 << 16;

/// Sizes of the arrays that can grow. That of the fingerprint filter follows from that of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Chunks, the unused one included.
    pub chunks: u32,
    /// Buckets of the set, a power of two.
    pub buckets: u32,
    /// Buckets of IPv4 addresses, a power of two.
    pub addresses: u32,
}

impl Sizes {
    /// What a host without bans needs: 64 KB, 0.5 MB, 0.5 MB.
    pub const SMALLEST: Self = Self {
        chunks: 64,
        buckets: 1 << 13,
        addresses: 1 << 13,
    };

    /// Buckets of the set less one.
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.buckets - 1
    }

    /// Buckets of addresses less one.
    #[must_use]
    pub const fn address_mask(self) -> u32 {
        self.addresses - 1
    }

    /// Is there a fingerprint filter of the addresses?
    #[must_use]
    pub const fn has_fingerprints(self) -> bool {
        self.addresses >= WITH_FINGERPRINTS
    }

    /// Buckets of the fingerprint filter; one, of which nothing is read, where there is none.
    #[must_use]
    pub const fn fingerprints(self) -> u32 {
        if self.has_fingerprints() {
            FINGERPRINT_BUCKETS
        } else {
            1
        }
    }

    /// None larger than `most`.
    #[must_use]
    pub fn at_most(self, most: Self) -> Self {
        Self {
            chunks: self.chunks.min(most.chunks),
            buckets: self.buckets.min(most.buckets),
            addresses: self.addresses.min(most.addresses),
        }
    }

    /// None smaller than `least`.
    #[must_use]
    pub fn larger(self, least: Self) -> Self {
        Self {
            chunks: self.chunks.max(least.chunks),
            buckets: self.buckets.max(least.buckets),
            addresses: self.addresses.max(least.addresses),
        }
    }

    /// Words of an array.
    #[must_use]
    pub const fn words(self, map: BanMap) -> usize {
        match map {
            BanMap::Filter => FILTER_LEN as usize,
            BanMap::Tops => TOPS as usize,
            BanMap::Chunks => (self.chunks * CHUNK_WORDS) as usize,
            BanMap::Set => self.buckets as usize * BUCKET_WORDS,
            BanMap::Addresses => self.addresses as usize * ADDRESS_WAYS,
            BanMap::Fingerprints => self.fingerprints() as usize * FINGERPRINT_WORDS,
        }
    }

    /// Bytes of an array.
    #[must_use]
    pub const fn bytes_of(self, map: BanMap) -> u64 {
        8 * self.words(map) as u64
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn bytes(self) -> u64 {
        BanMap::ALL.into_iter().map(|map| self.bytes_of(map)).sum()
    }
}
