//! What a change comes to: the edit of the texts, and the words that tell of it.

use crate::{
    controller::{Delete, Edit, edit_failure, state::applied::default_word},
    failure::{Exit, Failure},
    ruleset::{
        describe,
        edit::{self, Change, EditOutcome, Edited, InsertAt},
        labels::Which,
        model::Rule,
        names::Names,
        source::{Loaded, Source},
        until::Moments,
        words,
    },
    text::address::{self, AddressItem},
};

/// An edit, and the words that tell of it.
pub(in crate::controller) struct Plan {
    pub(in crate::controller) outcome: EditOutcome,
    /// What happens, as of a thing done and as of a thing that would be done.
    pub(in crate::controller) done: Verb,
    pub(in crate::controller) what: String,
    /// Said when nothing changes.
    pub(in crate::controller) unchanged: String,
}

/// `added rule` and `would add rule`.
#[derive(Clone, Copy)]
pub(in crate::controller) struct Verb {
    pub(in crate::controller) did: &'static str,
    pub(in crate::controller) would: &'static str,
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

const DISABLE: Switch = Switch {
    is_enabled: false,
    word: "disabled",
    done: Verb {
        did: "disabled rule",
        would: "would disable rule",
    },
};
const ENABLE: Switch = Switch {
    is_enabled: true,
    word: "enabled",
    done: Verb {
        did: "enabled rule",
        would: "would enable rule",
    },
};

/// Putting a rule into force, or taking it out.
struct Switch {
    is_enabled: bool,
    word: &'static str,
    done: Verb,
}

/// Works out an edit; nothing is written.
pub(in crate::controller) fn plan(
    source: &Source<'_>,
    loaded: &Loaded,
    wanted: &Edit,
    moments: &Moments,
    warnings: &mut Vec<String>,
) -> Result<Plan, Failure> {
    let edited = |edited: Edited| EditOutcome::Edited(Box::new(edited));
    let failed = |error: edit::EditError| edit_failure(&error);
    let planned = match wanted {
        Edit::Add { words, before } => {
            let (rules, profile) = parse(words, loaded, warnings)?;
            refuse_ended(&rules, moments)?;
            let place = match before {
                None => InsertAt::End,
                Some(which) => InsertAt::Number(number_of(loaded, which)?),
            };
            let add = |loaded: &Loaded, index, rule: &Rule| {
                let place = match place {
                    InsertAt::End => InsertAt::End,
                    InsertAt::Number(number) => InsertAt::Number(number.saturating_add(index)),
                };
                let outcome = edit::add(source, loaded, rule, place).map_err(failed)?;
                let outcome = match (&profile, &outcome) {
                    (Some(profile), EditOutcome::Edited(edited)) if is_new(rule, edited) => {
                        let rule = &Rule {
                            comment: Some(profile.clone()),
                            ..rule.clone()
                        };
                        edit::add(source, loaded, rule, place).map_err(failed)?
                    }
                    (Some(_) | None, _) => outcome,
                };
                warnings.extend(not_saved(&outcome, loaded, rule));
                Ok(outcome)
            };
            Plan {
                outcome: each(loaded, &rules, add)?,
                done: ADD,
                what: commands(&rules),
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Which(which)) => {
            let number = number_of(loaded, which)?;
            let outcome = edited(edit::delete(source, loaded, number).map_err(failed)?);
            let what = describe::command(&loaded.policy.rules[number - 1]);
            Plan {
                outcome,
                done: DELETE,
                what,
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Words(words)) => {
            let (rules, _) = parse(words, loaded, warnings)?;
            let delete = |loaded: &Loaded, _, rule: &Rule| {
                let deleted = edit::delete_rule(source, loaded, rule);
                Ok(edited(deleted.map_err(failed)?))
            };
            Plan {
                outcome: each(loaded, &rules, delete)?,
                done: DELETE,
                what: commands(&rules),
                unchanged: String::new(),
            }
        }
        Edit::Disable(which) => switch(source, loaded, which, &DISABLE)?,
        Edit::Enable(which) => switch(source, loaded, which, &ENABLE)?,
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

/// A rule that is over would not act for a moment.
fn refuse_ended(rules: &[Rule], moments: &Moments) -> Result<(), Failure> {
    let ends = rules.iter().filter_map(|rule| rule.until);
    match ends.clone().find(|until| moments.is_over(*until)) {
        Some(until) => Err(Failure::new(
            Exit::Usage,
            format!("{until} is past: the rule would be over"),
        )
        .help("write a later time, or how long the rule shall last: `--for 10m`")),
        None => Ok(()),
    }
}

/// Is it a rule that was not there in any form, and that nobody has commented?
fn is_new(rule: &Rule, edited: &Edited) -> bool {
    rule.comment.is_none() && !edited.replaced && edited.moved_from.is_none()
}

fn switch(
    source: &Source<'_>,
    loaded: &Loaded,
    which: &Which,
    switch: &Switch,
) -> Result<Plan, Failure> {
    let number = number_of(loaded, which)?;
    let outcome = edit::set_enabled(source, loaded, number, switch.is_enabled)
        .map_err(|error| edit_failure(&error))?;
    Ok(Plan {
        outcome,
        done: switch.done,
        what: describe::command(&loaded.policy.rules[number - 1]),
        unchanged: format!("rule {number} is {} already", switch.word),
    })
}

fn number_of(loaded: &Loaded, which: &Which) -> Result<usize, Failure> {
    edit::number_of(&loaded.policy.rules, which).map_err(|error| edit_failure(&error))
}

/// The same edit for each rule, one upon the other; together it is one change, named by the first rule that it is about.
fn each(
    loaded: &Loaded,
    rules: &[Rule],
    mut edit: impl FnMut(&Loaded, usize, &Rule) -> Result<EditOutcome, Failure>,
) -> Result<EditOutcome, Failure> {
    let mut all: Option<Box<Edited>> = None;
    let mut nothing = EditOutcome::Unchanged;
    for (index, rule) in rules.iter().enumerate() {
        let before = all.as_ref().map_or(loaded, |all| &all.loaded);
        let one = match edit(before, index, rule)? {
            EditOutcome::Edited(one) => one,
            other @ (EditOutcome::Covered { .. } | EditOutcome::Unchanged) => {
                nothing = other;
                continue;
            }
        };
        all = Some(match all {
            None => one,
            Some(first) => {
                let changed_again = |change: &Change| {
                    let mut paths = one.changes.iter().map(|later| &later.path);
                    paths.any(|path| *path == change.path)
                };
                let mut changes = first.changes;
                changes.retain(|change| !changed_again(change));
                changes.extend(one.changes);
                Box::new(Edited {
                    changes,
                    loaded: one.loaded,
                    ..*first
                })
            }
        });
    }
    Ok(all.map_or(nothing, EditOutcome::Edited))
}

fn commands(rules: &[Rule]) -> String {
    let commands: Vec<String> = rules.iter().map(describe::command).collect();
    commands.join(" and ")
}

/// What people would call the rule goes nowhere because it is not added.
fn not_saved(outcome: &EditOutcome, loaded: &Loaded, rule: &Rule) -> Option<String> {
    let EditOutcome::Covered { by } = outcome else {
        return None;
    };
    let known = &loaded.policy.rules[by - 1];
    let tags = &rule.labels.tags;
    let lost = [
        (
            "comment",
            rule.comment.is_some() && known.comment != rule.comment,
        ),
        ("end", rule.until.is_some() && known.until != rule.until),
        (
            "name",
            rule.labels.name.is_some() && known.labels.name != rule.labels.name,
        ),
        (
            "tags",
            tags.iter().any(|tag| !known.labels.tags.contains(tag)),
        ),
    ];
    let lost: Vec<&str> = lost
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(what, _)| what)
        .collect();
    let verb = if lost == ["tags"] || lost.len() > 1 {
        "were"
    } else {
        "was"
    };
    (!lost.is_empty()).then(|| {
        format!(
            "the {} {verb} not saved: rule {by} stays as it is",
            lost.join(" and the ")
        )
    })
}

/// One rule, or two where a profile means other ports for UDP than for TCP; and the name of the profile.
fn parse(
    words: &[String],
    loaded: &Loaded,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Rule>, Option<String>), Failure> {
    let scope = words::Scope {
        names: Names::system(),
        sets: &loaded.sets,
    };
    match words::parse(words, &scope) {
        Ok(parsed) => {
            warnings.extend(parsed.warnings);
            let rules = std::iter::once(parsed.rule).chain(parsed.second);
            Ok((rules.collect(), parsed.profile))
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
