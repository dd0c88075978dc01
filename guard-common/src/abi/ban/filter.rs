//! The filter in front of the bans: which sources some ban may touch.
//!
//! IPv4 addresses: a word per /17 (1 MB in all), of which an address has two bits, one of each half. So a million
//! addresses spread over all of IPv4 leave five of a hundred others to be looked up; a bit per /23 in the same
//! memory leaves eleven. Each of them waits for memory, since what is looked up so seldom is in no cache. (Three
//! bits leave four of a hundred, and cost a banned source a nanosecond.)
//!
//! IPv4 networks: a word per /16 (0.5 MB), of which a /24 has two bits, one of each half.
//!
//! IPv6: a hashed bit, of 64 K for prefixes before /64 by their first 32 bits, of 4 M for all others by
//! their first 64. The hash has a key of this boot, or whoever is banned could choose sources that meet his
//! own bit, and make each packet of them pay for the look-up behind the filter.
//!
//! What is read for every packet is as small as this because a CPU of a small server has few MB of cache, and the
//! fingerprint filter ([`super::FingerprintBucket`]) needs them too.

use crate::abi::addr::Addr;

/// IPv4 addresses that share a word, as a power of two.
const ADDRESS_WORD: u32 = 15;
/// Words for IPv4 addresses.
const ADDRESS_WORDS: u32 = 1 << (32 - ADDRESS_WORD);
/// IPv4 addresses of the networks that share a word, as a power of two.
const NETWORK_WORD: u32 = 16;
/// Words for IPv4 networks.
const NETWORK_WORDS: u32 = 1 << (32 - NETWORK_WORD);
const NETWORK_FIRST: u32 = ADDRESS_WORDS;
/// Bits for IPv6 prefixes before /64, as a power of two.
const SHORT_BITS: u32 = 16;
/// Bits for IPv6 prefixes from /64 on, as a power of two.
const LONG_BITS: u32 = 22;
const SHORT_FIRST: u32 = NETWORK_FIRST + NETWORK_WORDS;
const LONG_FIRST: u32 = SHORT_FIRST + (1 << SHORT_BITS) / 64;
/// All words.
pub(super) const WORDS: u32 = LONG_FIRST + (1 << LONG_BITS) / 64;

/// The key of the hashed bits, of those that the flow hash has.
const KEY: usize = 4;

/// Universal: two values that somebody chooses without the key meet in the highest n bits with a
/// probability of 2^(1-n) at most (Dietzfelbinger et al., 1997).
#[inline(always)]
const fn multiply_shift(value: u64, key: u64) -> u64 {
    value.wrapping_mul(key | 1)
}

/// Bits of a word of the filter, all of which must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterBits {
    /// Which word.
    pub word: u32,
    /// The bits.
    pub mask: u64,
}

impl FilterBits {
    /// Leading bits that the addresses of a word of [`FilterBits::v4_address`] share.
    pub const V4_ADDRESS_WORD: u32 = 32 - ADDRESS_WORD;
    /// Leading bits that the addresses of a word of [`FilterBits::v4_network`] share.
    pub const V4_NETWORK_WORD: u32 = 32 - NETWORK_WORD;

    /// Of an IPv4 address, for bans of it alone.
    #[inline(always)]
    #[must_use]
    pub const fn v4_address(addr: Addr) -> Self {
        let addr = addr.v4();
        // Whatever step there is between the addresses of a list.
        let hash = addr.wrapping_mul(0x9e37_79b1);
        Self {
            word: addr >> ADDRESS_WORD,
            mask: 1 << (hash >> 27) | 1 << (32 + (hash >> 22 & 31)),
        }
    }

    /// Of an IPv4 address, for bans of networks that hold it or the /24 around it.
    #[inline(always)]
    #[must_use]
    pub const fn v4_network(addr: Addr) -> Self {
        let addr = addr.v4();
        let net = addr >> 8 & 0xff;
        Self {
            word: NETWORK_FIRST + (addr >> NETWORK_WORD),
            mask: 1 << (net >> 3) | 1 << (32 + (net & 31)),
        }
    }

    /// Of an IPv6 address, for bans before /64. A wider ban than /32 sets those of every /32 in it.
    #[inline(always)]
    #[must_use]
    pub fn short_v6(addr: Addr, key: impl Fn(usize) -> u64) -> Self {
        let hash = multiply_shift(addr.hi() >> 32, key(KEY)) >> (64 - SHORT_BITS);
        Self::hashed(SHORT_FIRST, hash as u32)
    }

    /// Of an IPv6 address, for bans of /64 and longer.
    #[inline(always)]
    #[must_use]
    pub fn long_v6(addr: Addr, key: impl Fn(usize) -> u64) -> Self {
        let hash = multiply_shift(addr.hi(), key(KEY)) >> (64 - LONG_BITS);
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
            assert!(FilterBits::v4_address(addr).word < NETWORK_FIRST);
            assert!((NETWORK_FIRST..SHORT_FIRST).contains(&FilterBits::v4_network(addr).word));
            let key = |_| u64::MAX;
            let (short, long) = (
                FilterBits::short_v6(addr, key),
                FilterBits::long_v6(addr, key),
            );
            assert!((SHORT_FIRST..LONG_FIRST).contains(&short.word));
            assert!((LONG_FIRST..WORDS).contains(&long.word));
        }
    }

    #[test]
    fn every_bit_stands_for_some_address_and_for_some_network() {
        let first = 0x0102_0000u32;
        let (mut of_addresses, mut of_networks) = (0, 0);
        for last in 0..1 << 15 {
            let addr = Addr::from_v4(first | last);
            let bits = FilterBits::v4_address(addr);
            assert_eq!(bits.word, FilterBits::v4_address(Addr::from_v4(first)).word);
            assert_eq!(bits.mask.count_ones(), 2);
            of_addresses |= bits.mask;
            of_networks |= FilterBits::v4_network(addr).mask;
            let other = Addr::from_v4(first | 1 << 15 | last);
            assert_ne!(bits.word, FilterBits::v4_address(other).word);
            of_networks |= FilterBits::v4_network(other).mask;
        }
        assert_eq!((of_addresses, of_networks), (!0, !0));
        let nets = |third: u32| FilterBits::v4_network(Addr::from_v4(first | third << 8)).mask;
        for third in 0..256 {
            let alike = (0..256).filter(|other| nets(*other) == nets(third));
            assert_eq!(alike.count(), 1, "{third}");
        }
    }

    /// With a number that everybody can read in the place of the key, all of these meet.
    #[test]
    fn nobody_chooses_ipv6_sources_that_meet_a_banned_one() {
        const SOURCES: u64 = 10_000;
        let of = |hi: u64, key: u64| FilterBits::long_v6(Addr::from_halves(hi, 0), |_| key);
        // The inverse of an odd number, by Newton's iteration: five steps from three right bits.
        let inverse = |odd: u64| {
            (0..5).fold(odd, |guess, _| {
                guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)))
            })
        };
        let known = 0x9e37_79b9_7f4a_7c15u64;
        let banned = 0x2001_0db8_0066_0000;
        let image = multiply_shift(banned, known) >> (64 - LONG_BITS) << (64 - LONG_BITS);
        let chosen = |n: u64| (image | n).wrapping_mul(inverse(known));
        let meets = |key| {
            let sources = (0..SOURCES).filter(|n| of(chosen(*n), key) == of(banned, key));
            sources.count()
        };
        assert_eq!(meets(known), SOURCES as usize);
        for seed in 1..20 {
            let met = meets(crate::abi::flow::keys(seed)[KEY]);
            assert!(met < 5, "seed {seed}: {met}");
        }
    }

    #[test]
    fn few_strangers_beside_a_million_are_looked_up() {
        const BANS: u32 = 1_000_000;
        for step in [3698u32, 4099] {
            let banned = |n: u32| Addr::from_v4(0x0100_0007u32.wrapping_add(n.wrapping_mul(step)));
            let mut words = vec![0u64; ADDRESS_WORDS as usize];
            for n in 0..BANS {
                let bits = FilterBits::v4_address(banned(n));
                words[bits.word as usize] |= bits.mask;
            }
            let is_in = |addr| {
                let bits = FilterBits::v4_address(addr);
                bits.are_in(words[bits.word as usize])
            };
            assert!((0..BANS).all(|n| is_in(banned(n))));
            let strangers = (0..BANS).map(|n| Addr::from_v4(n.wrapping_mul(0x9e37_79b1)));
            let asked = strangers.filter(|addr| is_in(*addr)).count();
            assert!(asked < 60_000, "step {step}: {asked} of a million");
        }
    }
}
