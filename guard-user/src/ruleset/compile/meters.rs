//! The meters of the rules that limit, by ordinal.

use guard_common::abi::meter::Meter;

use super::Jiffy;
use crate::ruleset::{
    describe,
    limit::Limit,
    model::{Rule, RuleAction, Traffic},
};

/// Two words for every rule up to the last one that limits; none limits: no words.
pub(super) fn words(rules: &[Rule], jiffy: Jiffy) -> Vec<u64> {
    let is_limit = |rule: &Rule| of(rule).is_some();
    let length = rules.iter().rposition(is_limit).map_or(0, |last| last + 1);
    rules[..length]
        .iter()
        .flat_map(|rule| match of(rule) {
            Some(limit) => limit.meter(number(rule), jiffy.0).to_words(),
            None => [0; Meter::WORDS as usize],
        })
        .collect()
}

/// The limit of a rule: its own, or what every allowed ping has.
pub(super) fn of(rule: &Rule) -> Option<Limit> {
    match (rule.action, &rule.traffic) {
        (RuleAction::Limit(limit), _) => Some(limit),
        (RuleAction::Allow, Traffic::Icmp(_)) => Some(Limit::ICMP),
        (RuleAction::Allow | RuleAction::Deny, _) => None,
    }
}

/// A number that the rule keeps wherever it stands, so that what sources owe survives a change of other
/// rules: FNV-1a of its words.
fn number(rule: &Rule) -> u32 {
    let words = describe::command(&rule.bare());
    words.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
