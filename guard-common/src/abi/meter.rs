//! Meters: how many new connections a source may open. A fixed table of buckets of eight words, a cache
//! line each; nothing is allocated for a source, and a new one takes the place of the word that says
//! least.
//!
//! A word is `tag (24 bits) | time (40 bits)`, from the high end; 0 = empty. The tag stands for a source
//! and what it is counted for: two strongly universal hashes under keys of this boot, one for the
//! bucket and one for the tag, so a stranger shares a word of its bucket with probability 8 * 2^-24 at
//! most, whoever chose the addresses. Time counts units of 1/256 jiffy and wraps after 49 days at
//! least, which is why only what lies less than [`LONGEST`] ahead counts.

use super::addr::Addr;

/// Words of a bucket.
pub const WAYS: usize = 8;
/// A bucket as it lies in the map.
pub type BucketWords = [u64; WAYS];

/// Units of a jiffy, as a power of two.
pub const UNIT_SHIFT: u32 = 8;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Farthest that a time can lie ahead, in units: 3 days at 1000 Hz, 31 at 100 Hz. What is farther is a
/// time of the past.
pub const LONGEST: u64 = 1 << 36;

/// Which part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterPart {
    /// What sources owe: the time at which everything that they opened is paid for.
    Debts,
    /// UDP conversations: until when one counts as going on.
    Conversations,
    /// Sources that have a session with a service: until when nobody who forges their address can
    /// shut them out.
    Exempt,
}

const DEBT_BUCKETS: u32 = 1 << 16;
const CONVERSATION_BUCKETS: u32 = 1 << 15;
const EXEMPT_BUCKETS: u32 = 1 << 13;
/// First of the lines of [`super::repeat`].
pub const REPEATS_FIRST: u32 = DEBT_BUCKETS + CONVERSATION_BUCKETS + EXEMPT_BUCKETS;
/// Lines of it: 8 MB.
pub const REPEAT_BUCKETS: u32 = 1 << 17;
/// Buckets of the whole table: 15 MB.
pub const BUCKETS: u32 = REPEATS_FIRST + REPEAT_BUCKETS;

impl MeterPart {
    const fn first(self) -> u32 {
        match self {
            Self::Debts => 0,
            Self::Conversations => DEBT_BUCKETS,
            Self::Exempt => DEBT_BUCKETS + CONVERSATION_BUCKETS,
        }
    }

    const fn buckets(self) -> u32 {
        match self {
            Self::Debts => DEBT_BUCKETS,
            Self::Conversations => CONVERSATION_BUCKETS,
            Self::Exempt => EXEMPT_BUCKETS,
        }
    }
}

/// Who, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Part of the table.
    pub part: MeterPart,
    /// A source, masked to the length by which sources are told apart.
    pub source: Addr,
    /// Debts: number of the meter. Conversations: port of the source (high half) and ours. Exempt: our port.
    pub about: u32,
}

/// Where a key lies, and the tag by which it is found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterSlot {
    /// Bucket of the table.
    pub bucket: u32,
    /// 24 bits, never 0.
    pub tag: u32,
}

impl Key {
    /// The place under these keys; `key(i)` is the i-th of [`super::flow::keys`].
    #[inline(always)]
    #[must_use]
    pub fn place(&self, key: impl Fn(usize) -> u64) -> MeterSlot {
        const HALF: usize = super::flow::KEYS / 2;
        let tag = (self.sum(&key) >> TIME_BITS) as u32;
        let hash = (self.sum(|index| key(HALF + index)) >> 32) as u32;
        MeterSlot {
            bucket: self.part.first() + (hash & (self.part.buckets() - 1)),
            tag: if tag == 0 { 1 } else { tag },
        }
    }

    /// The upper 32 bits are strongly universal (multilinear, Lemire and Kaser 2013).
    #[inline(always)]
    fn sum(&self, key: impl Fn(usize) -> u64) -> u64 {
        const V6: u64 = 1;
        let source = self.source;
        let mut sum = key(0)
            .wrapping_add(key(1).wrapping_mul(source.lo() & 0xffff_ffff))
            .wrapping_add(key(2).wrapping_mul(self.about as u64));
        if !source.is_v4() {
            sum = sum
                .wrapping_add(key(3).wrapping_mul(V6))
                .wrapping_add(key(4).wrapping_mul(source.lo() >> 32))
                .wrapping_add(key(5).wrapping_mul(source.hi() & 0xffff_ffff))
                .wrapping_add(key(6).wrapping_mul(source.hi() >> 32));
        }
        sum
    }
}

/// Jiffies as a time of this table.
#[inline(always)]
#[must_use]
pub const fn time(jiffies: u64) -> u64 {
    jiffies << UNIT_SHIFT & TIME_MASK
}

/// A word of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterEntry(u64);

impl MeterEntry {
    /// The word of a tag, and a time so far ahead of `now`.
    #[inline(always)]
    #[must_use]
    pub const fn new(tag: u32, now: u64, ahead: u64) -> Self {
        Self((tag as u64) << TIME_BITS | now.wrapping_add(ahead) & TIME_MASK)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Whose word it is.
    #[inline(always)]
    #[must_use]
    pub const fn tag(self) -> u32 {
        (self.0 >> TIME_BITS) as u32
    }

    /// Units that its time lies ahead; 0 = it is over, or lies farther ahead than anything can.
    #[inline(always)]
    #[must_use]
    pub const fn ahead(self, now: u64) -> u64 {
        let ahead = self.0.wrapping_sub(now) & TIME_MASK;
        // All ones if it is at most the longest; without a jump, of which a bucket would have eight.
        let is_near = !(((LONGEST.wrapping_sub(ahead)) as i64 >> 63) as u64);
        ahead & is_near
    }
}

/// How fast the debt of a source may grow, and how far: two words of the policy image,
/// `interval (32 bits) | number (32 bits)` from the low end, then `tolerance (40 bits) | block (24 bits)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// What one connection, or packet, costs, in units.
    pub interval: u32,
    /// Tells meters apart, and says what they count ([`Meter::PACKETS`]).
    pub number: u32,
    /// Most that a source may owe when it opens one more, in units.
    pub tolerance: u64,
    /// Seconds for which a source that exceeds it with a session is let in no more; 0 = it only waits.
    pub block: u32,
}

impl Meter {
    /// Words in the image.
    pub const WORDS: u32 = 2;
    /// Set in the number of a meter that counts every packet, not connections.
    pub const PACKETS: u32 = 1 << 30;

    /// Does it count every packet?
    #[inline(always)]
    #[must_use]
    pub const fn counts_packets(self) -> bool {
        self.number & Self::PACKETS != 0
    }

    /// From the words of the image.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(first: u64, second: u64) -> Self {
        Self {
            interval: first as u32,
            number: (first >> 32) as u32,
            tolerance: second & TIME_MASK,
            block: (second >> TIME_BITS) as u32,
        }
    }

    /// How many more a source may open at once that owes so much.
    #[must_use]
    pub const fn left(self, debt: u64) -> u64 {
        if debt > self.tolerance || self.interval == 0 {
            return 0;
        }
        (self.tolerance - debt) / self.interval as u64 + 1
    }

    /// To the words of the image.
    #[must_use]
    pub const fn to_words(self) -> [u64; Self::WORDS as usize] {
        [
            self.interval as u64 | (self.number as u64) << 32,
            self.tolerance & TIME_MASK | (self.block as u64) << TIME_BITS,
        ]
    }
}

/// What all meters of a policy share, a word of its header: `IPv4 prefix (8 bits) | IPv6 prefix (8) |
/// units of a second (48)`, from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(u64);

impl Scale {
    /// Sources that share so many leading bits count as one; units of a second.
    #[must_use]
    pub const fn new(prefix_v4: u8, prefix_v6: u8, second: u64) -> Self {
        Self(prefix_v4 as u64 | (prefix_v6 as u64) << 8 | second << 16)
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

    /// Units of a second.
    #[inline(always)]
    #[must_use]
    pub const fn second(self) -> u64 {
        self.0 >> 16
    }

    /// The source that an address counts as.
    #[inline(always)]
    #[must_use]
    pub const fn source(self, address: Addr) -> Addr {
        const V4_AT: u32 = 96;
        if address.is_v4() {
            address.masked(V4_AT + (self.0 & 0xff) as u32)
        } else {
            address.masked((self.0 >> 8 & 0xff) as u32)
        }
    }
}

/// Seconds after which the next datagram of a source and port that was never answered is a new
/// conversation.
pub const ONE_WAY_SECONDS: u64 = 30;
/// The same when this host answered.
pub const BOTH_WAYS_SECONDS: u64 = 180;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::flow::keys;

    #[test]
    fn every_part_of_a_key_counts_and_stays_in_its_part_of_the_table() {
        let keys = keys(7);
        let v6 = Addr::from_halves;
        let sources = [
            Addr::from_v4(0x0102_0304),
            Addr::from_v4(0x0102_0305),
            v6(1, 2),
            v6(1 << 32, 2),
            v6(1, 2 << 32),
            v6(1, 3),
            v6(2, 2),
            // The same low 32 bits as an IPv4 address.
            v6(0, 0x0102_0304),
        ];
        let mut places = Vec::new();
        for source in sources {
            for about in [0, 22, 22 << 16] {
                for (part, range) in [
                    (MeterPart::Debts, 0..1 << 16),
                    (MeterPart::Conversations, 1 << 16..(1 << 16) + (1 << 15)),
                    (MeterPart::Exempt, (1 << 16) + (1 << 15)..BUCKETS),
                ] {
                    let key = Key {
                        part,
                        source,
                        about,
                    };
                    let place = key.place(|index| keys[index]);
                    assert!(range.contains(&place.bucket), "{key:?} {place:?}");
                    assert!((1..1 << 24).contains(&place.tag));
                    places.push((part as u32, place.bucket, place.tag));
                }
            }
        }
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), count);
    }

    #[test]
    fn a_time_is_ahead_or_over_also_across_the_wrap() {
        for now in [0, 12_345 << 8, TIME_MASK, TIME_MASK - 255] {
            for (ahead, seen) in [
                (0, 0),
                (1, 1),
                (256, 256),
                (LONGEST, LONGEST),
                (LONGEST + 1, 0),
                // A unit ago.
                (TIME_MASK, 0),
            ] {
                let entry = MeterEntry::new(0xab_cdef, now, ahead);
                assert_eq!(entry.ahead(now), seen, "{ahead} from {now}");
                assert_eq!(entry.tag(), 0xab_cdef);
                assert_eq!(MeterEntry::from_word(entry.to_word()), entry);
            }
        }
        assert_eq!(time(1 << 32), 0);
    }

    #[test]
    fn words_give_back_what_was_put_in() {
        let meter = Meter {
            interval: u32::MAX,
            number: 0xdead_beef,
            tolerance: LONGEST,
            block: 86_400,
        };
        let [first, second] = meter.to_words();
        assert_eq!(Meter::from_words(first, second), meter);
        let scale = Scale::new(24, 64, 64_000);
        assert_eq!(scale.second(), 64_000);
        assert_eq!(
            scale.source(Addr::from_v4(0x0102_0304)),
            Addr::from_v4(0x0102_0300)
        );
        assert_eq!(
            scale.source(Addr::from_halves(5, 6)),
            Addr::from_halves(5, 0)
        );
    }
}
