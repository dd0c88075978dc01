//! `rollback`, `history` and `diff`: policies that were in force.

use std::path::PathBuf;

use serde_json::json;

use super::{
    change_report::report,
    context::Context,
    deadline::{self, Danger},
    options::Deadline,
};
use crate::{
    controller::Against,
    failure::{Exit, Failure},
    output::human,
};

pub(super) fn rollback(
    context: &mut Context<'_>,
    number: Option<u32>,
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let consent = deadline::consent(context.global, deadline, Danger::MayShutOut);
    let changed = context.controller.rollback(number, consent)?;
    report(context, &changed, consent)
}

pub(super) fn history(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let entries = context.controller.history();
    context.output.show(
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

pub(super) fn diff(context: &mut Context<'_>, against: Option<&str>) -> Result<Exit, Failure> {
    let against = match against {
        None => Against::Files,
        Some(word) => match word.parse() {
            Ok(number) => Against::Entry(number),
            Err(_) => Against::File(PathBuf::from(word)),
        },
    };
    let compared = context.controller.compare(&against)?;
    context.output.show(
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
