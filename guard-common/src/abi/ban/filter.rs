//! The filter in front of the bans: which sources some ban may touch.
//!
//! IPv4: a word per /18 (2 MB in all). Half of its bits stand for two /24s each, the other half for the last
//! octet of an address in every fourth /24, eight bits each; an address that is banned has one of
//! each half, a network all eight of the second. So a million addresses spread over all of IPv4 leave
//! two of a hundred others to be looked up, where a bit per /24 in the same memory leaves six.
//!
//! IPv6: a hashed bit, of 64 K for prefixes before /64 by their first 32 bits, of 4 M for all others by
//! their first 64.

use crate::abi::addr::Addr;

/// IPv4 addresses of a word, as a power of two.
const WORD_BITS: u32 = 14;
/// Words for IPv4.
const V4_WORDS: u32 = 1 << (32 - WORD_BITS);
/// Bits for the /24s of a word; the others are for ends of addresses.
const NETS: u32 = 32;
/// /24s that are told apart by the ends of their addresses.
const GROUPS: u32 = 4;
/// Bits for the ends of addresses of a group.
const ENDS: u32 = 8;
/// Bits for IPv6 prefixes before /64, as a power of two.
const SHORT_BITS: u32 = 16;
/// Bits for IPv6 prefixes from /64 on, as a power of two.
const LONG_BITS: u32 = 22;
const SHORT_FIRST: u32 = V4_WORDS;
const LONG_FIRST: u32 = SHORT_FIRST + (1 << SHORT_BITS) / 64;
/// All words.
pub(super) const WORDS: u32 = LONG_FIRST + (1 << LONG_BITS) / 64;

/// Bits of a word of the filter, all of which must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterBits {
    /// Which word.
    pub word: u32,
    /// The bits.
    pub mask: u64,
}

impl FilterBits {
    /// Of an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn v4(addr: Addr) -> Self {
        let addr = addr.v4();
        let net = addr >> 8 & 63;
        let end = net % GROUPS * ENDS + (addr >> 1 & (ENDS - 1));
        Self {
            word: addr >> WORD_BITS,
            mask: 1 << (net / 2) | 1 << (NETS + end),
        }
    }

    /// Of an IPv4 network within a /24.
    #[must_use]
    pub const fn v4_network(addr: Addr) -> Self {
        let group = (addr.v4() >> 8) % GROUPS;
        let ends = (1 << ENDS) - 1;
        let one = Self::v4(addr);
        Self {
            mask: one.mask | ends << (NETS + group * ENDS),
            ..one
        }
    }

    /// Of an IPv6 address, for bans before /64. A wider ban than /32 sets those of every /32 in it.
    #[inline(always)]
    #[must_use]
    pub const fn short_v6(addr: Addr) -> Self {
        let hash = ((addr.hi() >> 32) as u32).wrapping_mul(0x9e37_79b1) >> (32 - SHORT_BITS);
        Self::hashed(SHORT_FIRST, hash)
    }

    /// Of an IPv6 address, for bans of /64 and longer.
    #[inline(always)]
    #[must_use]
    pub const fn long_v6(addr: Addr) -> Self {
        let hash = addr.hi().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LONG_BITS);
        Self::hashed(LONG_FIRST, hash as u32)
    }

    #[inline(always)]
    const fn hashed(first: u32, hash: u32) -> Self {
        Self {
            word: first + (hash >> 6),
            mask: 1 << (hash & 63),
        }
    }

    /// Does the word have them all?
    #[inline(always)]
    #[must_use]
    pub const fn are_in(self, word: u64) -> bool {
        word & self.mask == self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_has_room_for_every_bit() {
        for bits in [0, u64::MAX, 0x2001_0db8_0000_0000] {
            let addr = Addr::from_halves(bits, bits);
            assert!(FilterBits::v4(addr).word < SHORT_FIRST);
            assert!((SHORT_FIRST..LONG_FIRST).contains(&FilterBits::short_v6(addr).word));
            assert!((LONG_FIRST..WORDS).contains(&FilterBits::long_v6(addr).word));
        }
    }

    #[test]
    fn a_network_has_the_bits_of_each_of_its_addresses_and_no_other_bits_of_nets() {
        for last in 0..=255u32 {
            let addr = Addr::from_v4(0x0102_3f00 | last);
            let (one, net) = (FilterBits::v4(addr), FilterBits::v4_network(addr));
            assert_eq!(one.mask.count_ones(), 2);
            assert_eq!(net.mask.count_ones(), 1 + ENDS);
            assert!(one.word == net.word && one.are_in(net.mask));
        }
        let nets = |third: u32| FilterBits::v4(Addr::from_v4(third << 8)).mask & !(!0 << NETS);
        let all = (0..64).fold(0, |mask, third| mask | nets(third));
        assert_eq!(all, !(!0 << NETS), "every bit stands for a net");
        let networks = (0..4).map(|third| FilterBits::v4_network(Addr::from_v4(third << 8)));
        let all = networks.fold(0, |mask, bits| mask | bits.mask);
        assert_eq!(all >> NETS, !0 >> NETS, "every bit stands for an end");
    }
}
