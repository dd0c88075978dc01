//! Which rule a packet is counted for: hits, as other firewalls show them beside a rule.
//!
//! A hit is a packet that a rule let in or dropped: a connection's first segment, a datagram, a ping, and everything
//! that a rule denies. What belongs to a session of TCP is counted by port alone, and so is what a limit or a ceiling
//! stops.

use super::{rule::RuleRef, switch::SlotState};

/// The cell that counts a packet: `the rule's ordinal + 1 (14 bits, 0 = for no rule) | slot of its policy (2 bits)`,
/// from the low end. By slot, so that a change of policy mixes up no two rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit(u16);

impl Hit {
    /// For no rule.
    pub const NONE: Self = Self(0);
    /// Bits of the number.
    pub const BITS: u32 = 16;
    /// Cells in a shard of the map.
    pub const CELLS: u32 = 1 << Self::BITS;
    /// Most rules of a policy whose hits can be told apart.
    pub const MOST_RULES: u32 = (1 << Self::RULE_BITS) - 1;
    const RULE_BITS: u32 = 14;
    const RULE_MASK: u16 = (1 << Self::RULE_BITS) - 1;

    /// A packet that this rule of the policy in force decides about.
    #[inline(always)]
    #[must_use]
    pub const fn of(state: SlotState, rule: RuleRef) -> Self {
        Self::new(state.slot(), rule.number())
    }

    /// Of the rule with this number (its ordinal + 1) in the policy in this slot. Numbers above
    /// [`Hit::MOST_RULES`] share cells, because a comparison here is one on many paths through the program: of a
    /// policy that has them nobody reads the hits.
    #[inline(always)]
    #[must_use]
    pub const fn new(slot: u32, number: u32) -> Self {
        Self(number as u16 & Self::RULE_MASK | (slot << Self::RULE_BITS) as u16)
    }

    /// The rule's ordinal + 1; 0 = for no rule.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        (self.0 & Self::RULE_MASK) as u32
    }

    /// For no rule?
    #[inline(always)]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.number() == 0
    }

    /// As one number, the cell's.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The inverse of [`Hit::bits`].
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_a_slot_has_a_cell_of_its_own_and_none_has_none() {
        let cell = |slot, rule| Hit::of(SlotState::new(slot, 0x3ff), rule);
        let last = RuleRef::new(Hit::MOST_RULES - 1, true);
        assert!(cell(2, RuleRef::NONE).is_none());
        assert_eq!(cell(0, RuleRef::new(0, false)), Hit::new(0, 1));
        assert_eq!(cell(2, last.limited()), cell(2, last));
        assert_ne!(cell(2, last), cell(1, last));
        assert!(u32::from(cell(2, last).bits()) < Hit::CELLS);
        assert_eq!(cell(2, last).number(), Hit::MOST_RULES);
        assert_eq!(Hit::from_bits(cell(2, last).bits()), cell(2, last));
    }
}
