//! Taking a rule out of force and back: `enabled = false` in its table, and nothing else moves.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{EditError, EditOutcome, Edited, finish, locate};
use crate::{
    ruleset::{
        describe, shadow,
        source::{Loaded, Source},
    },
    text::splice::{Splice, line_end, line_start, next_line},
};

/// Enables or disables the rule of this number, from 1.
///
/// # Errors
/// When there is no such rule, or when it could never match.
pub fn set_enabled(
    source: &Source<'_>,
    loaded: &Loaded,
    number: usize,
    is_enabled: bool,
) -> Result<EditOutcome, EditError> {
    let rules = &loaded.policy.rules;
    let count = rules.len();
    let at = number
        .checked_sub(1)
        .filter(|at| *at < count)
        .ok_or(EditError::NoSuchNumber { number, count })?;
    if rules[at].is_enabled == is_enabled {
        return Ok(EditOutcome::Unchanged);
    }
    if is_enabled && let Some(by) = shadow::covering_rule(&rules[..at], &rules[at]) {
        return Err(EditError::Covered {
            number,
            by: by + 1,
            words: describe::command(&rules[by]),
        });
    }
    let (document, index) = locate(loaded, &rules[at])?;
    let text = &loaded.documents[document].text;
    let splice = splice(text, index, is_enabled).ok_or_else(|| EditError::Layout {
        path: loaded.documents[document].path.to_path_buf(),
    })?;
    let mut expected = rules.clone();
    expected[at].is_enabled = is_enabled;
    let edited = finish(source, loaded, vec![(document, vec![splice])], &expected)?;
    Ok(EditOutcome::Edited(Box::new(Edited {
        number: Some(number),
        ..edited
    })))
}

fn splice(text: &str, index: usize, is_enabled: bool) -> Option<Splice> {
    let root = DeTable::parse(text).ok()?;
    let rules = root.get_ref().get("rule")?.get_ref().as_array()?;
    let rule = rules.get(index)?;
    let DeValue::Table(table) = rule.get_ref() else {
        return None;
    };
    let is_inline = text[rule.span()].starts_with('{');
    match table.get_key_value("enabled") {
        Some((key, value)) => Some(match own_line(text, key.span(), value.span()) {
            Some(line) if is_enabled && !is_inline => Splice::replace(line, ""),
            Some(_) | None => Splice::replace(value.span(), &is_enabled.to_string()),
        }),
        None => {
            let last = table.values().map(|value| value.span().end).max()?;
            Some(if is_inline {
                Splice::insert(last, format!(", enabled = {is_enabled}"))
            } else {
                let at = line_end(text, last);
                Splice::insert(at, format!("\nenabled = {is_enabled}"))
            })
        }
    }
}

/// The whole line, if there is nothing else on it.
fn own_line(text: &str, key: Range<usize>, value: Range<usize>) -> Option<Range<usize>> {
    let line = line_start(text, key.start)..next_line(text, value.end);
    let around = [&text[line.start..key.start], &text[value.end..line.end]];
    around
        .iter()
        .all(|part| part.trim().is_empty())
        .then_some(line)
}
