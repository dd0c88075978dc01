//! Bans: which sources are dropped whatever the rules say, until when. Six arrays that only user
//! space writes, in single aligned words; the kernel compares an entry's expiry with its own clock, so
//! a ban ends with nobody alive to lift it.
//!
//! Prefixes are held at few *levels*. A ban of another length is written to every cell of the next
//! longer level below it, and the value of a cell is the latest expiry of all bans of its level that
//! cover it; so a look-up is a fixed number of reads, however many bans there are.
//!
//! ```text
//! IPv4  /16   tops       [first two octets] -> expiry, number of a chunk
//!       /24   chunks     [chunk][third octet] -> expiry, "there are /28 cells below"
//!       /28   set        hash table
//!       /32   addresses  hash table, exact; where that is large, a *fingerprint filter* says most of it
//! IPv6  /32 /40 … /128   set
//! ```
//!
//! In front stands a filter of a few bits per ban ([`FilterBits`]): what no ban touches pays two
//! reads. All prefix lengths in this module count from the top of 128 bits, so an IPv4 /24 is 120.

mod address;
mod filter;
mod fingerprint;
mod sizes;

pub use address::{ADDRESS_WAYS, AddressEntry, AddressWords, first_bucket, second_bucket};
pub use filter::FilterBits;
pub use fingerprint::{
    FINGERPRINT_BUCKETS, FINGERPRINT_LAST, FINGERPRINT_WAYS, FINGERPRINT_WORDS, Fingerprint,
    FingerprintBucket, FingerprintWords, Until, has_others, has_rest,
};
pub use sizes::Sizes;

use super::addr::Addr;

/// IPv4 lengths count behind these bits.
const V4: u32 = 96;

/// Lengths at which IPv4 bans are held.
pub const LEVELS_V4: [u32; 4] = [V4 + 16, V4 + 24, V4 + 28, V4 + 32];
/// The level of tops, of chunks, and the two in the set.
pub const LEVEL_TOP: u32 = LEVELS_V4[0];
/// See [`LEVEL_TOP`].
pub const LEVEL_CHUNK: u32 = LEVELS_V4[1];
/// See [`LEVEL_TOP`].
pub const LEVEL_BLOCK: u32 = LEVELS_V4[2];
/// A single address, of both families.
pub const LEVEL_ADDRESS: u32 = 128;
/// IPv6 levels are multiples of this.
pub const STEP_V6: u32 = 8;
/// First IPv6 level.
pub const FIRST_V6: u32 = 32;
/// IPv6 bans and counts go by this unless one asks for less.
pub const LEVEL_SUBNET_V6: u32 = 64;
/// Widest IPv4 ban that can be held: it fills 256 tops.
pub const WIDEST_V4: u32 = V4 + 8;
/// Widest IPv6 ban that can be held: it fills 4096 cells of the first level.
pub const WIDEST_V6: u32 = 20;

/// The level that holds bans of prefixes of this length, of this family.
#[inline(always)]
#[must_use]
pub const fn level(len: u32, is_v4: bool) -> u32 {
    if is_v4 {
        if len <= LEVEL_TOP {
            LEVEL_TOP
        } else if len <= LEVEL_CHUNK {
            LEVEL_CHUNK
        } else if len <= LEVEL_BLOCK {
            LEVEL_BLOCK
        } else {
            LEVEL_ADDRESS
        }
    } else if len <= FIRST_V6 {
        FIRST_V6
    } else {
        len.next_multiple_of(STEP_V6)
    }
}

/// When a ban ends: eighths of a tick ([`super::clock::eighths`]), always even; 0 = there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(u32);

impl Expiry {
    /// No ban.
    pub const NONE: Self = Self(0);
    /// Never.
    pub const NEVER: Self = Self(!1);
    /// Longest ban that ends, in eighths: eight years.
    pub const LONGEST: u32 = i32::MAX as u32 >> 1;

    /// `eighths` from `now` on, rounded up; longer than [`Expiry::LONGEST`] is for ever.
    #[must_use]
    pub const fn after(now: u32, eighths: u32) -> Self {
        if eighths > Self::LONGEST {
            return Self::NEVER;
        }
        let end = now.wrapping_add(eighths).wrapping_add(1) & !1;
        // The two values that mean something else give way by a quarter of a second.
        Self(if end == 0 || end == Self::NEVER.0 {
            2
        } else {
            end
        })
    }

    /// As stored, without the flag beside it.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & !1)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Is the ban in force?
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self, now: u32) -> bool {
        self.0 == Self::NEVER.0 || self.0 != 0 && self.0.wrapping_sub(now) as i32 > 0
    }

    /// Eighths until the end of a ban in force; `None` = it has none.
    #[must_use]
    pub const fn remaining(self, now: u32) -> Option<u32> {
        if self.0 == Self::NEVER.0 {
            None
        } else if self.is_live(now) {
            Some(self.0.wrapping_sub(now))
        } else {
            Some(0)
        }
    }

    /// The one that ends later, seen at `now`.
    #[must_use]
    pub const fn later(self, other: Self, now: u32) -> Self {
        if !other.is_live(now) || self.0 == Self::NEVER.0 {
            self
        } else if !self.is_live(now)
            || other.0 == Self::NEVER.0
            || other.0.wrapping_sub(self.0) as i32 > 0
        {
            other
        } else {
            self
        }
    }
}

/// A cell of 32 bits: an expiry, and in the lowest bit whether longer prefixes are banned below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(u32);

impl Cell {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// With these.
    #[must_use]
    pub const fn new(expiry: Expiry, has_longer: bool) -> Self {
        Self(expiry.0 | has_longer as u32)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// End of the ban.
    #[inline(always)]
    #[must_use]
    pub const fn expiry(self) -> Expiry {
        Expiry::from_bits(self.0)
    }

    /// Are longer prefixes to be looked for? Of a chunk's cell: /28 blocks; of an IPv6 /64: anything
    /// longer.
    #[inline(always)]
    #[must_use]
    pub const fn has_longer(self) -> bool {
        self.0 & 1 != 0
    }
}

/// The arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanMap {
    /// Which sources some ban may touch: [`FILTER_LEN`] words.
    Filter,
    /// IPv4 /16: [`TOPS`] words.
    Tops,
    /// IPv4 /24: as many chunks of [`CHUNK_WORDS`] as the object was loaded with.
    Chunks,
    /// IPv4 /28 and all of IPv6: as many buckets of [`BUCKET_WORDS`] as the object was loaded with, a
    /// power of two.
    Set,
    /// IPv4 /32: as many buckets of [`ADDRESS_WAYS`] words as the object was loaded with, a power of
    /// two.
    Addresses,
    /// What of the addresses a cache can hold: [`FINGERPRINT_BUCKETS`] of [`FINGERPRINT_WORDS`], or one that is not
    /// used ([`Sizes::has_fingerprints`]).
    Fingerprints,
}

impl BanMap {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Filter,
        Self::Tops,
        Self::Chunks,
        Self::Set,
        Self::Addresses,
        Self::Fingerprints,
    ];
}

/// Word of the filter that has a bit per IPv6 level in use ([`level_bit`]).
pub const LEVELS_WORD: u32 = filter::WORDS;
/// Words of the filter: 2.1 MB.
pub const FILTER_LEN: u32 = (LEVELS_WORD + 1).next_multiple_of(8);
/// Words of the tops: 0.5 MB.
pub const TOPS: u32 = 1 << 16;
/// Most chunks, the unused one included: their numbers have 16 bits.
pub const MAX_CHUNKS: u32 = 1 << 16;
/// Words of a chunk: 256 cells, 1 KB.
pub const CHUNK_WORDS: u32 = 128;
/// Entries of a bucket.
pub const WAYS: usize = 4;
/// Words of a bucket: tags, then cells; a cache line.
pub const BUCKET_WORDS: usize = 2 * WAYS;

/// A bucket as it lies in the map.
pub type BucketWords = [u64; BUCKET_WORDS];

/// Bit of an IPv6 level in [`LEVELS_WORD`].
#[inline(always)]
#[must_use]
pub const fn level_bit(level: u32) -> u64 {
    1 << ((level / STEP_V6) & 63)
}

/// A word of the tops: `cell (32 bits) | chunk (16), 0 = none | parts (16)`, from the low end. Chunk 0 is
/// not used; at most 65 535 are needed, since 127.0.0.0/8 and others have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// Bans of the whole /16.
    pub cell: Cell,
    /// Number of the chunk with bans of its /24s, 16 bits.
    pub chunk: u32,
    /// In which of its /20s there are any, a bit each: a chunk is read for few who are not banned.
    pub parts: u32,
}

impl Top {
    /// Where the /16 of an address is.
    #[inline(always)]
    #[must_use]
    pub const fn at(addr: Addr) -> u32 {
        addr.v4() >> 16
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            cell: Cell(word as u32),
            chunk: (word >> 32) as u32 & 0xffff,
            parts: (word >> 48) as u32,
        }
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.cell.0 as u64 | (self.chunk as u64) << 32 | (self.parts as u64) << 48
    }

    /// The bit of an address's /20 in [`Top::parts`].
    #[inline(always)]
    #[must_use]
    pub const fn part(addr: Addr) -> u32 {
        1 << (addr.v4() >> 12 & 15)
    }
}

/// The cell of an address in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Word in the map.
    pub word: u32,
    shift: u32,
}

impl ChunkPlace {
    /// Of the /24 of an address.
    #[inline(always)]
    #[must_use]
    pub const fn of(chunk: u32, addr: Addr) -> Self {
        let octet = addr.v4() >> 8 & 0xff;
        Self {
            word: chunk.wrapping_mul(CHUNK_WORDS).wrapping_add(octet >> 1),
            shift: (octet & 1) * 32,
        }
    }

    /// Its cell in that word.
    #[inline(always)]
    #[must_use]
    pub const fn get(self, word: u64) -> Cell {
        Cell((word >> (self.shift & 63)) as u32)
    }

    /// The word with another cell there.
    #[must_use]
    pub const fn set(self, word: u64, cell: Cell) -> u64 {
        word & !(0xffff_ffff << self.shift) | (cell.0 as u64) << self.shift
    }
}

/// Stands for a prefix in the set: two strongly universal 32-bit hashes, as [`super::flow::Tag`], under
/// the same keys. Never 0, which stands for an empty place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BanTag(u64);

/// Keys that each of the two hashes takes, [`super::flow::keys`] from the first on and from this on.
const HALF: usize = super::flow::KEYS / 2;

impl BanTag {
    /// The tag of `prefix`, whose bits behind `level` are 0.
    #[inline(always)]
    #[must_use]
    pub fn new(prefix: Addr, level: u32, key: impl Fn(usize) -> u64) -> Self {
        const V6: u64 = 0x100;
        // A masked prefix is no IPv4 address any more below 96 bits, and needs none of its words.
        let is_v4 = prefix.is_v4();
        let sum = |first: usize| {
            let family = if is_v4 { 0 } else { V6 };
            let sum = key(first)
                .wrapping_add(key(first + 1).wrapping_mul(prefix.lo() & 0xffff_ffff))
                .wrapping_add(key(first + 2).wrapping_mul(level as u64 | family));
            if is_v4 {
                return sum;
            }
            sum.wrapping_add(key(first + 3).wrapping_mul(prefix.lo() >> 32))
                .wrapping_add(key(first + 4).wrapping_mul(prefix.hi() & 0xffff_ffff))
                .wrapping_add(key(first + 5).wrapping_mul(prefix.hi() >> 32))
        };
        let tag = sum(0) >> 32 << 32 | sum(HALF) >> 32;
        Self(if tag == 0 { 1 } else { tag })
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The two buckets, of `mask + 1`, where it may stand.
    #[inline(always)]
    #[must_use]
    pub const fn buckets(self, mask: u32) -> [u32; 2] {
        [self.0 as u32 & mask, (self.0 >> 32) as u32 & mask]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_the_next_longer_level() {
        for (len, is_v4, expected) in [
            (104, true, 112),
            (112, true, 112),
            (113, true, 120),
            (121, true, 124),
            (125, true, 128),
            (20, false, 32),
            (32, false, 32),
            (33, false, 40),
            (64, false, 64),
            (65, false, 72),
            (128, false, 128),
        ] {
            assert_eq!(level(len, is_v4), expected, "{len}");
        }
    }

    #[test]
    fn a_ban_ends_when_it_should_also_around_the_wrap() {
        for now in [1000, u32::MAX - 9, u32::MAX - 2, 0] {
            let end = Expiry::after(now, 8);
            assert!(
                end.is_live(now) && end.is_live(now.wrapping_add(7)),
                "{now}"
            );
            assert!(!end.is_live(now.wrapping_add(13)), "{now}");
            assert!(Expiry::NEVER.is_live(now) && !Expiry::NONE.is_live(now));
            assert_eq!(Expiry::NEVER.remaining(now), None);
            let longer = Expiry::after(now, 100);
            for (one, other) in [(end, longer), (longer, end), (Expiry::NONE, longer)] {
                assert_eq!(one.later(other, now), longer);
            }
            assert_eq!(longer.later(Expiry::NEVER, now), Expiry::NEVER);
            assert_eq!(Expiry::NEVER.later(longer, now), Expiry::NEVER);
        }
    }

    #[test]
    fn cells_of_a_chunk_do_not_touch_each_other() {
        let (even, odd) = (Addr::from_v4(0x0102_0400), Addr::from_v4(0x0102_0500));
        let (left, right) = (ChunkPlace::of(3, even), ChunkPlace::of(3, odd));
        assert_eq!(left.word, right.word);
        let cell = Cell::new(Expiry::NEVER, true);
        let word = left.set(0, cell);
        assert_eq!((left.get(word), right.get(word)), (cell, Cell::EMPTY));
        let word = right.set(word, Cell::new(Expiry::after(0, 8), false));
        assert_eq!(left.get(word), cell);
        assert!(!right.get(word).has_longer());
    }
}
