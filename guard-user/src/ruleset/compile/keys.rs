//! What a rule is called in counters that outlive a policy.

use std::collections::HashMap;

use crate::{
    ruleset::{describe, model::Rule},
    text::digest::Digest,
};

/// A number for each rule, by its words: it keeps it wherever it stands, whatever it is called and whether it acts or
/// not. Rules with the same words are told apart by their order.
pub(super) fn words(rules: &[Rule]) -> Vec<u64> {
    let mut seen = HashMap::new();
    rules
        .iter()
        .map(|rule| {
            let words = describe::command(&rule.bare());
            let mut digest = Digest::new();
            digest.add(words.as_bytes());
            let same = seen.entry(digest.finish()).or_insert(0u32);
            digest.add(&same.to_le_bytes());
            *same += 1;
            digest.finish()
        })
        .collect()
}
