//! Handshakes under way: what this host, or a container behind it, has answered with a SYN+ACK. In a fixed number of
//! words, each of the last tuple that chose it: `acknowledgement number of the SYN+ACK (32 bits) | segments that it
//! let in (8) | tag (24)`, from the low end.
//!
//! A word lets a few segments in until a session is proven, and it proves one: as long as the handshake is not
//! complete, this end acknowledges the SYN and nothing else, whatever anybody sends (a forged segment makes a half-open
//! socket repeat that very number). An acknowledgement of more is one of data, which a completed handshake precedes.

use super::{
    ceiling_map::{HANDSHAKES, HANDSHAKES_FIRST},
    flow::Tag,
};

/// Segments that one SYN+ACK lets in: the last one of the handshake, and data right behind it.
pub const SEGMENTS: u32 = 4;

const INDEX_SHIFT: u32 = 16;
const TAG_SHIFT: u32 = 40;
const COUNT_SHIFT: u32 = 32;

/// Where the handshake of a tuple stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Word of the map of ceilings.
    pub at: u32,
    tag: u32,
}

impl Handshake {
    /// Of the tuple with this tag. Its lowest bits choose a bucket of the flow table, others a word here.
    #[inline(always)]
    #[must_use]
    pub const fn of(tag: Tag) -> Self {
        Self {
            at: HANDSHAKES_FIRST + ((tag.bits() >> INDEX_SHIFT) as u32 & (HANDSHAKES - 1)),
            tag: (tag.bits() >> TAG_SHIFT) as u32,
        }
    }

    /// The word after an acknowledgement of this number.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, acknowledged: u32) -> u64 {
        (self.tag as u64) << TAG_SHIFT | acknowledged as u64
    }

    /// Is this word of the same tuple?
    #[inline(always)]
    #[must_use]
    pub const fn is_own(self, word: u64) -> bool {
        word != 0 && (word >> TAG_SHIFT) as u32 == self.tag
    }

    /// The word after one segment more that it lets in; `None` if it lets in none.
    #[inline(always)]
    #[must_use]
    pub const fn after_segment(self, word: u64) -> Option<u64> {
        let count = (word >> COUNT_SHIFT) as u32 & 0xff;
        if self.is_own(word) && count < SEGMENTS {
            Some(word + (1 << COUNT_SHIFT))
        } else {
            None
        }
    }

    /// Does an acknowledgement of this number prove a session?
    #[inline(always)]
    #[must_use]
    pub const fn is_proven(self, word: u64, acknowledged: u32) -> bool {
        self.is_own(word) && word as u32 != acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_lets_a_few_segments_in_and_its_own_alone() {
        let [own, other] = [0x1234_5678_9abc_def0, 0x2234_5678_9abc_def0]
            .map(|bits| Handshake::of(Tag::from_bits(bits)));
        assert_eq!(own.at, other.at);
        let mut word = own.word(7);
        assert!(own.is_own(word) && !other.is_own(word) && !own.is_own(0));
        assert_eq!(other.after_segment(word), None);
        for _ in 0..SEGMENTS {
            word = own.after_segment(word).expect("one more");
        }
        assert_eq!(own.after_segment(word), None);
        assert!(!own.is_proven(word, 7) && own.is_proven(word, 8));
        assert!(!other.is_proven(word, 8) && !own.is_proven(0, 8));
    }

    #[test]
    fn every_tuple_has_a_word_in_the_map() {
        for number in 0..4096_u64 {
            let tag = Tag::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let at = Handshake::of(tag).at;
            assert!((HANDSHAKES_FIRST..HANDSHAKES_FIRST + HANDSHAKES).contains(&at));
        }
    }
}
