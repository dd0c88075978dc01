//! What a policy is made of, without what its sets hold: for whoever needs names and must not wait, or may not read all.

use super::{Presence, Reading, Source};
use crate::ruleset::describe;

/// Names in a policy; what cannot be read is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The rules, in order.
    pub rules: Vec<RuleOutline>,
    /// Names of sets, without `@`.
    pub sets: Vec<String>,
    /// The never list, as it is written.
    pub never: Vec<String>,
}

/// One rule, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutline {
    /// From 1.
    pub number: usize,
    /// What commands call it.
    pub name: Option<String>,
    /// Words that it shares with others.
    pub tags: Vec<String>,
    /// What it does, and the operator's remark.
    pub text: String,
}

impl Source<'_> {
    /// Reads the policy files alone; reports nothing.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let mut reading = Reading::new(self);
        reading.document(self.main_file(), Presence::Optional);
        for path in reading.drop_ins() {
            reading.document(path, Presence::Required);
        }
        let mut outline = Outline::default();
        let mut number = 0;
        for (_, draft) in reading.drafts {
            outline
                .sets
                .extend(draft.sets.into_iter().map(|set| set.name.value));
            let never = draft.never.into_iter();
            outline
                .never
                .extend(never.map(|entry| entry.value.to_string()));
            for rule in draft.rules {
                number += 1;
                let Some(rule) = rule else { continue };
                let action = describe::action_word(rule.action);
                outline.rules.push(RuleOutline {
                    number,
                    name: rule.name.map(|name| name.value),
                    tags: rule.tags,
                    text: match rule.comment {
                        Some(comment) => format!("{action}: {comment}"),
                        None => format!("{action}, line {}", rule.at.line),
                    },
                });
            }
        }
        outline
    }
}
