//! The meters of the rules that limit, by ordinal.

use guard_common::abi::meter::Meter;

use super::Jiffy;
use crate::ruleset::{
    describe,
    model::{Rule, RuleAction},
};

/// Two words for every rule up to the last one that limits; none limits: no words.
pub(super) fn words(rules: &[Rule], jiffy: Jiffy) -> Vec<u64> {
    let is_limit = |rule: &Rule| matches!(rule.action, RuleAction::Limit(_));
    let length = rules.iter().rposition(is_limit).map_or(0, |last| last + 1);
    rules[..length]
        .iter()
        .flat_map(|rule| match rule.action {
            RuleAction::Limit(limit) => limit.meter(number(rule), jiffy.0).to_words(),
            RuleAction::Allow | RuleAction::Deny => [0; Meter::WORDS as usize],
        })
        .collect()
}

/// A number that the rule keeps wherever it stands, so that what sources owe survives a change of other
/// rules: FNV-1a of its words.
fn number(rule: &Rule) -> u32 {
    let plain = Rule {
        comment: None,
        ..rule.clone()
    };
    let words = describe::command(&plain);
    words.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
