//! The one word that says which policy is in force. Written by one aligned store, read once per
//! packet, so that no packet sees half of each policy.

/// Slots for compiled policies: the active one, the one to return to, and one to stage the next in.
pub const SLOTS: u32 = 3;

/// Words of the map.
pub const WORDS: u32 = 3;
/// Which of them says which policy is in force.
pub const POLICY_WORD: u32 = 0;
/// Which of them holds the seed of this boot.
pub const SEED_WORD: u32 = 1;
/// Which of them tells the time where tests do.
pub const CLOCK_WORD: u32 = 2;

const SLOT_BITS: u32 = 2;
const STATE_BITS: u32 = SLOT_BITS + 10;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
/// A deadline counts units of 2^20 ns (1.05 ms) of boot time; 40 bits of it last for 36 years.
const DEADLINE_SHIFT: u32 = 20;

/// A slot, and what a packet must know of its policy before it looks into it (the flags of
/// [`super::image`]): most packets of a flood need nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotState(u32);

impl SlotState {
    /// Bits of the number.
    pub const BITS: u32 = STATE_BITS;

    /// Slot below [`SLOTS`], 10 bits of flags.
    #[must_use]
    pub const fn new(slot: u32, flags: u32) -> Self {
        Self((slot | flags << SLOT_BITS) & STATE_MASK as u32)
    }

    /// As one number of [`SlotState::BITS`] bits.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`SlotState::bits`].
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Number of the slot.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0 & ((1 << SLOT_BITS) - 1)
    }

    /// Flags of its policy.
    #[inline(always)]
    #[must_use]
    pub const fn flags(self) -> u32 {
        self.0 >> SLOT_BITS
    }
}

/// `active (12 bits) | previous (12 bits) | deadline (40 bits, 0 = none)`, from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchWord(u64);

impl SwitchWord {
    /// A confirmed policy that replaced the one in `previous`, whose slot stays untouched until the
    /// next change.
    #[must_use]
    pub const fn settled(active: SlotState, previous: SlotState) -> Self {
        Self((previous.0 as u64) << STATE_BITS | active.0 as u64)
    }

    /// A policy that gives way to `previous` at `deadline_ns` of boot time unless it is confirmed.
    #[must_use]
    pub const fn pending(active: SlotState, previous: SlotState, deadline_ns: u64) -> Self {
        let ticks = (deadline_ns >> DEADLINE_SHIFT) | 1;
        Self(ticks << (2 * STATE_BITS) | Self::settled(active, previous).0)
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

    /// The policy in force as long as the deadline has not passed.
    #[inline(always)]
    #[must_use]
    pub const fn active(self) -> SlotState {
        SlotState((self.0 & STATE_MASK) as u32)
    }

    /// The policy in force after the deadline.
    #[inline(always)]
    #[must_use]
    pub const fn previous(self) -> SlotState {
        SlotState((self.0 >> STATE_BITS & STATE_MASK) as u32)
    }

    /// Is a confirmation awaited? If not, nobody has to read a clock.
    #[inline(always)]
    #[must_use]
    pub const fn has_deadline(self) -> bool {
        self.0 >> (2 * STATE_BITS) != 0
    }

    /// Boot time in ns at which the previous policy comes back; `None` = this one is confirmed.
    #[must_use]
    pub const fn deadline_ns(self) -> Option<u64> {
        if self.has_deadline() {
            Some((self.0 >> (2 * STATE_BITS)) << DEADLINE_SHIFT)
        } else {
            None
        }
    }

    /// Has the deadline passed, so that the previous policy is in force?
    #[inline(always)]
    #[must_use]
    pub const fn is_expired(self, now_ns: u64) -> bool {
        self.has_deadline() && now_ns >> DEADLINE_SHIFT >= self.0 >> (2 * STATE_BITS)
    }

    /// The policy in force at `now_ns` of boot time.
    #[inline(always)]
    #[must_use]
    pub const fn at(self, now_ns: u64) -> SlotState {
        if self.is_expired(now_ns) {
            self.previous()
        } else {
            self.active()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: SlotState = SlotState::new(0, 0b11_1101_0101);
    const NEW: SlotState = SlotState::new(2, 0b10_0010_1010);

    #[test]
    fn a_settled_word_never_asks_the_clock() {
        let word = SwitchWord::settled(NEW, OLD);
        assert!(!word.has_deadline());
        assert_eq!(word.at(u64::MAX), NEW);
        assert_eq!((NEW.slot(), NEW.flags()), (2, 0b10_0010_1010));
    }

    #[test]
    fn a_pending_word_returns_to_the_previous_slot_at_its_deadline() {
        let second = 1_000_000_000;
        let word = SwitchWord::pending(NEW, OLD, 60 * second);
        assert!(word.has_deadline());
        assert_eq!(word.at(59 * second), NEW);
        assert_eq!(word.at(61 * second), OLD);
        assert_eq!(SwitchWord::from_bits(word.bits()), word);
    }
}
