//! Banned IPv4 addresses: a hash table of words, eight to a bucket, which is a cache line. Most bans
//! are of this kind, and a look-up costs one line of memory.
//!
//! An address stands in its first bucket, or in its second if the first was full when it came. A bucket
//! that an address was sent away from is *crowded*; the mark is in its last word, which is read
//! last, so whoever finds an entry gone finds the mark.

use super::Expiry;

/// Entries of a bucket.
pub const ADDRESS_WAYS: usize = 8;

/// A bucket as it lies in the map.
pub type AddressWords = [u64; ADDRESS_WAYS];

/// An address and the end of its ban: `address (32 bits) | mark (1) | end / 2 (31)`, from the low end;
/// 0 = empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressEntry(u64);

impl AddressEntry {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    const CROWDED: u64 = 1 << 32;

    /// Without a mark.
    #[must_use]
    pub const fn new(address: u32, end: Expiry) -> Self {
        Self(address as u64 | (end.bits() as u64) << 32)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> u32 {
        self.0 as u32
    }

    /// End of its ban.
    #[inline(always)]
    #[must_use]
    pub const fn end(self) -> Expiry {
        Expiry::from_bits((self.0 >> 32) as u32)
    }

    /// Of a last entry: may an address of this bucket stand in its second?
    #[inline(always)]
    #[must_use]
    pub const fn is_crowded(self) -> bool {
        self.0 & Self::CROWDED != 0
    }

    /// With the mark, or without it.
    #[must_use]
    pub const fn crowded(self, is_crowded: bool) -> Self {
        Self(self.0 & !Self::CROWDED | (is_crowded as u64) << 32)
    }
}

/// First of the two keys of the hash that leads to a first bucket, of those that the flow hash has.
const FIRST_KEY: usize = 0;
/// Of that to a second.
const SECOND_KEY: usize = super::HALF;

/// The bucket, of `mask + 1`, where an address is looked for first.
#[inline(always)]
#[must_use]
pub fn first_bucket(address: u32, mask: u32, key: impl Fn(usize) -> u64) -> u32 {
    hash(address, FIRST_KEY, key) & mask
}

/// The other one.
#[inline(always)]
#[must_use]
pub fn second_bucket(address: u32, mask: u32, key: impl Fn(usize) -> u64) -> u32 {
    hash(address, SECOND_KEY, key) & mask
}

/// Strongly universal: nobody who does not know the keys can choose addresses that meet.
#[inline(always)]
fn hash(address: u32, first: usize, key: impl Fn(usize) -> u64) -> u32 {
    let sum = key(first).wrapping_add(key(first + 1).wrapping_mul(address as u64));
    (sum >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_what_it_is_told() {
        for end in [Expiry::NEVER, Expiry::after(7, 100)] {
            let entry = AddressEntry::new(0xffff_ffff, end);
            for is_crowded in [true, false] {
                let marked = entry.crowded(is_crowded);
                assert_eq!(marked.is_crowded(), is_crowded);
                assert_eq!((marked.address(), marked.end()), (0xffff_ffff, end));
            }
        }
        assert!(!AddressEntry::EMPTY.crowded(true).end().is_live(1));
    }
}
