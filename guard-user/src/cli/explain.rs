//! `explain`.

use std::path::Path;

use guard_common::abi::reason::Action;
use serde_json::json;

use super::context::Context;
use crate::{
    explain::{self, Explained, Explanation, Session, WayIn},
    failure::{Exit, Failure},
    output::Output,
    ruleset::names::Names,
};

pub(super) fn explain(
    context: &mut Context<'_>,
    words: &[String],
    file: Option<&Path>,
) -> Result<Exit, Failure> {
    let question = explain::parse(words, Names::system())?;
    match context.controller.explain(&question, file)? {
        Explained::Evaluated(answer) => evaluated(&answer, context.output),
        Explained::Unfiltered { packet, interface } => {
            unfiltered(&packet, &interface, context.output)
        }
    }
    Ok(Exit::Ok)
}

fn unfiltered(packet: &str, interface: &str, output: &mut Output) {
    const WHY: &str = "nothing is filtered here: guard is not on this interface";
    output.show(
        |out| {
            writeln!(out, "{packet} on {interface}")?;
            writeln!(out, "passes: {WHY}")
        },
        || {
            json!({
                "packet": packet,
                "interface": interface,
                "action": Action::Pass.label(),
                "reason": "unguarded",
                "would_drop": false,
                "rule": null,
                "rule_words": null,
                "rule_name": null,
                "rule_end": null,
                "on_excess": null,
                "limit_left": null,
                "way_in": null,
            })
        },
    );
}

fn evaluated(answer: &Explanation, output: &mut Output) {
    output.show(
        |out| {
            if answer.interface.is_empty() {
                writeln!(out, "{}", answer.packet)?;
            } else {
                writeln!(out, "{} on {}", answer.packet, answer.interface)?;
            }
            writeln!(
                out,
                "{}: {} ({})",
                action_word(answer),
                answer.reason.label(),
                answer.reason.hint()
            )?;
            if let Some(number) = answer.rule {
                let words = answer.rule_words.as_deref().unwrap_or("");
                writeln!(out, "rule {number}: {words}")?;
                if let Some(end) = &answer.rule_end {
                    writeln!(out, "it acts {end}")?;
                }
            }
            if let Some(what) = &answer.on_excess {
                writeln!(
                    out,
                    "who goes on above its limit with a session: {what}, by the daemon"
                )?;
            }
            if let Some(left) = answer.left {
                writeln!(
                    out,
                    "limit: {} of {} left for this source",
                    left.now, left.at_most
                )?;
                if left.blocked > 0 {
                    writeln!(
                        out,
                        "the source has exceeded it: blocked for {} s",
                        left.blocked
                    )?;
                }
            }
            if let Some(session) = answer.session {
                writeln!(out, "{}", session_line(session))?;
            }
            match &answer.way_in {
                None => Ok(()),
                Some(WayIn::Command(command)) => writeln!(out, "to let it in: {command}"),
                Some(WayIn::Nothing) => {
                    writeln!(out, "no rule lets it in: the packet itself is refused")
                }
            }
        },
        || {
            json!({
                "packet": answer.packet,
                "interface": answer.interface,
                "action": answer.action.label(),
                "reason": answer.reason.label(),
                "would_drop": would_drop(answer),
                "rule": answer.rule,
                "rule_words": answer.rule_words,
                "rule_name": answer.rule_name,
                "rule_end": answer.rule_end,
                "on_excess": answer.on_excess,
                "limit_left": answer.left.map(|left| json!({
                    "now": left.now, "at_most": left.at_most, "blocked_seconds": left.blocked
                })),
                "session": answer.session.map(|session| match session {
                    Session::Known | Session::Conversation { .. } => json!({"known": true}),
                    Session::Unknown { passing } | Session::Stranger { passing } => {
                        json!({"known": false, "passing_per_second": passing})
                    }
                }),
                "way_in": match &answer.way_in {
                    Some(WayIn::Command(command)) => Some(command),
                    Some(WayIn::Nothing) | None => None,
                },
            })
        },
    );
}

fn session_line(session: Session) -> String {
    match session {
        Session::Known => "it is part of a session".to_owned(),
        Session::Unknown { passing: 0.0 } => {
            "but it is part of no session of this host: dropped (out-of-state)".to_owned()
        }
        Session::Conversation { passing } => format!(
            "this host has a conversation with the source: above {passing:.0}/s at its port it passes as long as this \
             host answers it (udp-ceiling)"
        ),
        Session::Stranger { passing: 0.0 } => {
            "but this host has no conversation with the source: dropped (udp-ceiling)".to_owned()
        }
        Session::Stranger { passing } => format!(
            "this host has no conversation with the source: above {passing:.0}/s at its port it passes only when it \
             repeats itself (udp-ceiling)"
        ),
        Session::Unknown { passing } => format!(
            "but it is part of no session of this host: passes below the ceiling of {passing:.0}/s at its port, else \
             dropped (out-of-state)"
        ),
    }
}

/// Does it pass only because of monitor mode?
fn would_drop(answer: &Explanation) -> bool {
    matches!(
        (answer.reason.action(), answer.action),
        (Action::Drop, Action::Pass)
    )
}

fn action_word(answer: &Explanation) -> &'static str {
    match answer.action {
        Action::Drop => "dropped",
        Action::Answer => "answered",
        Action::Pass if would_drop(answer) => "passes in monitor mode, else dropped",
        Action::Pass => "passes",
    }
}
