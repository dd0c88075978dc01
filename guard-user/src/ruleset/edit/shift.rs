//! Moving a rule to another number, as the text that it is.

use super::{
    EditError, EditOutcome, Edited, edit_text, finish, labels, layout, locate, refuse_shadowing,
    slot,
};
use crate::ruleset::{
    model::Rule,
    source::{Loaded, Source},
};

/// Moves the rule at `from` up to `to`, with the comment lines above it; its comment, name and
/// tags become those of `rule` where it has some.
pub(super) fn shift(
    source: &Source<'_>,
    loaded: &Loaded,
    from: usize,
    to: usize,
    rule: &Rule,
) -> Result<EditOutcome, EditError> {
    refuse_shadowing(loaded, rule, to, Some(from))?;
    let mut expected = loaded.policy.rules.clone();
    let known = expected.remove(from);
    let comment = rule.comment.clone().or_else(|| known.comment.clone());
    let labels = labels::updated(&known.labels, &rule.labels);
    let keeps_text = comment == known.comment && labels == known.labels;
    let moved = Rule {
        comment,
        labels,
        ..rule.clone()
    };
    expected.insert(to, moved.clone());
    let (old, old_index) = locate(loaded, &known)?;
    let (new, new_index) = slot(loaded, to)?;
    let text = layout(&loaded.documents[old])?.rule_text(old_index, &moved, keeps_text);
    let cut = edit_text(&loaded.documents[old], |layout| {
        layout.remove_rule(old_index)
    })?;
    let put = edit_text(&loaded.documents[new], |layout| match &text {
        Some(text) => layout.insert_text(new_index, text, &moved),
        None => layout.insert_rule(new_index, &moved),
    })?;
    let edits = if old == new {
        vec![(old, put.into_iter().chain(cut).collect())]
    } else {
        vec![(new, put), (old, cut)]
    };
    let edited = finish(source, loaded, edits, &expected)?;
    Ok(EditOutcome::Edited(Box::new(Edited {
        number: Some(to + 1),
        moved_from: Some(from + 1),
        ..edited
    })))
}
