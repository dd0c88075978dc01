//! Memory of accepted first fragments, so that the rest of a datagram may follow: a fixed table of
//! stamps that a sender can overwrite but never grow.

use super::addr::Addr;

/// Cells in the table; a collision makes a datagram wait for its retransmission.
pub const CELLS: u32 = 4096;
/// How long the rest of a datagram may follow its first fragment: Linux's reassembly timeout
/// (`net.ipv4.ipfrag_time`, 30 s).
pub const LIFETIME_NS: u64 = 30_000_000_000;
/// A stamp counts units of 2^20 ns of boot time.
const TICK_SHIFT: u32 = 20;
const TAG_BITS: u32 = 24;

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

    /// The word that says "accepted at `now_ns`".
    #[inline(always)]
    #[must_use]
    pub const fn stamp(self, now_ns: u64) -> u64 {
        (self.0 >> (64 - TAG_BITS)) << (64 - TAG_BITS) | (now_ns >> TICK_SHIFT) & ((1 << 40) - 1)
    }

    /// Does that word vouch for this datagram at `now_ns`?
    #[inline(always)]
    #[must_use]
    pub const fn is_vouched_by(self, stamp: u64, now_ns: u64) -> bool {
        let ticks = (now_ns >> TICK_SHIFT) & ((1 << 40) - 1);
        let stamped = stamp & ((1 << 40) - 1);
        stamp != 0
            && stamp >> (64 - TAG_BITS) == self.0 >> (64 - TAG_BITS)
            && ticks.wrapping_sub(stamped) <= LIFETIME_NS >> TICK_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_vouches_for_its_own_datagram_until_it_is_too_old() {
        let (a, b) = (Addr::from_v4(1), Addr::from_v4(2));
        let key = FragmentKey::new(a, b, 7, 17, 42);
        let other = FragmentKey::new(a, b, 8, 17, 42);
        let now = 5_000_000_000_000;
        let stamp = key.stamp(now);
        assert!(key.is_vouched_by(stamp, now));
        assert!(key.is_vouched_by(stamp, now + LIFETIME_NS / 2));
        assert!(!key.is_vouched_by(stamp, now + LIFETIME_NS + (4 << TICK_SHIFT)));
        assert!(!other.is_vouched_by(stamp, now));
        assert!(!key.is_vouched_by(0, now));
    }
}
