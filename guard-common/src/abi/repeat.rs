//! Who has sent before: a source that this host has not answered and that sends again, as every client does that gets
//! no answer. A Bloom filter in two parts, each of one generation of a few seconds: what is new goes into the
//! current one, and what is in either has been seen. A part of a new generation is emptied line by line, when somebody
//! comes by. Nothing in it can be exhausted: a flood of 1 000 000 sources per second sets a fifth of the bits of a
//! generation, so one stranger in a thousand is taken for one who has been seen.

use super::{addr::Addr, flow::Tuple, meter};

/// First line, in the table of meters.
pub const FIRST: u32 = meter::REPEATS_FIRST;
/// Pairs of lines: one of each generation.
const PAIRS: u32 = meter::REPEAT_BUCKETS / 2;
/// Ticks of a generation: whoever tries again after less than this is recognised.
const TICKS: u32 = 2;
/// Bits that stand for a source.
pub const BITS: usize = 4;
/// Words of a line that hold bits; the first one holds the generation.
const BIT_WORDS: u32 = meter::WAYS as u32 - 1;

/// The generation at a tick; never 0.
#[inline(always)]
#[must_use]
pub const fn generation(tick: u32) -> u32 {
    tick / TICKS + 1
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
