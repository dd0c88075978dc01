//! How the rules in force differ from those of the files.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::controller::RuleView;

/// Rules that come and go, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleChanges {
    /// Rules that were not there before.
    pub added: Vec<String>,
    /// Rules that are there no more.
    pub removed: Vec<String>,
    /// How many stay.
    pub unchanged: usize,
    /// Do those that stay stand in another order?
    pub reordered: bool,
}

impl RuleChanges {
    /// Between two lists of rules.
    #[must_use]
    pub fn between(before: &[RuleView], after: &[RuleView]) -> Self {
        let (removed, stayed) = split(before, after);
        let (added, stays) = split(after, before);
        Self {
            added,
            removed,
            unchanged: stays.len(),
            reordered: stayed != stays,
        }
    }
}

/// Words of the rules of `these` that `those` lack, and of those that both have.
fn split(these: &[RuleView], those: &[RuleView]) -> (Vec<String>, Vec<String>) {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for view in those {
        *left.entry(text(view)).or_default() += 1;
    }
    these
        .iter()
        .map(text)
        .partition(|rule| match left.get_mut(rule.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        })
}

/// A disabled rule is not the one that acts.
fn text(view: &RuleView) -> String {
    if view.enabled {
        view.rule.clone()
    } else {
        format!("{} (disabled)", view.rule)
    }
}

impl fmt::Display for RuleChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (added, removed) = (self.added.len(), self.removed.len());
        write!(
            f,
            "{added} added, {removed} removed, {} unchanged",
            self.unchanged
        )?;
        if self.reordered {
            write!(f, " in another order")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_go_stay_and_move() {
        for (before, after, expected) in [
            ("", "", "0 added, 0 removed, 0 unchanged"),
            ("a b", "a b", "0 added, 0 removed, 2 unchanged"),
            ("a b", "b c", "1 added, 1 removed, 1 unchanged"),
            (
                "a b",
                "b a",
                "0 added, 0 removed, 2 unchanged in another order",
            ),
            ("a", "a a", "1 added, 0 removed, 1 unchanged"),
        ] {
            let difference = RuleChanges::between(&views(before), &views(after));
            assert_eq!(difference.to_string(), expected, "{before} -> {after}");
        }
    }

    fn views(rules: &str) -> Vec<RuleView> {
        rules
            .split_whitespace()
            .map(|rule| RuleView {
                number: 1,
                action: String::new(),
                to: String::new(),
                from: String::new(),
                rule: rule.to_owned(),
                until: None,
                hits: None,
                seconds_left: None,
                comment: None,
                name: None,
                tags: Vec::new(),
                on_excess: None,
                enabled: true,
            })
            .collect()
    }
}
