//! Text for people.

use std::io::{self, Write};

use super::stats;
use crate::{
    controller::{Cookies, Floods, HistoryEntry, KnownNames, Protection, RuleView, Status},
    ruleset::{describe, mmdb::DatabaseSet},
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
            not_in_force(out, status)?;
        }
        Protection::Absent => {
            writeln!(
                out,
                "Status: UNPROTECTED: guard should be on, and no policy is in force"
            )?;
            if let Some(why) = &status.absence {
                writeln!(out, "Cause: {why}")?;
            }
            writeln!(
                out,
                "`guardctl load` tries again; `guardctl disable` if guard should be off"
            )?;
            not_in_force(out, status)?;
        }
        Protection::Active => writeln!(out, "Status: active")?,
        Protection::Partial => {
            writeln!(
                out,
                "Status: PARTLY UNPROTECTED (`guardctl reload` puts the program back)"
            )?;
        }
    }
    change_lines(out, status)?;
    for interface in &status.interfaces {
        match interface.mode {
            Some(mode) if interface.replies => match (&interface.fault, &interface.why_generic) {
                (Some(fault), _) => {
                    writeln!(
                        out,
                        "Interface: {} ({}) {fault}",
                        interface.name,
                        mode.label()
                    )?;
                }
                (None, Some(why)) => {
                    writeln!(
                        out,
                        "Interface: {} ({}: {why})",
                        interface.name,
                        mode.label()
                    )?;
                }
                (None, None) => {
                    writeln!(out, "Interface: {} ({})", interface.name, mode.label())?;
                }
            },
            Some(mode) => writeln!(
                out,
                "Interface: {} ({}) REPLIES ARE NOT RECOGNISED (`guardctl reload` puts the egress program back)",
                interface.name,
                mode.label()
            )?,
            None => writeln!(out, "Interface: {} UNPROTECTED", interface.name)?,
        }
    }
    for exposure in &status.exposures {
        writeln!(out, "Interface: {exposure}")?;
    }
    if status.protection.is_in_force() {
        writeln!(out, "Default: {} (incoming)", status.default)?;
        writeln!(out, "Generation: {}", status.generation)?;
    }
    if let Some(floods) = status.floods {
        flood_line(out, floods)?;
    }
    databases(out, &status.databases)?;
    host_names(out, &status.host_names)?;
    if detail == Detail::Verbose {
        verbose(out, status)?;
    }
    if status.rules.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table(out, status.rules.iter(), detail)
}

/// Sets that come from databases, one per line.
///
/// # Errors
/// When the writer fails.
pub fn databases(out: &mut dyn Write, sets: &[DatabaseSet]) -> io::Result<()> {
    sets.iter().try_for_each(|set| writeln!(out, "Set: {set}"))
}

/// Names of hosts in rules, one per line.
///
/// # Errors
/// When the writer fails.
pub fn host_names(out: &mut dyn Write, names: &KnownNames) -> io::Result<()> {
    names
        .iter()
        .try_for_each(|(name, known)| writeln!(out, "Name: {name} is {known}"))
}

/// Rules with their numbers.
pub fn rules<'r>(
    out: &mut dyn Write,
    mut rules: impl Iterator<Item = &'r RuleView>,
) -> io::Result<()> {
    match rules.next() {
        Some(first) => table(out, std::iter::once(first).chain(rules), Detail::Numbered),
        None => writeln!(out, "no rules"),
    }
}

fn table<'r>(
    out: &mut dyn Write,
    rules: impl Iterator<Item = &'r RuleView>,
    detail: Detail,
) -> io::Result<()> {
    let mut rules = rules.peekable();
    let indent = match detail {
        Detail::Plain => "",
        Detail::Numbered | Detail::Verbose => "     ",
    };
    let has_hits = rules.peek().is_some_and(|rule| rule.hits.is_some());
    let (hits, under_hits) = if has_hits {
        (
            format!("{:>9} {:>9}  ", "Packets", "Bytes"),
            format!("{:>9} {:>9}  ", "-------", "-----"),
        )
    } else {
        Default::default()
    };
    writeln!(out, "{indent}{hits}{:<26} {:<12}From", "To", "Action")?;
    writeln!(out, "{indent}{under_hits}{:<26} {:<12}----", "--", "------")?;
    rules.try_for_each(|rule| rule_line(out, rule, detail))
}

fn not_in_force(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    if status.rules.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{} in the files, not in force",
        describe::rule_count(status.rules.len())
    )
}

/// What acts against floods of open ports.
fn flood_line(out: &mut dyn Write, floods: Floods) -> io::Result<()> {
    let cookies = match floods.cookies {
        Cookies::Ready => "cookies when a listener's queue is full",
        Cookies::Unsupported => "cookies: not on this kernel; the ceiling acts",
        Cookies::TurnedOff => "no cookies (net.ipv4.tcp_syncookies is 0)",
    };
    let ceiling = per_port(floods.ceiling.admitted_per_second());
    writeln!(out, "SYN floods: {cookies}, ceiling {ceiling}")?;
    match floods.out_of_state.admitted_per_second() {
        None => writeln!(out, "Out-of-state TCP: let in (out-of-state is off)")?,
        Some(0.0) => writeln!(out, "Out-of-state TCP: dropped")?,
        rate => writeln!(out, "Out-of-state TCP: dropped above {}", per_port(rate))?,
    }
    match floods.udp.admitted_per_second() {
        None => writeln!(out, "UDP floods: let in (udp is off)"),
        Some(0.0) => writeln!(out, "UDP floods: clients only"),
        rate => writeln!(out, "UDP floods: clients go first above {}", per_port(rate)),
    }
}

fn per_port(rate: Option<f64>) -> String {
    match rate {
        Some(rate) if rate >= 1.0 => format!("{rate:.0}/s per port"),
        Some(rate) => format!("{:.0}/h per port", rate * 3600.0),
        None => "off".to_owned(),
    }
}

/// What is not as settled as it looks.
fn change_lines(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    if status.is_monitor() {
        writeln!(
            out,
            "MONITOR MODE: NOTHING IS DROPPED, only counted (`guardctl default deny` enforces)"
        )?;
    }
    if let Some(why) = &status.fallback {
        writeln!(
            out,
            "THE POLICY FILES WERE NOT USABLE AT BOOT: the last policy that was in force is (`guardctl reload` applies the \
             files once they are right): {why}"
        )?;
    }
    if let Some(pending) = &status.pending {
        let then = match pending.previous_generation {
            0 => "goes off again".to_owned(),
            generation => format!("returns to generation {generation}"),
        };
        writeln!(
            out,
            "PENDING: {then} in {} s unless `guardctl confirm`",
            pending.seconds()
        )?;
    }
    if let Some(reverted) = &status.reverted {
        let now = match status.generation {
            0 => "guard is off".to_owned(),
            generation => format!("generation {generation} is in force"),
        };
        writeln!(
            out,
            "REVERTED: `{}` of {} was not confirmed: {now}",
            reverted.command, reverted.when
        )?;
    }
    Ok(())
}

/// `history`, newest first.
///
/// # Errors
/// When the writer fails.
pub fn history(out: &mut dyn Write, entries: &[HistoryEntry]) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "No policy has been in force yet.");
    }
    writeln!(
        out,
        "{:>5}  {:<20}  {:>10}  {:>6}  {:<13}  Command",
        "Entry", "When", "Generation", "Rules", "Outcome"
    )?;
    entries.iter().try_for_each(|entry| {
        writeln!(
            out,
            "{:>5}  {:<20}  {:>10}  {:>6}  {:<13}  {}",
            entry.number,
            entry.when(),
            entry.generation,
            entry.rules,
            entry.outcome.label(),
            entry.command
        )
    })
}

fn verbose(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    for file in &status.files {
        writeln!(out, "Policy file: {file}")?;
    }
    if !status.never.is_empty() {
        writeln!(out, "Never banned: {}", status.never.join(", "))?;
    }
    if let Some(table) = status.flow_table {
        let (flows, percent) = (table.size.flows(), table.percent);
        writeln!(
            out,
            "Flow table: {flows} flows, {} % in use ({} % of the places for sessions of others)",
            percent.own.midpoint(percent.others),
            percent.others
        )?;
    }
    Ok(())
}

fn rule_line(out: &mut dyn Write, rule: &RuleView, detail: Detail) -> io::Result<()> {
    match detail {
        Detail::Plain => {}
        Detail::Numbered | Detail::Verbose => write!(out, "[{:>2}] ", rule.number)?,
    }
    if let Some(hits) = rule.hits {
        write!(out, "{:>9} {:>9}  ", hits.packets, stats::bytes(hits.bytes))?;
    }
    let action = format!("{} IN", rule.action.to_uppercase());
    write!(out, "{:<26} {action:<12}", rule.to)?;
    let remarks = match rule.remarks() {
        remarks if remarks.is_empty() => remarks,
        remarks => format!(" ({remarks})"),
    };
    match &rule.comment {
        Some(comment) => writeln!(out, "{:<26}{remarks} # {comment}", rule.from),
        None if remarks.is_empty() => writeln!(out, "{}", rule.from),
        None => writeln!(out, "{:<26}{remarks}", rule.from),
    }?;
    match detail {
        Detail::Plain | Detail::Numbered => Ok(()),
        Detail::Verbose => writeln!(out, "     guardctl {}", rule.rule),
    }
}
