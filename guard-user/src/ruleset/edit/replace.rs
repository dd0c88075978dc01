//! Another limit or another end for a rule that is there: it changes where it stands.

use super::{EditError, EditOutcome, Edited, edit_text, finish, labels, locate};
use crate::ruleset::{
    describe::{same_match, same_rule},
    model::Rule,
    source::{Loaded, Source},
};

/// Is `rule` the known one but for its limit?
pub(super) fn is_other_limit(known: &Rule, rule: &Rule) -> bool {
    known.action.allows()
        && rule.action.allows()
        && known.action != rule.action
        && same_match(known, rule)
        // A rule that stays does not become one that ends.
        && (known.until.is_some() || rule.until.is_none())
}

/// The place of the rule that this one is but for its end. A rule that stays is not made to end: that takes away what
/// somebody relies on.
pub(super) fn with_other_end(rules: &[Rule], rule: &Rule) -> Option<usize> {
    rules.iter().position(|known| {
        known.is_enabled
            && known.until.is_some()
            && known.until != rule.until
            && same_rule(known, rule)
    })
}

/// Puts the rule in the place of the one at `at`, whose comment, name and tags stay unless there are new ones.
pub(super) fn replace(
    source: &Source<'_>,
    loaded: &Loaded,
    at: usize,
    rule: &Rule,
) -> Result<EditOutcome, EditError> {
    let mut expected = loaded.policy.rules.clone();
    let known = &loaded.policy.rules[at];
    let new = Rule {
        comment: rule.comment.clone().or_else(|| known.comment.clone()),
        labels: labels::updated(&known.labels, &rule.labels),
        ..rule.clone()
    };
    expected[at] = new.clone();
    let (document, index) = locate(loaded, known)?;
    let splices = edit_text(&loaded.documents[document], |layout| {
        let put = layout.insert_rule(index, &new)?;
        let cut = layout.remove_rule(index)?;
        Some(put.into_iter().chain(cut).collect())
    })?;
    let edited = finish(source, loaded, vec![(document, splices)], &expected)?;
    Ok(EditOutcome::Edited(Box::new(Edited {
        number: Some(at + 1),
        replaced: true,
        ..edited
    })))
}
