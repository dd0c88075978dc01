//! Commands that change or check the policy.

use std::path::Path;

use serde_json::json;

use super::{
    args::{Command, DefaultWord, Global, Never},
    power::consent,
};
use crate::{
    controller::{Changed, Controller, Delete, Edit},
    failure::{Exit, Failure},
    output::Output,
    ruleset::{edit::Place, model::DefaultAction},
};

pub(super) fn add(
    controller: &Controller,
    global: &Global,
    action: &str,
    words: &[String],
    output: &mut Output,
) -> Result<Exit, Failure> {
    let words = std::iter::once(action.to_owned())
        .chain(words.iter().cloned())
        .collect();
    change(
        controller,
        global,
        &Edit::Add {
            words,
            place: Place::End,
        },
        output,
    )
}

pub(super) fn insert(
    controller: &Controller,
    global: &Global,
    number: usize,
    words: &[String],
    output: &mut Output,
) -> Result<Exit, Failure> {
    let edit = Edit::Add {
        words: words.to_vec(),
        place: Place::Number(number),
    };
    change(controller, global, &edit, output)
}

pub(super) fn delete(
    controller: &Controller,
    global: &Global,
    words: &[String],
    output: &mut Output,
) -> Result<Exit, Failure> {
    let delete = match words {
        [number] if number.parse::<usize>().is_ok() => {
            Delete::Number(number.parse().unwrap_or_default())
        }
        words => Delete::Words(words.to_vec()),
    };
    change(controller, global, &Edit::Delete(delete), output)
}

pub(super) fn default(
    controller: &Controller,
    global: &Global,
    action: DefaultWord,
    direction: Option<&str>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match (direction, action) {
        (None | Some("incoming"), _) => {}
        // What ufw's guides say, and what guard does anyway.
        (Some("outgoing"), DefaultWord::Allow) => {
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
    let action = match action {
        DefaultWord::Allow => DefaultAction::Allow,
        DefaultWord::Deny => DefaultAction::Deny,
    };
    change(controller, global, &Edit::Default(action), output)
}

pub(super) fn never(
    controller: &Controller,
    global: &Global,
    action: &Never,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match action {
        Never::Add { entry } => change(controller, global, &Edit::NeverAdd(entry.clone()), output),
        Never::Del { entry } => change(
            controller,
            global,
            &Edit::NeverRemove(entry.clone()),
            output,
        ),
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
    output: &mut Output,
) -> Result<Exit, Failure> {
    let changed = controller.reload(consent(global))?;
    report(&changed, output);
    Ok(Exit::Ok)
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
                "ok: {} rules in {} files",
                checked.rules,
                checked.files.len()
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

/// Verbs of ufw that this version does not have, each with the reason and the way out.
pub(super) fn refuse(command: &Command) -> Result<Exit, Failure> {
    let (what, help) = match command {
        Command::Limit { .. } => (
            "`limit` is not available yet: this version has no rate limits",
            "restrict the port to known sources: `guardctl allow from 198.51.100.10 to any port 22 \
             proto tcp`",
        ),
        Command::Reject { .. } => (
            "`reject` is not available: guard answers no packet that it drops, so that a flood \
             is not answered either",
            "use `guardctl deny …`",
        ),
        _ => (
            "`route` is not available: guard filters what arrives on an interface, forwarded \
             packets included",
            "use `guardctl allow|deny [on IFACE] … to ADDRESS`",
        ),
    };
    Err(Failure::new(Exit::Usage, what).help(help))
}

fn change(
    controller: &Controller,
    global: &Global,
    edit: &Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let changed = controller.change(edit, consent(global))?;
    report(&changed, output);
    Ok(Exit::Ok)
}

fn report(changed: &Changed, output: &mut Output) {
    output.warnings(&changed.warnings);
    output.show(
        |out| writeln!(out, "{}", changed.message),
        || {
            json!({
                "changed": changed.changed,
                "message": changed.message,
                "rule": changed.rule,
                "generation": changed.generation,
                "warnings": changed.warnings,
            })
        },
    );
}
