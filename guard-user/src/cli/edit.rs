//! Commands that change or check the policy.

use std::path::Path;

use serde_json::json;

use super::{
    args::{DefaultWord, Never, Rules},
    change_report::report,
    context::Context,
    deadline::{self, Danger, consent},
    me,
    options::Deadline,
};
use crate::{
    controller::{Consent, Delete, Edit},
    failure::{Exit, Failure},
    output::human,
    ruleset::{describe, labels::Which, model::DefaultAction},
    text::value::quoted,
};

pub(super) fn add(
    context: &mut Context<'_>,
    action: &str,
    words: &[String],
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let words: Vec<String> = std::iter::once(action.to_owned())
        .chain(words.iter().cloned())
        .collect();
    let words = me::replaced(&words)?;
    let consent = consent(context.global, deadline, danger(&words));
    let edit = Edit::Add {
        words,
        before: None,
    };
    change(context, &edit, consent)
}

pub(super) fn insert(
    context: &mut Context<'_>,
    before: &str,
    words: &[String],
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let words = &me::replaced(words)?;
    let edit = Edit::Add {
        words: words.to_vec(),
        before: Some(which(before)?),
    };
    let consent = consent(context.global, deadline, danger(words));
    change(context, &edit, consent)
}

/// A rule that allows shuts nobody out, unless it takes the place of one that lasts longer; that is refused.
fn danger(words: &[String]) -> Danger {
    let first = words.first().map(|word| word.to_lowercase());
    if matches!(first.as_deref(), Some("allow" | "limit")) {
        Danger::Harmless
    } else {
        Danger::MayShutOut
    }
}

pub(super) fn delete(
    context: &mut Context<'_>,
    words: &[String],
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let delete = match words {
        [one] if is_which(one) => Delete::Which(which(one)?),
        words => {
            refuse_no_rule(words)?;
            Delete::Words(me::replaced(words)?)
        }
    };
    let consent = consent(context.global, deadline, Danger::MayShutOut);
    change(context, &Edit::Delete(delete), consent)
}

pub(super) fn switch(context: &mut Context<'_>, action: &Rules) -> Result<Exit, Failure> {
    let (edit, deadline) = match action {
        Rules::Disable { rule, deadline } => (Edit::Disable(which(rule)?), deadline),
        Rules::Enable { rule, deadline } => (Edit::Enable(which(rule)?), deadline),
    };
    let consent = consent(context.global, *deadline, Danger::MayShutOut);
    change(context, &edit, consent)
}

/// The rule that is meant.
fn which(word: &str) -> Result<Which, Failure> {
    Which::parse(word).map_err(|bad| {
        let failure = Failure::new(Exit::Usage, bad.message);
        match bad.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })
}

/// One word that is a number or may be a name; anything else is the beginning of a rule, or a mistake.
fn is_which(word: &str) -> bool {
    Which::parse(word).is_ok()
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
            .help("no rule rejects; `guardctl status numbered` lists the rules"));
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
    context: &mut Context<'_>,
    action: DefaultWord,
    direction: Option<&str>,
    deadline: Deadline,
) -> Result<Exit, Failure> {
    match (direction, action) {
        (None | Some("incoming" | "input"), _) => {}
        // What ufw's guides say, and what guard does anyway.
        (Some("outgoing" | "output"), DefaultWord::Allow) => {
            context.output.show(
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
    let consent = consent(context.global, deadline, danger);
    change(context, &Edit::Default(action), consent)
}

pub(super) fn never(context: &mut Context<'_>, action: &Never) -> Result<Exit, Failure> {
    let consent = deadline::plain(context.global);
    match action {
        Never::Add { entry } => {
            let edit = Edit::NeverAdd(entry.clone());
            change(context, &edit, consent)
        }
        Never::Del { entry } => {
            let edit = Edit::NeverRemove(entry.clone());
            change(context, &edit, consent)
        }
        Never::List => {
            let never: Vec<String> = context
                .controller
                .load()?
                .policy
                .never
                .iter()
                .map(crate::text::address::show)
                .collect();
            context.output.show(
                |out| never.iter().try_for_each(|entry| writeln!(out, "{entry}")),
                || json!({"never": never}),
            );
            Ok(Exit::Ok)
        }
    }
}

pub(super) fn reload(context: &mut Context<'_>, deadline: Deadline) -> Result<Exit, Failure> {
    let consent = consent(context.global, deadline, Danger::MayShutOut);
    let changed = context.controller.reload(consent)?;
    super::feeds::refresh(context);
    report(context, &changed, consent)
}

pub(super) fn apply(
    context: &mut Context<'_>,
    file: Option<&Path>,
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let Some(file) = file else {
        return reload(context, deadline);
    };
    let consent = consent(context.global, deadline, Danger::MayShutOut);
    let changed = context.controller.apply_file(file, consent)?;
    report(context, &changed, consent)
}

pub(super) fn check(context: &mut Context<'_>, file: Option<&Path>) -> Result<Exit, Failure> {
    let checked = context.controller.check(file)?;
    context.output.warnings(&checked.warnings);
    context.output.show(
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
            )?;
            human::databases(out, &checked.databases)
        },
        || {
            json!({
                "ok": true,
                "rules": checked.rules,
                "databases": super::list::databases_json(&checked.databases),
                "files": checked.files,
                "warnings": checked.warnings,
            })
        },
    );
    Ok(Exit::Ok)
}

fn change(context: &mut Context<'_>, edit: &Edit, consent: Consent) -> Result<Exit, Failure> {
    let changed = context.controller.change(edit, consent)?;
    report(context, &changed, consent)
}
