//! `rollback`, `history` and `diff`: policies that were in force.

use std::path::PathBuf;

use serde_json::json;

use super::{
    change_report::report,
    deadline::{self, Danger},
    options::{Deadline, Global},
};
use crate::{
    controller::{Against, Controller},
    failure::{Exit, Failure},
    output::{Output, human},
};

pub(super) fn rollback(
    controller: &Controller,
    global: &Global,
    number: Option<u32>,
    deadline: Deadline,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let consent = deadline::consent(global, deadline, Danger::MayShutOut);
    let changed = controller.rollback(number, consent)?;
    report(controller, global, &changed, consent, output)
}

pub(super) fn history(controller: &Controller, output: &mut Output) -> Result<Exit, Failure> {
    let entries = controller.history();
    output.show(
        |out| human::history(out, &entries),
        || {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| {
                    json!({
                        "number": entry.number,
                        "when": entry.when(),
                        "generation": entry.generation,
                        "command": entry.command,
                        "outcome": entry.outcome,
                        "default": entry.default,
                        "interfaces": entry.interfaces,
                        "rules": entry.rules,
                    })
                })
                .collect();
            json!({"entries": entries})
        },
    );
    Ok(Exit::Ok)
}

pub(super) fn diff(
    controller: &Controller,
    against: Option<&str>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let against = match against {
        None => Against::Files,
        Some(word) => match word.parse() {
            Ok(number) => Against::Entry(number),
            Err(_) => Against::File(PathBuf::from(word)),
        },
    };
    let compared = controller.compare(&against)?;
    output.show(
        |out| {
            writeln!(
                out,
                "{} -> {}: {}",
                compared.from, compared.to, compared.rules
            )?;
            for rule in &compared.rules.removed {
                writeln!(out, "- {rule}")?;
            }
            for rule in &compared.rules.added {
                writeln!(out, "+ {rule}")?;
            }
            if !compared.text.is_empty() {
                writeln!(out)?;
            }
            write!(out, "{}", compared.text)
        },
        || {
            json!({
                "from": compared.from,
                "to": compared.to,
                "rules": compared.rules,
                "text": compared.text,
            })
        },
    );
    Ok(Exit::Ok)
}
