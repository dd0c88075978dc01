//! What is asked of the rules and what they answer, in numbers that fit a call between BPF functions.

use crate::abi::{
    image::DEFAULT_ALLOW,
    reason::{Reason, Verdict},
    rule::RuleRef,
};

/// What else than service and source tells a packet from another, in numbers that fit a call between BPF functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// First word of the policy's slot.
    pub base: u32,
    /// Flags of the policy, 10 bits.
    pub flags: u32,
    /// Index of the interface that it arrives on.
    pub ifindex: u32,
    /// Class of its destination.
    pub destination_class: u32,
    /// The port of the sender.
    pub source_port: u16,
}

/// What follows from a packet's headers: where to look in a policy's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleLookup {
    /// First word of the policy's slot.
    pub base: u32,
    /// Flags of the policy, 10 bits.
    pub flags: u32,
    /// Group of rules that the service belongs to, 16 bits; 0 = no rule names it.
    pub group: u32,
    /// Class of the source; 0 = no prefix holds it.
    pub class: u32,
    /// Number of scopes.
    pub scopes: u32,
    /// Scope of interface, destination, source port and time.
    pub scope: u32,
}

/// What the rules, or the default, say.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleOutcome {
    /// No rule matches, and the default denies.
    DefaultDrop = 0,
    /// No rule matches, and the default allows.
    DefaultAllow = 1,
    /// A rule allows.
    Allow = 2,
    /// A rule denies.
    Deny = 3,
    /// The source is an address of this host.
    OwnSource = 4,
}

/// An answer in one number: `rule (24 bits) | outcome (8 bits)`, from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulesAnswer(u32);

impl RulesAnswer {
    const RULE_BITS: u32 = 24;

    #[inline(always)]
    pub(super) const fn new(outcome: RuleOutcome, rule: RuleRef) -> Self {
        Self(rule.bits() & ((1 << Self::RULE_BITS) - 1) | (outcome as u32) << Self::RULE_BITS)
    }

    /// What a rule says, or the default where there is none.
    #[inline(always)]
    pub(super) const fn of(rule: RuleRef, flags: u32) -> Self {
        let outcome = if rule.is_none() {
            if flags & DEFAULT_ALLOW == 0 {
                RuleOutcome::DefaultDrop
            } else {
                RuleOutcome::DefaultAllow
            }
        } else if rule.allows() {
            RuleOutcome::Allow
        } else {
            RuleOutcome::Deny
        };
        Self::new(outcome, rule)
    }

    /// As returned between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As returned between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Does a rule (not the default) allow it?
    #[inline(always)]
    #[must_use]
    pub const fn is_allowed_by_rule(self) -> bool {
        self.0 >> Self::RULE_BITS == RuleOutcome::Allow as u32
    }

    /// Does a rule or the default let it in?
    #[inline(always)]
    #[must_use]
    pub const fn lets_in(self) -> bool {
        let outcome = self.0 >> Self::RULE_BITS;
        outcome == RuleOutcome::Allow as u32 || outcome == RuleOutcome::DefaultAllow as u32
    }

    /// Does the rule limit new connections?
    #[inline(always)]
    #[must_use]
    pub const fn is_limited(self) -> bool {
        RuleRef::from_bits(self.0).is_limited()
    }

    /// Is the source an address of this host?
    #[inline(always)]
    #[must_use]
    pub const fn is_own_source(self) -> bool {
        self.0 >> Self::RULE_BITS == RuleOutcome::OwnSource as u32
    }

    /// The verdict.
    #[inline(always)]
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        let mut verdict = Verdict::of(match self.0 >> Self::RULE_BITS {
            1 => Reason::DefaultAllow,
            2 => Reason::RuleAllow,
            3 => Reason::RuleDeny,
            4 => Reason::OwnSource,
            _ => Reason::DefaultDrop,
        });
        verdict.rule = RuleRef::from_bits(self.0 & ((1 << Self::RULE_BITS) - 1));
        verdict
    }
}
