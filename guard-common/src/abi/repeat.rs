//! Who has sent before: a source that this host has not answered and that sends again, as every client does that gets
//! no answer. A Bloom filter in two parts, each of one generation: what is new goes into the current one, and what is
//! in either has been seen. A generation lasts for five seconds (what WireGuard waits before it tries again), or until
//! a fifth of its bits are set, which a flood of 1 000 000 sources per second takes a little more than a second for. So
//! one stranger in a thousand is taken for one who has been seen, and nothing can be exhausted. A part of a new
//! generation is emptied line by line, when somebody comes by.

use super::{addr::Addr, flow::Tuple, meter};

/// First line, in the table of meters.
pub const FIRST: u32 = meter::REPEATS_FIRST;
/// Pairs of lines: one of each generation.
const PAIRS: u32 = meter::REPEAT_BUCKETS / 2;
/// Ticks of a generation: whoever tries again after less than this is recognised, unless the flood fills it before.
const TICKS: u32 = 6;
/// Sources that fill one: each sets four of 29 million bits.
const MOST: u64 = 1_250_000;
/// Of so many sources one is counted, as a power of two.
const SAMPLE_SHIFT: u32 = 6;
/// Bits that stand for a source.
pub const BITS: usize = 4;
/// Words of a line that hold bits; the first one holds the generation.
const BIT_WORDS: u32 = meter::WAYS as u32 - 1;

/// Which generation it is, and since when: `tick (32 bits) | number (32)`, from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
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

    /// Its number.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Is it over, at this tick and with so many counted sources?
    #[inline(always)]
    #[must_use]
    pub const fn is_over(self, tick: u32, counted: u64) -> bool {
        tick.wrapping_sub(self.0 as u32) >= TICKS || counted > MOST >> SAMPLE_SHIFT
    }

    /// The next one. Never 0; one that was over long ago is not the one before: what it knew is forgotten.
    #[inline(always)]
    #[must_use]
    pub const fn next(self, tick: u32) -> Self {
        let skipped = if tick.wrapping_sub(self.0 as u32) >= 2 * TICKS {
            2
        } else {
            1
        };
        let number = self.number().wrapping_add(skipped);
        let number = if number == 0 { 2 } else { number };
        Self((number as u64) << 32 | tick as u64)
    }
}

/// Where a source and the port that it asks for stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    hash: u64,
}

impl Repeat {
    /// Of a source and a port of ours. `key` gives the keys of the flow hash.
    #[inline(always)]
    #[must_use]
    pub fn of(source: Addr, port: u16, key: impl Fn(usize) -> u64) -> Self {
        // No conversation has this protocol.
        const PROTOCOL: u8 = 0xff;
        let tuple = Tuple {
            remote: source,
            local: if source.is_v4() {
                Addr::from_v4(0)
            } else {
                Addr::from_halves(0, 0)
            },
            remote_port: 0,
            local_port: port,
            protocol: PROTOCOL,
        };
        Self {
            hash: tuple.tag(key).bits(),
        }
    }

    /// Its line of a generation.
    #[inline(always)]
    #[must_use]
    pub const fn line(self, generation: u32) -> u32 {
        let pair = self.hash as u32 & (PAIRS - 1);
        FIRST + pair * 2 + (generation & 1)
    }

    /// Is this source one of those that are counted?
    #[inline(always)]
    #[must_use]
    pub const fn is_counted(self) -> bool {
        // Bits that choose no line.
        (self.hash >> 58) & ((1 << SAMPLE_SHIFT) - 1) == 0
    }

    /// Word and bit of the line, of the bit with this number below [`BITS`].
    #[inline(always)]
    #[must_use]
    pub const fn bit(self, number: usize) -> (usize, u64) {
        let place = (self.hash >> (16 + 12 * number)) as u32 & 0xfff;
        let word = 1 + (((place >> 6) * BIT_WORDS) >> 6);
        (word as usize, 1 << (place & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::flow::keys;

    #[test]
    fn a_generation_ends_with_its_time_or_when_it_is_full() {
        let first = Generation::from_word(0).next(1000);
        assert_eq!(first.number(), 2);
        assert!(!first.is_over(1005, 100) && first.is_over(1006, 100));
        assert!(first.is_over(1001, 19_532));
        assert_eq!(first.next(1006).number(), 3);
        assert_eq!(first.next(1012).number(), 4, "nobody was there for long");
        let last = Generation::from_word(u64::from(u32::MAX) << 32);
        assert_ne!(last.next(1).number(), 0);
    }

    #[test]
    fn bits_lie_behind_the_generation_and_lines_in_the_table() {
        let keys = keys(7);
        let mut words = [0_u32; meter::WAYS];
        for number in 0..10_000 {
            let repeat = Repeat::of(Addr::from_v4(number), 53, |index| keys[index]);
            for (generation, other) in [(6, 7), (7, 8)] {
                let [one, next] = [generation, other].map(|generation| repeat.line(generation));
                assert_eq!(one ^ next, 1);
                assert!((FIRST..meter::BUCKETS).contains(&one));
            }
            for bit in 0..BITS {
                let (word, mask) = repeat.bit(bit);
                assert_eq!(mask.count_ones(), 1);
                words[word] += 1;
            }
        }
        assert_eq!(words[0], 0);
        assert!(words[1..].iter().all(|count| *count > 4000), "{words:?}");
    }
}
