//! Commands that change or check the policy.

use std::path::Path;

use serde_json::json;

use super::{
    args::{Deadline, DefaultWord, Global, Never},
    countdown,
    deadline::{self, Danger, consent},
};
use crate::{
    controller::{Changed, Consent, Controller, Delete, Edit},
    failure::{Exit, Failure},
    output::Output,
    ruleset::{describe, edit::InsertAt, model::DefaultAction, value::quoted},
};

pub(super) fn add(
    controller: &Controller,
    global: &Global,
    action: &str,
    words: &[String],
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let words: Vec<String> = std::iter::once(action.to_owned())
        .chain(words.iter().cloned())
        .collect();
    let consent = consent(global, deadline, danger(&words));
    let edit = Edit::Add {
        words,
        place: InsertAt::End,
    };
    change(controller, global, &edit, consent, output)
}

pub(super) fn insert(
    controller: &Controller,
    global: &Global,
    number: usize,
    words: &[String],
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let edit = Edit::Add {
        words: words.to_vec(),
        place: InsertAt::Number(number),
    };
    let consent = consent(global, deadline, danger(words));
    change(controller, global, &edit, consent, output)
}

/// A rule that allows shuts nobody out.
fn danger(words: &[String]) -> Danger {
    let first = words.first().map(|word| word.to_lowercase());
    if matches!(first.as_deref(), Some("allow" | "limit")) {
        Danger::Harmless
    } else {
        Danger::MayShutOut
    }
}

pub(super) fn delete(
    controller: &Controller,
    global: &Global,
    words: &[String],
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let delete = match words {
        [number] if number.parse::<usize>().is_ok() => {
            Delete::Number(number.parse().unwrap_or_default())
        }
        words => {
            refuse_no_rule(words)?;
            Delete::Words(words.to_vec())
        }
    };
    let consent = consent(global, deadline, Danger::MayShutOut);
    change(controller, global, &Edit::Delete(delete), consent, output)
}

/// Words that are neither a number nor the beginning of a rule.
fn refuse_no_rule(words: &[String]) -> Result<(), Failure> {
    let numbers: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|part| !part.is_empty())
        .collect();
    let mut parsed: Vec<usize> = numbers
        .iter()
        .filter_map(|word| word.parse().ok())
        .collect();
    if parsed.len() == numbers.len() {
        parsed.sort_unstable_by(|left, right| right.cmp(left));
        parsed.dedup();
        let commands: Vec<String> = parsed
            .iter()
            .map(|number| format!("`guardctl delete {number}`"))
            .collect();
        return Err(Failure::new(
            Exit::Usage,
            "delete takes one number: each deletion renumbers the rules after it",
        )
        .help(format!(
            "from the last to the first: {}",
            commands.join(", ")
        )));
    }
    let first = words.first().map_or("", String::as_str);
    if ["allow", "deny", "limit"].contains(&first.to_lowercase().as_str()) {
        return Ok(());
    }
    if first.eq_ignore_ascii_case("reject") {
        // Its words may be ufw's own (`log`), which no rule of ours has.
        return Err(super::refused::unknown(words)
            .help("no rule rejects; `guardctl status numbered` lists the rules that there are"));
    }
    Err(Failure::new(
        Exit::Usage,
        format!(
            "{} is neither a number nor the beginning of a rule",
            quoted(first)
        ),
    )
    .help(format!(
        "`guardctl delete 3`, or `guardctl delete allow {}`; `guardctl status numbered` lists the \
         rules",
        words.join(" ")
    )))
}

pub(super) fn default(
    controller: &Controller,
    global: &Global,
    action: DefaultWord,
    direction: Option<&str>,
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match (direction, action) {
        (None | Some("incoming" | "input"), _) => {}
        // What ufw's guides say, and what guard does anyway.
        (Some("outgoing" | "output"), DefaultWord::Allow) => {
            output.show(
                |out| {
                    writeln!(
                        out,
                        "outgoing packets are always allowed; guard filters incoming"
                    )
                },
                || json!({"changed": false}),
            );
            return Ok(Exit::Ok);
        }
        (Some(direction), _) => {
            return Err(Failure::new(
                Exit::Usage,
                format!("\"{direction}\": guard filters incoming packets only"),
            )
            .help("`guardctl default deny` or `guardctl default deny incoming`"));
        }
    }
    let (action, danger) = match action {
        DefaultWord::Allow => (DefaultAction::Allow, Danger::Harmless),
        DefaultWord::Deny => (DefaultAction::Deny, Danger::MayShutOut),
        DefaultWord::Monitor => (DefaultAction::Monitor, Danger::Harmless),
    };
    let consent = consent(global, deadline, danger);
    change(controller, global, &Edit::Default(action), consent, output)
}

pub(super) fn never(
    controller: &Controller,
    global: &Global,
    action: &Never,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let consent = deadline::plain(global);
    match action {
        Never::Add { entry } => {
            let edit = Edit::NeverAdd(entry.clone());
            change(controller, global, &edit, consent, output)
        }
        Never::Del { entry } => {
            let edit = Edit::NeverRemove(entry.clone());
            change(controller, global, &edit, consent, output)
        }
        Never::List => {
            let never: Vec<String> = controller
                .load()?
                .policy
                .never
                .iter()
                .map(crate::ruleset::address::show)
                .collect();
            output.show(
                |out| never.iter().try_for_each(|entry| writeln!(out, "{entry}")),
                || json!({"never": never}),
            );
            Ok(Exit::Ok)
        }
    }
}

pub(super) fn reload(
    controller: &Controller,
    global: &Global,
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let consent = consent(global, deadline, Danger::MayShutOut);
    let changed = controller.reload(consent)?;
    super::feeds::refresh(controller, global, output);
    report(controller, global, &changed, consent, output)
}

pub(super) fn apply(
    controller: &Controller,
    global: &Global,
    file: Option<&Path>,
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Some(file) = file else {
        return reload(controller, global, deadline, output);
    };
    let consent = consent(global, deadline, Danger::MayShutOut);
    let changed = controller.apply_file(file, consent)?;
    report(controller, global, &changed, consent, output)
}

pub(super) fn check(
    controller: &Controller,
    file: Option<&Path>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let checked = controller.check(file)?;
    output.warnings(&checked.warnings);
    output.show(
        |out| {
            writeln!(
                out,
                "ok: {} in {}",
                describe::rule_count(checked.rules),
                match checked.files.len() {
                    0 => "no file yet".to_owned(),
                    1 => "1 file".to_owned(),
                    files => format!("{files} files"),
                }
            )
        },
        || {
            json!({
                "ok": true,
                "rules": checked.rules,
                "files": checked.files,
                "warnings": checked.warnings,
            })
        },
    );
    Ok(Exit::Ok)
}

fn change(
    controller: &Controller,
    global: &Global,
    edit: &Edit,
    consent: Consent,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let changed = controller.change(edit, consent)?;
    report(controller, global, &changed, consent, output)
}

/// Says what was done, and waits for the confirmation where a person can give it.
pub(super) fn report(
    controller: &Controller,
    global: &Global,
    changed: &Changed,
    consent: Consent,
    output: &mut Output,
) -> Result<Exit, Failure> {
    output.warnings(&changed.warnings);
    output.show(
        |out| {
            writeln!(out, "{}", changed.message)?;
            if let Some(pending) = &changed.pending {
                writeln!(out, "{}", deadline::pending_line(pending, consent.confirm))?;
            }
            // What was done can be seen; what would be done is shown.
            let Some(difference) = changed.difference.as_ref().filter(|_| changed.dry_run) else {
                return Ok(());
            };
            for rule in &difference.removed {
                writeln!(out, "- {rule}")?;
            }
            for rule in &difference.added {
                writeln!(out, "+ {rule}")?;
            }
            Ok(())
        },
        || {
            json!({
                "changed": changed.changed,
                "dry_run": changed.dry_run,
                "message": changed.message,
                "rule": changed.rule,
                "generation": changed.generation,
                "difference": changed.difference,
                "warnings": changed.warnings,
                "pending": deadline::pending_json(changed.pending.as_ref()),
            })
        },
    );
    match changed.pending {
        Some(pending) if countdown::is_possible(global) => {
            countdown::wait(controller, pending, output)
        }
        Some(_) | None => Ok(Exit::Ok),
    }
}
