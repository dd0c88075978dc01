//! Text for people.

use std::io::{self, Write};

use crate::{
    controller::{Protection, RuleView, Status},
    ruleset::describe,
};

/// How much `status` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What is in force.
    Plain,
    /// With the numbers of the rules.
    Numbered,
    /// With the words of each rule, the files and the never list.
    Verbose,
}

/// `status`.
///
/// # Errors
/// When the writer fails.
pub fn status(out: &mut dyn Write, status: &Status, detail: Detail) -> io::Result<()> {
    match status.protection {
        Protection::Inactive => {
            writeln!(out, "Status: inactive")?;
            if !status.rules.is_empty() {
                writeln!(
                    out,
                    "{} in the files, not in force",
                    describe::rule_count(status.rules.len())
                )?;
            }
        }
        Protection::Active => writeln!(out, "Status: active")?,
        Protection::Partial => {
            writeln!(
                out,
                "Status: PARTLY UNPROTECTED (`guardctl reload` puts the program back)"
            )?;
        }
    }
    for interface in &status.interfaces {
        match interface.mode {
            Some(mode) => writeln!(out, "Interface: {} ({})", interface.name, mode.label())?,
            None => writeln!(out, "Interface: {} UNPROTECTED", interface.name)?,
        }
    }
    if status.protection != Protection::Inactive {
        writeln!(out, "Default: {} (incoming)", status.default)?;
        writeln!(out, "Generation: {}", status.generation)?;
    }
    if detail == Detail::Verbose {
        verbose(out, status)?;
    }
    if status.rules.is_empty() {
        return Ok(());
    }
    let indent = match detail {
        Detail::Plain => "",
        Detail::Numbered | Detail::Verbose => "     ",
    };
    writeln!(out)?;
    writeln!(out, "{indent}{:<26} {:<12}From", "To", "Action")?;
    writeln!(out, "{indent}{:<26} {:<12}----", "--", "------")?;
    status
        .rules
        .iter()
        .try_for_each(|rule| rule_line(out, rule, detail))
}

fn verbose(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    for file in &status.files {
        writeln!(out, "Policy file: {file}")?;
    }
    if !status.never.is_empty() {
        writeln!(out, "Never banned: {}", status.never.join(", "))?;
    }
    Ok(())
}

fn rule_line(out: &mut dyn Write, rule: &RuleView, detail: Detail) -> io::Result<()> {
    match detail {
        Detail::Plain => {}
        Detail::Numbered | Detail::Verbose => write!(out, "[{:>2}] ", rule.number)?,
    }
    let action = format!("{} IN", rule.action.to_uppercase());
    write!(out, "{:<26} {action:<12}", rule.to)?;
    match &rule.comment {
        Some(comment) => writeln!(out, "{:<26} # {comment}", rule.from),
        None => writeln!(out, "{}", rule.from),
    }?;
    match detail {
        Detail::Plain | Detail::Numbered => Ok(()),
        Detail::Verbose => writeln!(out, "     guardctl {}", rule.rule),
    }
}
