//! The one word that says which policy is in force. Written by one aligned store, read once per
//! packet, so that no packet sees half of each policy.

/// Slots for compiled policies: the active one, the one to return to, and one to stage the next in.
pub const SLOTS: u32 = 3;

/// `active (8 bits) | previous (8 bits) | deadline (48 bits, in 2^20 ns of boot time, 0 = none)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchWord(u64);

/// 2^20 ns = 1.05 ms: 48 bits of it last for nine thousand years of uptime.
const DEADLINE_SHIFT: u32 = 20;

impl SwitchWord {
    /// A confirmed policy.
    #[must_use]
    pub const fn settled(active: u32) -> Self {
        Self((active as u64 & 0xff) << 8 | active as u64 & 0xff)
    }

    /// A confirmed policy that replaced the one in `previous`, whose slot stays untouched until the
    /// next change.
    #[must_use]
    pub const fn settled_over(active: u32, previous: u32) -> Self {
        Self((previous as u64 & 0xff) << 8 | active as u64 & 0xff)
    }

    /// A policy that gives way to `previous` at `deadline_ns` of boot time unless it is confirmed.
    #[must_use]
    pub const fn pending(active: u32, previous: u32, deadline_ns: u64) -> Self {
        let ticks = (deadline_ns >> DEADLINE_SHIFT) | 1;
        Self(ticks << 16 | (previous as u64 & 0xff) << 8 | active as u64 & 0xff)
    }

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As stored.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The slot in force as long as the deadline has not passed.
    #[inline(always)]
    #[must_use]
    pub const fn active(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    /// The slot in force after the deadline.
    #[inline(always)]
    #[must_use]
    pub const fn previous(self) -> u32 {
        (self.0 >> 8 & 0xff) as u32
    }

    /// Is a confirmation awaited? If not, nobody has to read a clock.
    #[inline(always)]
    #[must_use]
    pub const fn has_deadline(self) -> bool {
        self.0 >> 16 != 0
    }

    /// The slot in force at `now_ns` of boot time.
    #[inline(always)]
    #[must_use]
    pub const fn slot_at(self, now_ns: u64) -> u32 {
        if self.has_deadline() && now_ns >> DEADLINE_SHIFT >= self.0 >> 16 {
            self.previous()
        } else {
            self.active()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_word_never_asks_the_clock() {
        let word = SwitchWord::settled(2);
        assert!(!word.has_deadline());
        assert_eq!(word.slot_at(u64::MAX), 2);
    }

    #[test]
    fn a_pending_word_returns_to_the_previous_slot_at_its_deadline() {
        let second = 1_000_000_000;
        let word = SwitchWord::pending(1, 0, 60 * second);
        assert!(word.has_deadline());
        assert_eq!(word.slot_at(59 * second), 1);
        assert_eq!(word.slot_at(61 * second), 0);
        assert_eq!(SwitchWord::from_bits(word.bits()), word);
    }
}
