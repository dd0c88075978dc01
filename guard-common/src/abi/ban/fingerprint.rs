//! The fingerprint filter of banned IPv4 addresses: what of their table a cache can hold. With a million bans a look
//! into the table is a read of memory for which the CPU waits; here an address takes two bytes, so that
//! all of them are 2.6 MB. What the fingerprint filter says is exact, and what it leaves open is in the table: a ban of
//! an address stands there too, or only there.
//!
//! A keyed permutation of the address gives the bucket (16 bits) and what is compared in it (the *rest*,
//! the other 16): no two addresses share both. A bucket is 40 bytes: nineteen rests, until when all
//! of them are banned at least, and whether the table has *others* that would belong here. Nineteen, since a
//! million addresses are fifteen on average: two of a hundred find no place, where with fifteen (32 bytes) it
//! were eleven, each of which waits for memory. A place that is not taken repeats the rest of one that is.

use super::Expiry;

/// Buckets, where there is a fingerprint filter.
pub const FINGERPRINT_BUCKETS: u32 = 1 << 16;
/// Words of a bucket.
pub const FINGERPRINT_WORDS: usize = 5;
/// Addresses of a bucket.
pub const FINGERPRINT_WAYS: usize = 4 * FINGERPRINT_WORDS - 1;

/// A bucket as it lies in the map: twenty numbers of 16 bits, rests and then [`Until`] with the mark of others.
pub type FingerprintWords = [u64; FINGERPRINT_WORDS];

/// The word of a bucket that says what the rests are worth.
pub const FINGERPRINT_LAST: usize = FINGERPRINT_WORDS - 1;

/// The same bit of each of the four numbers of a word.
const EACH: u64 = 0x0001_0001_0001_0001;
const LANE: u32 = 16;
/// Where the time stands in the last word.
const UNTIL_SHIFT: u32 = 3 * LANE;
/// In the last word: the table has bans of addresses of this bucket that the bucket has not.
const OTHERS: u64 = 1 << 63;

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Bucket, below [`FINGERPRINT_BUCKETS`].
    pub bucket: u32,
    /// What is compared in it, 16 bits.
    pub rest: u32,
}

impl Fingerprint {
    /// Of an address, under the keys of the flow hash. Nobody who does not know them can choose addresses
    /// that meet in a bucket; if they do, the table behind it has them.
    #[inline(always)]
    #[must_use]
    pub fn of(address: u32, key: impl Fn(usize) -> u64) -> Self {
        // Each step can be undone: adding, multiplying by odd numbers, and the upper half into the lower.
        let mut mixed = address.wrapping_add(key(0) as u32);
        mixed = mixed.wrapping_mul(key(1) as u32 | 1);
        mixed ^= mixed >> 16;
        mixed = mixed.wrapping_mul(key(super::HALF) as u32 | 1);
        mixed ^= mixed >> 15;
        mixed = mixed.wrapping_mul(key(super::HALF + 1) as u32 | 1);
        Self {
            bucket: mixed >> LANE,
            rest: mixed & 0xffff,
        }
    }
}

/// Until when everything in a bucket is banned at least, in 15 bits: in units of 2^17 eighths of a tick
/// (four to six hours), so that it comes round when an [`Expiry`] does. 0 = the rests say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until(u16);

impl Until {
    /// Nothing is said.
    pub const NOTHING: Self = Self(0);
    /// For ever.
    pub const NEVER_ENDS: Self = Self(Self::MASK);
    const UNIT_SHIFT: u32 = 17;
    const MASK: u16 = 0x7fff;

    /// The last unit before the end of a ban; [`Until::NOTHING`] where that is too soon.
    #[must_use]
    pub const fn before(end: Expiry, now: u32) -> Self {
        if end.bits() == Expiry::NEVER.bits() {
            return Self::NEVER_ENDS;
        }
        if !end.is_live(now) {
            return Self::NOTHING;
        }
        // The two values that mean something else give way to earlier ones.
        let until = match (end.bits() >> Self::UNIT_SHIFT) as u16 {
            0 | Self::MASK => Self(Self::MASK - 1),
            unit => Self(unit),
        };
        if until.is_live(now) {
            until
        } else {
            Self::NOTHING
        }
    }

    /// Of a bucket's last word.
    #[inline(always)]
    #[must_use]
    pub const fn of(last_word: u64) -> Self {
        Self((last_word >> UNTIL_SHIFT) as u16 & Self::MASK)
    }

    /// Is it still so?
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self, now: u32) -> bool {
        self.0 == Self::MASK
            || self.0 != 0 && self.units_behind((now >> Self::UNIT_SHIFT) as u16) > 0
    }

    /// Does a ban that holds until then hold as long as this says?
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        if other.0 == Self::NEVER_ENDS.0 {
            return true;
        }
        self.0 != Self::NEVER_ENDS.0
            && self.0 != 0
            && other.0 != 0
            && other.units_behind(self.0) >= 0
    }

    /// How many units (doubled, so that 15 bits have a sign) this is behind another.
    #[inline(always)]
    const fn units_behind(self, other: u16) -> i16 {
        (self.0.wrapping_sub(other) << 1) as i16
    }
}

/// Of a bucket's last word: may the table have bans of this bucket that the bucket has not?
#[inline(always)]
#[must_use]
pub const fn has_others(last_word: u64) -> bool {
    last_word & OTHERS != 0
}

/// Is a rest among the nineteen of these words? Without a jump: what a bucket holds is nothing that a CPU could
/// foresee.
#[inline(always)]
#[must_use]
pub const fn has_rest(words: FingerprintWords, rest: u32) -> bool {
    let wanted = rest as u64 * EACH;
    // The time is not compared.
    let mut found = zeros((words[FINGERPRINT_LAST] ^ wanted) | 0xffff << UNTIL_SHIFT);
    let mut at = 0;
    while at < FINGERPRINT_LAST {
        found |= zeros(words[at] ^ wanted);
        at += 1;
    }
    found != 0
}

/// Not 0 when one of the four numbers of a word is (Mycroft's test, exact as far as that goes).
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & EACH << (LANE - 1)
}

/// A bucket that is made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintBucket {
    /// In order of their places.
    pub rests: [u16; FINGERPRINT_WAYS],
    /// For all of them.
    pub until: Until,
    /// The table may have bans of addresses of this bucket that are not among them.
    pub has_others: bool,
}

impl FingerprintBucket {
    /// As stored.
    #[must_use]
    pub fn from_words(words: FingerprintWords) -> Self {
        let lane = |at: usize| (words[at / 4] >> (LANE * (at % 4) as u32)) as u16;
        Self {
            rests: core::array::from_fn(lane),
            until: Until::of(words[FINGERPRINT_LAST]),
            has_others: has_others(words[FINGERPRINT_LAST]),
        }
    }

    /// As stored.
    #[must_use]
    pub fn to_words(self) -> FingerprintWords {
        let mut words = [0; FINGERPRINT_WORDS];
        for (at, rest) in self.rests.into_iter().enumerate() {
            words[at / 4] |= u64::from(rest) << (LANE * (at % 4) as u32);
        }
        words[FINGERPRINT_LAST] |= u64::from(self.until.0) << UNTIL_SHIFT;
        if self.has_others {
            words[FINGERPRINT_LAST] |= OTHERS;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{abi::flow, testing::random::Random};

    #[test]
    fn no_two_addresses_share_a_place() {
        let keys = flow::keys(3);
        let mut random = Random::new(1);
        for _ in 0..4 {
            let first = random.number() as u32;
            let places: BTreeSet<(u32, u32)> = (0..200_000)
                .map(|n| Fingerprint::of(first.wrapping_add(n), |index| keys[index]))
                .map(|place| (place.bucket, place.rest))
                .collect();
            assert_eq!(places.len(), 200_000);
            assert!(
                places
                    .iter()
                    .all(|(bucket, rest)| *bucket < FINGERPRINT_BUCKETS && *rest < 1 << 16)
            );
        }
    }

    #[test]
    fn whatever_addresses_are_listed_spread_over_the_buckets() {
        for seed in 0..4 {
            let keys = flow::keys(seed);
            for step in [1u32, 2, 256, 3698, 65_536 + 1, 4096] {
                let mut counts = vec![0usize; FINGERPRINT_BUCKETS as usize];
                for n in 0..1_000_000u32 {
                    let address = 0x0100_0007u32.wrapping_add(n.wrapping_mul(step));
                    counts[Fingerprint::of(address, |index| keys[index]).bucket as usize] += 1;
                }
                let held: usize = counts
                    .iter()
                    .map(|count| (*count).min(FINGERPRINT_WAYS))
                    .sum();
                // By chance it would be 977 000 of them.
                assert!(held > 950_000, "seed {seed}, step {step}: {held}");
            }
        }
    }

    #[test]
    fn a_rest_is_found_in_every_place_and_nowhere_else() {
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let numbers: [u16; FINGERPRINT_WAYS] = core::array::from_fn(|_| random.below(9) as u16);
            let until = Until(random.below(9) as u16);
            let bucket = FingerprintBucket {
                rests: numbers,
                until,
                has_others: random.below(2) == 0,
            };
            let words = bucket.to_words();
            assert_eq!(FingerprintBucket::from_words(words), bucket);
            for rest in 0..9 {
                assert_eq!(has_rest(words, rest), numbers.contains(&(rest as u16)));
            }
        }
    }

    #[test]
    fn a_bucket_says_nothing_behind_the_first_end_also_around_the_wrap() {
        const UNIT: u32 = 1 << Until::UNIT_SHIFT;
        for now in [
            7,
            5 * UNIT,
            u32::MAX - 3 * UNIT / 2,
            u32::MAX - 20 * UNIT + 5,
        ] {
            let ends: Vec<Expiry> = [1, UNIT / 2, 3 * UNIT, 10 * UNIT + 3, Expiry::LONGEST]
                .map(|length| Expiry::after(now, length))
                .to_vec();
            for end in &ends {
                let until = Until::before(*end, now);
                for later in (0..12 * UNIT).step_by(UNIT as usize / 3) {
                    let then = now.wrapping_add(later);
                    assert!(!until.is_live(then) || end.is_live(then), "{now} {later}");
                }
            }
            let of = |length| Until::before(Expiry::after(now, length), now);
            assert_eq!(of(1), Until::NOTHING);
            assert!(of(10 * UNIT).is_live(now.wrapping_add(8 * UNIT)));
            assert!(of(Expiry::LONGEST).is_live(now.wrapping_add(Expiry::LONGEST / 2)));
            assert!(of(5 * UNIT).is_within(of(9 * UNIT)) && !of(9 * UNIT).is_within(of(5 * UNIT)));
            assert!(of(9 * UNIT).is_within(Until::NEVER_ENDS));
            assert!(!Until::NEVER_ENDS.is_within(of(9 * UNIT)));
            assert!(Until::before(Expiry::NEVER, now) == Until::NEVER_ENDS);
        }
    }
}
