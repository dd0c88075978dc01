//! Names and tags in edits: which rule is meant, and whose name is whose.

use super::EditError;
use crate::{
    ruleset::{
        describe::{self, same_match},
        labels::{Labels, Which},
        model::Rule,
    },
    text::nearest::nearest,
};

/// The number of the rule that is meant. A number may be past the last rule; whoever uses it says so.
///
/// # Errors
/// For a name that no rule has.
pub fn number_of(rules: &[Rule], which: &Which) -> Result<usize, EditError> {
    let name = match which {
        Which::Number(number) => return Ok(*number),
        Which::Name(name) => name,
    };
    let has_it = |rule: &Rule| rule.labels.name.as_ref() == Some(name);
    match rules.iter().position(has_it) {
        Some(at) => Ok(at + 1),
        None => {
            let known = rules.iter().filter_map(|rule| rule.labels.name.as_deref());
            Err(EditError::NoSuchName {
                name: name.clone(),
                near: nearest(name, known).map(str::to_owned),
            })
        }
    }
}

/// The name of a new rule must be free; the rule that it is, or whose limit it changes, may have it.
pub(super) fn refuse_taken(rules: &[Rule], rule: &Rule) -> Result<(), EditError> {
    let Some(name) = &rule.labels.name else {
        return Ok(());
    };
    let is_taken =
        |known: &Rule| known.labels.name.as_ref() == Some(name) && !same_match(known, rule);
    match rules.iter().position(is_taken) {
        Some(by) => Err(EditError::NameTaken {
            name: name.clone(),
            by: by + 1,
            words: describe::command(&rules[by]),
        }),
        None => Ok(()),
    }
}

/// Those of a rule that is there, after a command that means it.
pub(super) fn updated(known: &Labels, new: &Labels) -> Labels {
    Labels {
        name: new.name.clone().or_else(|| known.name.clone()),
        tags: if new.tags.is_empty() {
            known.tags.clone()
        } else {
            new.tags.clone()
        },
    }
}
