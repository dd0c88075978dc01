//! Text for people.

use std::{
    io::{self, Write},
    time::Instant,
};

use guard_common::abi::{
    counters::Counter,
    reason::{Action, Reason},
    service::{Service, ServiceKind},
};

use crate::{
    controller::{Entry, Protection, RuleView, Status},
    dataplane::counters::ServiceCounter,
    ruleset::{describe, protocol},
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
    change_lines(out, status)?;
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

/// What is not as settled as it looks.
fn change_lines(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    if status.is_monitor() {
        writeln!(
            out,
            "MONITOR MODE: NOTHING IS DROPPED, only counted (`guardctl default deny` enforces)"
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
pub fn history(out: &mut dyn Write, entries: &[Entry]) -> io::Result<()> {
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

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    taken: Instant,
    reasons: Vec<(Reason, Counter)>,
    services: Vec<ServiceCounter>,
}

impl Sample {
    /// Counters read just now.
    #[must_use]
    pub fn new(reasons: Vec<(Reason, Counter)>, services: Vec<ServiceCounter>) -> Self {
        Self {
            taken: Instant::now(),
            reasons,
            services,
        }
    }

    fn dropped(&self, service: Service) -> u64 {
        self.services
            .iter()
            .find(|counter| counter.service == service)
            .map_or(0, |counter| counter.dropped.packets)
    }

    fn reason(&self, reason: Reason) -> u64 {
        self.reasons
            .iter()
            .find(|(known, _)| *known == reason)
            .map_or(0, |(_, c)| c.packets)
    }
}

/// `stats`; with an earlier sample, rates beside the totals.
///
/// # Errors
/// When the writer fails.
pub fn stats(
    out: &mut dyn Write,
    sample: &Sample,
    before: Option<&Sample>,
    limit: usize,
) -> io::Result<()> {
    let rate = |now: u64, then: u64| {
        let Some(before) = before else {
            return String::new();
        };
        let seconds = sample.taken.duration_since(before.taken).as_secs_f64();
        format!("{:.0}/s", (now - then.min(now)) as f64 / seconds.max(0.001))
    };
    let mut services = sample.services.clone();
    services.sort_by_key(|counter| {
        (
            std::cmp::Reverse(counter.dropped.packets),
            std::cmp::Reverse(counter.passed.packets),
        )
    });
    if services.is_empty() && sample.reasons.iter().all(|(_, count)| count.packets == 0) {
        return writeln!(out, "No packets yet on the protected interfaces.");
    }
    writeln!(
        out,
        "{:<14} {:>14} {:>12} {:>14} {:>12} {:>12}",
        "Port", "Passed", "", "Dropped", "", "Drop rate"
    )?;
    for counter in services.iter().take(limit) {
        let then = before.map_or(0, |before| before.dropped(counter.service));
        writeln!(
            out,
            "{:<14} {:>14} {:>12} {:>14} {:>12} {:>12}",
            service_name(counter.service),
            counter.passed.packets,
            bytes(counter.passed.bytes),
            counter.dropped.packets,
            bytes(counter.dropped.bytes),
            rate(counter.dropped.packets, then),
        )?;
    }
    if services.len() > limit {
        writeln!(out, "… and {} more (--all)", services.len() - limit)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "{:<22} {:<7} {:>14} {:>12} {:>12}",
        "Reason", "Action", "Packets", "", "Rate"
    )?;
    for (reason, counter) in sample
        .reasons
        .iter()
        .filter(|(_, counter)| counter.packets > 0)
    {
        let action = match reason.action() {
            Action::Pass => "pass",
            Action::Drop => "drop",
        };
        let then = before.map_or(0, |before| before.reason(*reason));
        writeln!(
            out,
            "{:<22} {:<7} {:>14} {:>12} {:>12}  {}",
            reason.label(),
            action,
            counter.packets,
            bytes(counter.bytes),
            rate(counter.packets, then),
            reason.hint(),
        )?;
    }
    Ok(())
}

/// `22/tcp`, `ping`, `gre`.
#[must_use]
pub fn service_name(service: Service) -> String {
    match service.kind() {
        ServiceKind::Tcp(port) => format!("{port}/tcp"),
        ServiceKind::Udp(port) => format!("{port}/udp"),
        ServiceKind::Protocol(number) => {
            protocol::name(number).map_or_else(|| format!("proto {number}"), str::to_owned)
        }
        ServiceKind::PingV4 => "ping".to_owned(),
        ServiceKind::PingV6 => "ping6".to_owned(),
    }
}

/// Binary multiples, three significant digits.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
