//! Memory of accepted first fragments, so that the rest of a datagram may follow: a fixed table of
//! stamps that a sender can overwrite but never grow. Each stamp lets in as many fragments as a datagram has, so
//! that repeating one part of an accepted datagram is no way in.

use super::addr::Addr;

/// Cells in the table; a collision makes a datagram wait for its retransmission.
pub const CELLS: u32 = 4096;
/// How long the rest of a datagram may follow its first fragment: Linux's reassembly timeout
/// (`net.ipv4.ipfrag_time`, 30 s).
pub const LIFETIME_NS: u64 = 30_000_000_000;
/// How many fragments may follow the first one. A datagram of 65 535 bytes has 119 in the smallest pieces that IPv4
/// asks every host to take (RFC 791: 576 bytes, of which 552 are data); the rest is for what the network doubles.
pub const FOLLOWERS: u64 = 128;
/// A stamp counts units of 2^20 ns of boot time.
const TICK_SHIFT: u32 = 20;
/// After 52 days a stamp looks new again, for 30 s and for a datagram with the same tag.
const TICK_BITS: u32 = 32;
const LEFT_BITS: u32 = 8;
const TAG_BITS: u32 = 64 - TICK_BITS - LEFT_BITS;
const TICKS: u64 = (1 << TICK_BITS) - 1;
/// One follower, in a stamp.
const FOLLOWER: u64 = 1 << TICK_BITS;

/// Identity of a fragmented datagram, hashed with the seed of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentKey(u64);

impl FragmentKey {
    /// The key of datagram `id` between two hosts.
    #[inline(always)]
    #[must_use]
    pub fn new(source: Addr, destination: Addr, id: u32, protocol: u8, seed: u64) -> Self {
        let mut hash = seed ^ u64::from(id) << 8 ^ u64::from(protocol);
        for part in [source.hi(), source.lo(), destination.hi(), destination.lo()] {
            hash = (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        }
        Self(hash)
    }

    /// Which cell remembers it.
    #[inline(always)]
    #[must_use]
    pub const fn cell(self) -> u32 {
        self.0 as u32 & (CELLS - 1)
    }

    /// The word that says "accepted at `now_ns`, and nothing has followed".
    #[inline(always)]
    #[must_use]
    pub const fn stamp(self, now_ns: u64) -> u64 {
        self.tag() | (FOLLOWERS * FOLLOWER) | (now_ns >> TICK_SHIFT) & TICKS
    }

    /// What is left of that word once one more fragment has followed; `None` where it does not vouch for this
    /// datagram at `now_ns`, or enough have followed.
    #[inline(always)]
    #[must_use]
    pub const fn after_follower(self, stamp: u64, now_ns: u64) -> Option<u64> {
        let age = (now_ns >> TICK_SHIFT).wrapping_sub(stamp) & TICKS;
        let is_own = (stamp ^ self.tag()) >> (64 - TAG_BITS) == 0;
        let is_used_up = stamp & ((1 << LEFT_BITS) - 1) << TICK_BITS == 0;
        if is_own && !is_used_up && age <= LIFETIME_NS >> TICK_SHIFT {
            Some(stamp - FOLLOWER)
        } else {
            None
        }
    }

    #[inline(always)]
    const fn tag(self) -> u64 {
        self.0 >> (64 - TAG_BITS) << (64 - TAG_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 5_000_000_000_000;

    fn key(id: u32) -> FragmentKey {
        FragmentKey::new(Addr::from_v4(1), Addr::from_v4(2), id, 17, 42)
    }

    #[test]
    fn a_stamp_vouches_for_its_own_datagram_until_it_is_too_old() {
        let stamp = key(7).stamp(NOW);
        let vouches = |id, now| key(id).after_follower(stamp, now).is_some();
        assert!(vouches(7, NOW));
        assert!(vouches(7, NOW + LIFETIME_NS / 2));
        assert!(!vouches(7, NOW + LIFETIME_NS + (4 << TICK_SHIFT)));
        assert!(!vouches(8, NOW));
        assert_eq!(key(7).after_follower(0, NOW), None, "an empty cell");
    }

    #[test]
    fn as_many_follow_as_a_datagram_has() {
        let mut stamp = key(7).stamp(NOW);
        let mut followed = 0;
        while let Some(left) = key(7).after_follower(stamp, NOW) {
            followed += 1;
            stamp = left;
        }
        assert_eq!(followed, FOLLOWERS);
    }
}
