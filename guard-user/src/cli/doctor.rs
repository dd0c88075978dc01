//! `doctor`.

use std::io::{self, Write};

use serde_json::json;

use super::context::Context;
use crate::{
    control::{Request, client},
    controller::{Controller, Finding, Health},
    failure::{Exit, Failure},
};

pub(super) fn doctor(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let mut found = context.controller.examine();
    found.extend(daemon(context.controller));
    let exit = found.iter().find_map(|finding| match finding.health {
        Health::Good | Health::Note => None,
        Health::Wrong(exit) => Some(exit),
    });
    context.output.show(
        |out| text(out, &found),
        || json!({"healthy": exit.is_none(), "findings": found.iter().map(finding_json).collect::<Vec<_>>()}),
    );
    Ok(exit.unwrap_or(Exit::Ok))
}

/// Does it answer? Only where a unit says that it should run.
fn daemon(controller: &Controller) -> Option<Finding> {
    let is_wanted = controller.has_systemd() && controller.service_status().daemon.is_some();
    match client::ask(controller.layout(), Request::Ping) {
        Ok(_) => Some(Finding::new("daemon", Health::Good, "answers")),
        Err(failure) if is_wanted => Some(Finding::failed("daemon", &failure)),
        Err(_) => None,
    }
}

fn text(out: &mut dyn Write, found: &[Finding]) -> io::Result<()> {
    for finding in found {
        let (word, _) = words(finding.health);
        // Each line of a text that has several is indented like the first.
        let text = finding.text.replace('\n', "\n                 ");
        writeln!(out, "{word:<6} {:<9} {text}", finding.topic)?;
        if let Some(remedy) = &finding.remedy {
            writeln!(out, "                 -> {remedy}")?;
        }
    }
    Ok(())
}

/// For people and for JSON.
const fn words(health: Health) -> (&'static str, &'static str) {
    match health {
        Health::Good => ("ok", "ok"),
        Health::Note => ("note", "note"),
        Health::Wrong(_) => ("WRONG", "wrong"),
    }
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    let exit = match finding.health {
        Health::Good | Health::Note => Exit::Ok,
        Health::Wrong(exit) => exit,
    };
    json!({
        "topic": finding.topic,
        "health": words(finding.health).1,
        "exit": exit as u8,
        "text": finding.text,
        "remedy": finding.remedy,
    })
}
