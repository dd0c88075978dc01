//! What `setup` would put in force: what was chosen, or the rules of the firewall that is there.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::json;

use super::choice::Choice;
use crate::{
    controller::Survey,
    moving_in::Import,
    ruleset::proposal::{self, OpenedPort},
    text::import_mark::marked,
};

/// Where the policy comes from.
pub(super) enum Plan {
    /// From what listens here.
    Proposed(Choice),
    /// From another firewall.
    TakenOver(Box<Import>),
}

impl Plan {
    /// The text of guard.toml.
    pub(super) fn text(&self, survey: &Survey) -> String {
        match self {
            Self::Proposed(choice) => proposal::text(&choice.opened(survey)),
            Self::TakenOver(import) => {
                let body = format!("\n{}", import.text);
                marked(import.name, Path::new(&import.from), &body)
            }
        }
    }

    /// In plain words, and as a file.
    pub(super) fn describe(
        &self,
        out: &mut dyn Write,
        survey: &Survey,
        text: &str,
    ) -> io::Result<()> {
        match self {
            Self::Proposed(choice) => proposed(out, survey, choice)?,
            Self::TakenOver(import) => taken_over(out, survey, import)?,
        }
        writeln!(out, "\nguard.toml:\n")?;
        for line in text.lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)
    }

    pub(super) fn json(&self, survey: &Survey, text: &str) -> serde_json::Value {
        let mut value = json!({
            "dry_run": true,
            "interfaces": survey.interfaces,
            "beside": survey.others.iter().map(|other| other.name()).collect::<Vec<_>>(),
            "policy": text,
            "warnings": survey.warnings,
        });
        match self {
            Self::Proposed(choice) => {
                let opened = choice.opened(survey);
                let opened = opened.iter().map(|opened| {
                    json!({
                        "port": opened.port,
                        "protocol": opened.protocol,
                        "owner": opened.owner,
                        "from": opened.from,
                    })
                });
                value["open"] = opened.collect();
                let closed = choice.closed(survey);
                value["closed"] = closed.iter().map(|service| service.port_word()).collect();
            }
            Self::TakenOver(import) => {
                value["taken_over"] = import.name.into();
                value["left"] = import.left.iter().map(ToString::to_string).collect();
            }
        }
        value
    }
}

fn proposed(out: &mut dyn Write, survey: &Survey, choice: &Choice) -> io::Result<()> {
    writeln!(out, "\nOn {}, guard would", survey.interfaces.join(", "))?;
    for opened in choice.opened(survey) {
        let OpenedPort {
            protocol,
            port,
            owner,
            from,
        } = opened;
        let who = match from.as_slice() {
            [] => "everybody".to_owned(),
            from => {
                let from: Vec<String> = from.iter().map(ToString::to_string).collect();
                from.join(", ")
            }
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
    Ok(())
}

fn taken_over(out: &mut dyn Write, survey: &Survey, import: &Import) -> io::Result<()> {
    let (theirs, interfaces) = (import.name, survey.interfaces.join(", "));
    writeln!(
        out,
        "\nOn {interfaces}, guard would do what {theirs} does:\n"
    )?;
    writeln!(out, "  {:<24} {theirs:<34} guard", "")?;
    for row in &import.meaning.rows {
        let mark = if row.theirs == row.ours { ' ' } else { '!' };
        writeln!(
            out,
            "{mark} {:<24} {:<34} {}",
            row.what, row.theirs, row.ours
        )?;
    }
    if !import.left.is_empty() {
        writeln!(out, "\nnot taken over, or not wholly:")?;
        for remark in &import.left {
            writeln!(out, "  {}", remark.to_string().replace('\n', "\n  "))?;
        }
    }
    writeln!(
        out,
        "\n{theirs} goes on filtering what guard lets in, until you turn it off."
    )
}
