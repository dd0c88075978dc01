//! `setup`: a few questions, a policy in plain words and as a file, and then `enable`.

mod choice;
mod questions;

use std::io::{self, Write};

use serde_json::json;

use super::{
    context::Context,
    enable::{self, EnableArgs},
    options::Deadline,
    service::AfterReboot,
};
use crate::{
    controller::{Preset, Survey},
    failure::{Exit, Failure},
    ruleset::proposal::{self, OpenedPort},
};
use choice::Choice;
use questions::Questions;

/// What the operator said beforehand.
pub(super) struct SetupArgs<'a> {
    pub(super) iface: &'a [String],
    pub(super) deadline: Deadline,
}

pub(super) fn setup(context: &mut Context<'_>, args: &SetupArgs<'_>) -> Result<Exit, Failure> {
    let survey = context.controller.survey(args.iface)?;
    let questions = Questions::new(context.global);
    if !questions.are_possible() && !context.global.yes && !context.global.dry_run {
        return Err(Failure::new(
            Exit::Usage,
            "setup asks questions, and nobody is there to answer them",
        )
        .help("--dry-run shows what it would propose, --yes takes that"));
    }
    context.output.warnings(&survey.warnings);
    let Some(choice) = choose(&survey, &questions) else {
        return Err(stopped());
    };
    let text = proposal::text(args.iface, &choice.opened(&survey));
    if context.global.dry_run {
        context.output.show(
            |out| describe(out, &survey, &choice, &text),
            || proposal_json(&survey, &choice, &text),
        );
        return Ok(Exit::Ok);
    }
    if !context.global.json && !context.global.quiet {
        describe(&mut io::stderr(), &survey, &choice, &text).unwrap_or_default();
    }
    if !questions.yes("Put this in force now, and after each reboot?", true) {
        return Err(stopped());
    }
    let wanted = EnableArgs {
        iface: &[],
        mode: None,
        preset: Preset::Files,
        deadline: args.deadline,
        policy: Some(text),
        after_reboot: AfterReboot::Wanted,
    };
    enable::enable(context, &wanted)
}

fn stopped() -> Failure {
    Failure::new(Exit::Failed, "stopped; nothing has changed").help(
        "`guardctl setup` begins anew; `guardctl allow` and `guardctl enable` do it step by step",
    )
}

/// `None`: the operator went away.
fn choose(survey: &Survey, questions: &Questions) -> Option<Choice> {
    let mut choice = Choice::proposed(survey);
    for other in &survey.others {
        questions.say(&format!(
            "{} is here, too; `guardctl doctor` says how it and guard get along.",
            other.name()
        ));
    }
    if !survey.callers.is_empty() && survey.services.iter().any(|service| service.is_login) {
        let here: Vec<String> = survey.callers.iter().map(ToString::to_string).collect();
        let from = here.join(", ");
        let answer = questions.ask(
            &format!("Who may log in by SSH? [e]verybody (who fails too often is banned), or [o]nly {from}?"),
            "e",
            |answer| match answer.to_lowercase().as_str() {
                "e" | "everybody" => Ok(false),
                "o" | "only" => Ok(true),
                _ => Err("e or o"),
            },
        )?;
        choice.only_callers = answer;
    }
    let others = choice.others(survey);
    if !others.is_empty() {
        questions.say("What else listens here:");
        for (service, number) in others.iter().zip(1..) {
            let mark = if choice.is_open(service) {
                "open"
            } else {
                "closed"
            };
            questions.say(&format!(
                "{number:>4}  {:<11} {:<28} {mark}",
                service.port_word(),
                service.owner
            ));
        }
        let count = others.len();
        let open = questions.ask(
            "Which of these may everybody reach? Numbers, `all`, `none`, or enter for the above",
            "",
            |answer| choice::numbers(answer, count),
        )?;
        if let Some(open) = open {
            choice.open_only(&others, &open);
        }
    }
    Some(choice)
}

fn describe(out: &mut dyn Write, survey: &Survey, choice: &Choice, text: &str) -> io::Result<()> {
    writeln!(out, "\nOn {}, guard would", survey.interfaces.join(", "))?;
    for port_opened in choice.opened(survey) {
        let OpenedPort {
            protocol,
            port,
            owner,
            from,
        } = port_opened;
        let who = match from.as_slice() {
            [] => "everybody".to_owned(),
            from => from
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        writeln!(out, "  let {who} in to {port}/{protocol} ({owner})")?;
    }
    let closed = choice.closed(survey);
    if !closed.is_empty() {
        let closed: Vec<String> = closed
            .iter()
            .map(|service| format!("{} ({})", service.port_word(), service.owner))
            .collect();
        writeln!(out, "  keep strangers from {}", closed.join(", "))?;
    }
    writeln!(
        out,
        "  drop whatever else comes, pings too; replies and open sessions pass."
    )?;
    if !survey.services.iter().any(|service| service.is_login) {
        writeln!(
            out,
            "No SSH server was found here: nobody could log in by SSH."
        )?;
    }
    writeln!(out, "\nguard.toml:\n")?;
    for line in text.lines() {
        writeln!(out, "    {line}")?;
    }
    writeln!(out)
}

fn proposal_json(survey: &Survey, choice: &Choice, text: &str) -> serde_json::Value {
    let opened: Vec<_> = choice
        .opened(survey)
        .iter()
        .map(|port_opened| {
            json!({
                "port": port_opened.port,
                "protocol": port_opened.protocol,
                "owner": port_opened.owner,
                "from": port_opened.from,
            })
        })
        .collect();
    let closed = choice.closed(survey);
    json!({
        "dry_run": true,
        "interfaces": survey.interfaces,
        "open": opened,
        "closed": closed.iter().map(|service| service.port_word()).collect::<Vec<_>>(),
        "beside": survey.others.iter().map(|other| other.name()).collect::<Vec<_>>(),
        "policy": text,
        "warnings": survey.warnings,
    })
}
