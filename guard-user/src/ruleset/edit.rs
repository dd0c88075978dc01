//! Edits of policy files: every byte that an edit is not about stays as it is. Works on texts;
//! nothing is written. The result has been read back and means what was asked for.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    describe::{self, same_rule},
    model::{DefaultAction, ModeChoice, Rule},
    shadow,
    source::{Document, Loaded, Source},
};
use crate::text::{
    address::{self, AddressItem},
    files::Overlay,
    splice::{self, Splice},
};

mod array;
mod enabled;
mod error;
mod labels;
mod layout;
mod replace;
mod shift;
mod toml_text;

pub use enabled::set_enabled;
pub use error::EditError;
pub use labels::number_of;

use layout::Layout;

/// A rule as a table of a policy file, with a closing line end.
#[must_use]
pub fn table(rule: &Rule) -> String {
    toml_text::table(rule)
}

/// Where a new rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertAt {
    /// After the last rule of guard.toml.
    End,
    /// At this number, counted over all files from 1.
    Number(usize),
}

/// New texts, checked.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The files that change.
    pub changes: Vec<Change>,
    /// What the files mean afterwards.
    pub loaded: Loaded,
    /// Number of the rule that was added, deleted or moved.
    pub number: Option<usize>,
    /// Its number before, if it was moved.
    pub moved_from: Option<usize>,
    /// The rule of that number was there with another limit or another end.
    pub replaced: bool,
}

/// New text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its new text.
    pub text: String,
}

/// What came of an edit.
#[derive(Clone, Debug)]
pub enum EditOutcome {
    /// Files change.
    Edited(Box<Edited>),
    /// Nothing to do: the rule of this number is set to that already.
    Covered {
        /// Its number, from 1.
        by: usize,
    },
    /// Nothing to do: the setting is so already.
    Unchanged,
}

/// Adds a rule. One that an earlier rule of the same action covers is not added; the same rule
/// further down moves to the number asked for, and one that ends gets the new end.
pub fn add(
    source: &Source<'_>,
    loaded: &Loaded,
    rule: &Rule,
    place: InsertAt,
) -> Result<EditOutcome, EditError> {
    let rules = &loaded.policy.rules;
    let in_main = rules_of(loaded, 0);
    labels::refuse_taken(rules, rule)?;
    let at = match place {
        InsertAt::End => in_main,
        InsertAt::Number(number) if (1..=rules.len() + 1).contains(&number) => number - 1,
        InsertAt::Number(number) => {
            let last = rules.len() + 1;
            return Err(EditError::NoSuchPlace { number, last });
        }
    };
    if let Some(by) = replace::with_other_end(rules, rule) {
        return replace::replace(source, loaded, by, rule);
    }
    if let Some(by) = shadow::covering_rule(&rules[..at], rule) {
        if rules[by].action == rule.action {
            return Ok(EditOutcome::Covered { by: by + 1 });
        }
        if replace::is_other_limit(&rules[by], rule) {
            return replace::replace(source, loaded, by, rule);
        }
        let words = describe::command(&rules[by]);
        return Err(EditError::Contradicted { by: by + 1, words });
    }
    let is_same = |known: &Rule| same_rule(known, rule) && known.until == rule.until;
    let same = rules.iter().position(is_same);
    if let Some(by) = same.filter(|by| !rules[*by].is_enabled) {
        return Err(EditError::Disabled { by: by + 1 });
    }
    match (place, same) {
        (InsertAt::End, Some(by)) => return Ok(EditOutcome::Covered { by: by + 1 }),
        (InsertAt::Number(_), Some(by)) if by == at => {
            return Ok(EditOutcome::Covered { by: by + 1 });
        }
        (InsertAt::Number(_), Some(from)) => return shift::shift(source, loaded, from, at, rule),
        (_, None) => {}
    }
    refuse_shadowing(loaded, rule, at, None)?;
    let (document, index) = match place {
        InsertAt::End => (0, in_main),
        InsertAt::Number(_) => slot(loaded, at)?,
    };
    let splices = edit_text(&loaded.documents[document], |layout| {
        layout.insert_rule(index, rule)
    })?;
    let mut expected = rules.clone();
    expected.insert(at, rule.clone());
    let edited = finish(source, loaded, vec![(document, splices)], &expected)?;
    Ok(EditOutcome::Edited(Box::new(Edited {
        number: Some(at + 1),
        ..edited
    })))
}

/// A rule at `at` must leave something to the rules after it.
fn refuse_shadowing(
    loaded: &Loaded,
    rule: &Rule,
    at: usize,
    without: Option<usize>,
) -> Result<(), EditError> {
    let rules = &loaded.policy.rules;
    let covered: Vec<usize> = shadow::covered_rules(rule, &rules[at..])
        .into_iter()
        .map(|index| at + index)
        .filter(|index| Some(*index) != without)
        .collect();
    let Some(first) = covered.first() else {
        return Ok(());
    };
    Err(EditError::Shadows {
        words: describe::command(&rules[*first]),
        numbers: covered.iter().map(|index| index + 1).collect(),
    })
}

/// Document and index within it of a new rule at `at`.
fn slot(loaded: &Loaded, at: usize) -> Result<(usize, usize), EditError> {
    let rules = &loaded.policy.rules;
    match rules.get(at).or_else(|| rules.last()) {
        None => Ok((0, rules_of(loaded, 0))),
        Some(neighbour) => {
            let (document, index) = locate(loaded, neighbour)?;
            Ok((document, index + usize::from(at == rules.len())))
        }
    }
}

/// Deletes the rule of this number, from 1.
pub fn delete(source: &Source<'_>, loaded: &Loaded, number: usize) -> Result<Edited, EditError> {
    let rules = &loaded.policy.rules;
    let count = rules.len();
    let no_such = EditError::NoSuchNumber { number, count };
    let at = number
        .checked_sub(1)
        .filter(|at| *at < count)
        .ok_or(no_such)?;
    let (document, index) = locate(loaded, &rules[at])?;
    let splices = edit_text(&loaded.documents[document], |layout| {
        layout.remove_rule(index)
    })?;
    let mut expected = rules.clone();
    expected.remove(at);
    let edited = finish(source, loaded, vec![(document, splices)], &expected)?;
    Ok(Edited {
        number: Some(number),
        ..edited
    })
}

/// Deletes the first rule that means the same as `rule`.
pub fn delete_rule(source: &Source<'_>, loaded: &Loaded, rule: &Rule) -> Result<Edited, EditError> {
    let is_named =
        |known: &Rule| rule.labels.name.is_none() || rule.labels.name == known.labels.name;
    let mut rules = loaded.policy.rules.iter();
    let has_end = |known: &Rule| rule.until.is_none() || rule.until == known.until;
    let found = rules.position(|known| same_rule(known, rule) && is_named(known) && has_end(known));
    match found {
        Some(at) => delete(source, loaded, at + 1),
        None => Err(EditError::NoSuchRule {
            words: describe::command(rule),
        }),
    }
}

/// Sets what happens when no rule matches.
pub fn set_default(
    source: &Source<'_>,
    loaded: &Loaded,
    default: DefaultAction,
) -> Result<EditOutcome, EditError> {
    if loaded.policy.default == default {
        return Ok(EditOutcome::Unchanged);
    }
    let value = match default {
        DefaultAction::Deny => "\"deny\"",
        DefaultAction::Allow => "\"allow\"",
        DefaultAction::Monitor => "\"monitor\"",
    };
    set_key(source, loaded, "default", value)
}

/// Sets the interfaces to protect; none means those with default routes.
pub fn set_interfaces(
    source: &Source<'_>,
    loaded: &Loaded,
    interfaces: &[String],
) -> Result<EditOutcome, EditError> {
    if loaded.policy.interfaces == interfaces {
        return Ok(EditOutcome::Unchanged);
    }
    set_key(source, loaded, "interfaces", &toml_text::list(interfaces))
}

/// Sets where the program shall run on interfaces.
pub fn set_modes(
    source: &Source<'_>,
    loaded: &Loaded,
    modes: &BTreeMap<String, ModeChoice>,
) -> Result<EditOutcome, EditError> {
    if loaded.policy.modes == *modes {
        return Ok(EditOutcome::Unchanged);
    }
    let mut documents = loaded.documents.iter();
    let is_inline =
        |document: &Document| layout(document).is_ok_and(|layout| layout.has("xdp-mode"));
    if !loaded.policy.modes.is_empty() && !documents.any(is_inline) {
        // Below a line [xdp-mode], or with dots.
        let first = loaded.documents.first();
        let path = first.map(|document| document.path.to_path_buf());
        return Err(EditError::Layout {
            path: path.unwrap_or_default(),
        });
    }
    let words = modes.iter().map(|(name, mode)| (name, mode.word()));
    set_key(source, loaded, "xdp-mode", &toml_text::words(words))
}

/// Puts an address, a prefix or a set on the never list.
pub fn never_add(
    source: &Source<'_>,
    loaded: &Loaded,
    entry: &AddressItem,
) -> Result<EditOutcome, EditError> {
    let is_listed = |document: &Document| Ok(!never_places(document, entry)?.is_empty());
    for document in &loaded.documents {
        if is_listed(document)? {
            return Ok(EditOutcome::Unchanged);
        }
    }
    let at = holder(loaded, "never")?;
    let text = splice::basic_string(&entry.to_string());
    let splices = edit_text(&loaded.documents[at], |layout| layout.push("never", &text))?;
    let edited = finish(source, loaded, vec![(at, splices)], &loaded.policy.rules)?;
    Ok(EditOutcome::Edited(Box::new(edited)))
}

/// Takes an address, a prefix or a set off the never list, in every file.
pub fn never_remove(
    source: &Source<'_>,
    loaded: &Loaded,
    entry: &AddressItem,
) -> Result<Edited, EditError> {
    let mut edits = Vec::new();
    for (at, document) in loaded.documents.iter().enumerate() {
        let places = never_places(document, entry)?;
        if !places.is_empty() {
            let splices = edit_text(document, |layout| layout.pull("never", &places))?;
            edits.push((at, splices));
        }
    }
    if edits.is_empty() {
        return Err(EditError::NotNever {
            entry: entry.to_string(),
        });
    }
    finish(source, loaded, edits, &loaded.policy.rules)
}

fn set_key(
    source: &Source<'_>,
    loaded: &Loaded,
    key: &str,
    value: &str,
) -> Result<EditOutcome, EditError> {
    let at = holder(loaded, key)?;
    let splices = edit_text(&loaded.documents[at], |layout| Some(layout.set(key, value)))?;
    let edited = finish(source, loaded, vec![(at, splices)], &loaded.policy.rules)?;
    Ok(EditOutcome::Edited(Box::new(edited)))
}

/// The document that has this key, or the main one.
fn holder(loaded: &Loaded, key: &str) -> Result<usize, EditError> {
    for (at, document) in loaded.documents.iter().enumerate() {
        if layout(document)?.has(key) {
            return Ok(at);
        }
    }
    Ok(0)
}

/// Indices of the entries of `never` in this document that mean `entry`.
fn never_places(document: &Document, entry: &AddressItem) -> Result<Vec<usize>, EditError> {
    let texts = layout(document)?.texts("never");
    let is_same = |text: &String| address::parse_item(text).is_ok_and(|(item, _)| item == *entry);
    Ok((0..texts.len()).filter(|at| is_same(&texts[*at])).collect())
}

/// Document and index within it of a rule.
fn locate(loaded: &Loaded, rule: &Rule) -> Result<(usize, usize), EditError> {
    let main = || {
        loaded
            .documents
            .first()
            .map(|first| first.path.to_path_buf())
    };
    let unknown = || EditError::Layout {
        path: main().unwrap_or_default(),
    };
    let origin = rule.origin.as_ref().ok_or_else(unknown)?;
    let document = loaded
        .documents
        .iter()
        .position(|document| document.path == origin.file)
        .ok_or_else(unknown)?;
    Ok((document, origin.index))
}

fn rules_of(loaded: &Loaded, document: usize) -> usize {
    let path = loaded
        .documents
        .get(document)
        .map(|document| &document.path);
    let is_here = |rule: &&Rule| rule.origin.as_ref().map(|origin| &origin.file) == path;
    loaded.policy.rules.iter().filter(is_here).count()
}

fn layout(document: &Document) -> Result<Layout<'_>, EditError> {
    Layout::of(&document.text).ok_or_else(|| EditError::Layout {
        path: document.path.to_path_buf(),
    })
}

fn edit_text(
    document: &Document,
    edit: impl FnOnce(&Layout<'_>) -> Option<Vec<Splice>>,
) -> Result<Vec<Splice>, EditError> {
    edit(&layout(document)?).ok_or_else(|| EditError::Layout {
        path: document.path.to_path_buf(),
    })
}

/// Applies the splices, reads the result back and compares it with what is expected.
fn finish(
    source: &Source<'_>,
    loaded: &Loaded,
    edits: Vec<(usize, Vec<Splice>)>,
    expected: &[Rule],
) -> Result<Edited, EditError> {
    let mut overlay = Overlay::default();
    let mut changes = Vec::new();
    // A guard.toml that does not exist must not count as an empty one: digests would differ.
    let exists = |document: &&Document| loaded.files.contains(&document.path);
    for document in loaded.documents.iter().filter(exists) {
        overlay.insert(document.path.to_path_buf(), document.text.clone());
    }
    for (at, splices) in edits {
        let document = &loaded.documents[at];
        let text = splice::apply(&document.text, splices);
        let path = document.path.to_path_buf();
        overlay.insert(path.clone(), text.clone());
        changes.push(Change { path, text });
    }
    let after = source
        .clone()
        .with_overlay(overlay)
        .load()
        .map_err(EditError::Invalid)?;
    let rules = &after.policy.rules;
    let is_same = |(left, right): (&Rule, &Rule)| {
        same_rule(left, right)
            && left.until == right.until
            && left.comment == right.comment
            && left.labels == right.labels
            && left.is_enabled == right.is_enabled
    };
    if rules.len() != expected.len() || !rules.iter().zip(expected).all(is_same) {
        let path = changes.first().map(|change| change.path.clone());
        return Err(EditError::Layout {
            path: path.unwrap_or_default(),
        });
    }
    Ok(Edited {
        changes,
        loaded: after,
        number: None,
        moved_from: None,
        replaced: false,
    })
}

#[cfg(test)]
mod tests;
