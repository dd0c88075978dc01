//! A verdict in one number: the answer of a program that explains instead of acting.

use super::{
    reason::{Reason, Verdict},
    rule::RuleRef,
};

const RULE_BITS: u32 = 24;

/// `rule (24 bits) | reason (8 bits)`, from the low end.
#[inline(always)]
#[must_use]
pub const fn pack(verdict: Verdict) -> u32 {
    verdict.rule.bits() & ((1 << RULE_BITS) - 1) | (verdict.reason as u32) << RULE_BITS
}

/// The reason and the rule of a packed verdict; `None` for a reason of another version.
#[must_use]
pub fn unpack(packed: u32) -> Option<(Reason, RuleRef)> {
    let reason = *Reason::ALL.get((packed >> RULE_BITS) as usize)?;
    Some((reason, RuleRef::from_bits(packed & ((1 << RULE_BITS) - 1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::reason::Action;

    #[test]
    fn what_is_packed_comes_out_again() {
        for reason in Reason::ALL {
            for rule in [
                RuleRef::NONE,
                RuleRef::new(0, true),
                RuleRef::new(RuleRef::MAX_RULES - 1, false),
            ] {
                let verdict = Verdict {
                    action: Action::Drop,
                    reason: *reason,
                    rule,
                };
                assert_eq!(unpack(pack(verdict)), Some((*reason, rule)));
            }
        }
        assert_eq!(unpack(u32::MAX), None);
    }
}
