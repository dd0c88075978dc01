//! `setup`: a few questions, a policy in plain words and as a file, and then `enable`.

mod choice;
mod plan;
mod questions;

use std::{io, path::Path};

use super::{
    context::Context,
    enable::{self, EnableArgs},
    options::Deadline,
    service::AfterReboot,
};
use crate::{
    controller::{Preset, Survey},
    failure::{Exit, Failure},
    moving_in::Import,
};
use choice::Choice;
use plan::Plan;
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
    let plan = match take_over(&survey, &questions)? {
        Some(import) => Plan::TakenOver(Box::new(import)),
        None => Plan::Proposed(choose(&survey, &questions).ok_or_else(stopped)?),
    };
    let text = plan.text(&survey);
    if context.global.dry_run {
        context.output.show(
            |out| plan.describe(out, &survey, &text),
            || plan.json(&survey, &text),
        );
        return Ok(Exit::Ok);
    }
    if !context.global.json && !context.global.quiet {
        let shown = plan.describe(&mut io::stderr(), &survey, &text);
        shown.unwrap_or_default();
    }
    if !questions.yes("Put this in force now, and after each reboot?", true) {
        return Err(stopped());
    }
    let wanted = EnableArgs {
        iface: args.iface,
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

/// The rules of the firewall that is on, if they are wanted.
fn take_over(survey: &Survey, questions: &Questions) -> Result<Option<Import>, Failure> {
    for other in &survey.others {
        let Some(rules) = other.rules(Path::new("/")) else {
            continue;
        };
        let question = format!("{} is on here. Take its rules over?", other.name());
        if questions.yes(&question, true) {
            return rules.map(Some);
        }
    }
    Ok(None)
}

/// `None`: the operator went away.
fn choose(survey: &Survey, questions: &Questions) -> Option<Choice> {
    let mut choice = Choice::proposed(survey);
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
