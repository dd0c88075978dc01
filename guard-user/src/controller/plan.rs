//! What a change comes to: the edit of the texts, and the words that tell of it.

use super::{Delete, Edit, applied::default_word, edit_failure};
use crate::{
    failure::{Exit, Failure},
    ruleset::{
        address::{self, AddressItem},
        describe,
        edit::{self, Edited, Outcome},
        model::Rule,
        names::Names,
        source::{Loaded, Source},
        words,
    },
};

/// An edit, and the words that tell of it.
pub(super) struct Plan {
    pub(super) outcome: Outcome,
    /// What happens, as of a thing done and as of a thing that would be done.
    pub(super) done: Verb,
    pub(super) what: String,
    /// Said when nothing changes.
    pub(super) unchanged: String,
}

/// `added rule` and `would add rule`.
pub(super) struct Verb {
    pub(super) did: &'static str,
    pub(super) would: &'static str,
}

const ADD: Verb = Verb {
    did: "added rule",
    would: "would add rule",
};
const DELETE: Verb = Verb {
    did: "deleted rule",
    would: "would delete rule",
};
const SET_DEFAULT: Verb = Verb {
    did: "default is",
    would: "default would be",
};
const NEVER: Verb = Verb {
    did: "never banned or limited:",
    would: "would never be banned or limited:",
};
const NOT_NEVER: Verb = Verb {
    did: "off the never list:",
    would: "would go off the never list:",
};

/// Works out an edit; nothing is written.
pub(super) fn plan(
    source: &Source<'_>,
    loaded: &Loaded,
    wanted: &Edit,
    warnings: &mut Vec<String>,
) -> Result<Plan, Failure> {
    let edited = |edited: Edited| Outcome::Edited(Box::new(edited));
    let failed = |error: edit::EditError| edit_failure(&error);
    let planned = match wanted {
        Edit::Add { words, place } => {
            let rule = parse(words, loaded, warnings)?;
            let outcome = edit::add(source, loaded, &rule, *place).map_err(failed)?;
            warnings.extend(lost_comment(&outcome, loaded, &rule));
            Plan {
                outcome,
                done: ADD,
                what: describe::command(&rule),
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Number(number)) => {
            let outcome = edited(edit::delete(source, loaded, *number).map_err(failed)?);
            let what = describe::command(&loaded.policy.rules[*number - 1]);
            Plan {
                outcome,
                done: DELETE,
                what,
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Words(words)) => {
            let rule = parse(words, loaded, warnings)?;
            let outcome = edited(edit::delete_rule(source, loaded, &rule).map_err(failed)?);
            Plan {
                outcome,
                done: DELETE,
                what: describe::command(&rule),
                unchanged: String::new(),
            }
        }
        Edit::Default(default) => {
            let word = default_word(*default);
            let outcome = edit::set_default(source, loaded, *default).map_err(failed)?;
            Plan {
                outcome,
                done: SET_DEFAULT,
                what: word.to_owned(),
                unchanged: format!("default is {word} already"),
            }
        }
        Edit::NeverAdd(entry) => {
            let item = never_entry(entry, warnings)?;
            let outcome = edit::never_add(source, loaded, &item).map_err(failed)?;
            Plan {
                outcome,
                done: NEVER,
                what: item.to_string(),
                unchanged: format!("{item} is on the never list already"),
            }
        }
        Edit::NeverRemove(entry) => {
            let item = never_entry(entry, warnings)?;
            let outcome = edited(edit::never_remove(source, loaded, &item).map_err(failed)?);
            Plan {
                outcome,
                done: NOT_NEVER,
                what: item.to_string(),
                unchanged: String::new(),
            }
        }
    };
    Ok(planned)
}

/// A comment that goes nowhere because the rule is not added.
fn lost_comment(outcome: &Outcome, loaded: &Loaded, rule: &Rule) -> Option<String> {
    let Outcome::Covered { by } = outcome else {
        return None;
    };
    let is_lost = rule.comment.is_some() && loaded.policy.rules[by - 1].comment != rule.comment;
    is_lost.then(|| format!("the comment was not saved: rule {by} stays as it is"))
}

fn parse(words: &[String], loaded: &Loaded, warnings: &mut Vec<String>) -> Result<Rule, Failure> {
    let scope = words::Scope {
        names: Names::system(),
        sets: &loaded.sets,
    };
    match words::parse(words, &scope) {
        Ok(parsed) => {
            warnings.extend(parsed.warnings);
            Ok(parsed.rule)
        }
        Err(error) => {
            let message = format!("{error}\n{}", indent(&error.underline(words)));
            let failure = Failure::new(Exit::Usage, message);
            Err(match error.help() {
                Some(help) => failure.help(help),
                None => failure,
            })
        }
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn never_entry(entry: &str, warnings: &mut Vec<String>) -> Result<AddressItem, Failure> {
    let (item, warning) = address::parse_item(entry).map_err(|error| {
        let failure = Failure::new(Exit::Usage, error.message);
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    if item == AddressItem::Any {
        return Err(Failure::new(
            Exit::Usage,
            format!("\"{entry}\" on the never list: nothing could be banned"),
        )
        .help("name the addresses that must never be banned"));
    }
    warnings.extend(warning);
    Ok(item)
}
