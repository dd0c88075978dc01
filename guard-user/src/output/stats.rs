//! `stats` as text.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use guard_common::abi::{
    counters::Counter,
    reason::Reason,
    service::{Service, ServiceKind},
};

use crate::{
    bans::BanTerm,
    controller::{OriginCount, ReasonCounter, RuleView, ServiceCounter, SynCounts, Traffic},
    ruleset::{icmp, protocol},
    text::duration,
};

/// What to show.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// The counters, or what was counted in some time.
    pub traffic: &'v Traffic,
    /// From when to when that is.
    pub span: &'v Span,
    /// What was counted since the last look; rates stand beside the totals then.
    pub recent: Option<&'v Recent>,
    /// Bans, if they are asked for.
    pub origins: Option<&'v [OriginCount]>,
    /// Rules, with what each let in or dropped, if they are shown.
    pub rules: Option<&'v [RuleView]>,
    /// Which tables.
    pub tables: Tables,
    /// Most rows of ports.
    pub limit: usize,
}

/// Which time the figures are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// From the beginning of the counters, in seconds since 1970 as far as it is known.
    All(Option<u64>),
    /// From a sample on.
    Since {
        /// When it was taken, in seconds since 1970.
        at: u64,
        /// How long ago.
        length: Duration,
        /// Services with at most so many packets are not in it.
        left_out: Option<u64>,
    },
    /// Between two readings; figures are shown per second.
    PerSecond(Duration),
}

/// What was counted in a short time.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Counted in it.
    pub traffic: Traffic,
    /// How long it was.
    pub length: Duration,
}

/// Tables of `stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// By port, and what became of floods.
    pub ports: bool,
    /// By reason.
    pub reasons: bool,
    /// By interface.
    pub interfaces: bool,
    /// The flow table.
    pub flows: bool,
}

/// How figures are written: as they are, or per second.
#[derive(Clone, Copy)]
struct Figures {
    seconds: Option<f64>,
}

impl Figures {
    fn of(span: &Span) -> Self {
        let seconds = match span {
            Span::PerSecond(length) => Some(length.as_secs_f64().max(0.001)),
            Span::All(_) | Span::Since { .. } => None,
        };
        Self { seconds }
    }

    fn packets(self, count: u64) -> String {
        match self.seconds {
            None => count.to_string(),
            Some(seconds) => format!("{:.0}/s", count as f64 / seconds),
        }
    }

    fn bytes(self, count: u64) -> String {
        match self.seconds {
            None => bytes(count),
            Some(seconds) => bits(count as f64 * 8.0 / seconds),
        }
    }
}

/// `stats`.
///
/// # Errors
/// When the writer fails.
pub fn stats(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let traffic = view.traffic;
    let figures = Figures::of(view.span);
    let is_quiet = traffic.services.is_empty() && traffic.reasons.iter().all(|c| packets(c) == 0);
    if is_quiet && view.origins.is_none() && view.rules.is_none() {
        return match view.span {
            Span::All(_) => writeln!(out, "No packets yet on the protected interfaces."),
            Span::Since { .. } | Span::PerSecond(_) => {
                writeln!(
                    out,
                    "No packets {} on the protected interfaces.",
                    span(view)
                )
            }
        };
    }
    if view.tables.ports {
        ports(out, view, figures)?;
    }
    if view.tables.reasons {
        reasons(out, view, figures)?;
    }
    if view.tables.ports {
        syn_counts(out, view, figures)?;
    }
    if view.tables.interfaces {
        interfaces(out, view, figures)?;
    }
    if let Some(origins) = view.origins {
        bans(out, origins)?;
    }
    if let Some(all) = view.rules {
        rules(out, all)?;
    }
    if view.tables.flows {
        let flows = &traffic.flows;
        writeln!(
            out,
            "\nFlows: {} live, {} begun by this host, {} sessions of others, {} evicted; sockets asked {} times",
            flows.live,
            flows.created,
            flows.sessions,
            flows.evicted + flows.refused,
            flows.socket_asked
        )?;
    }
    writeln!(out, "\nCounted {}", span(view))
}

/// `since 2026-11-29T21:00:01Z (52 min)`.
fn span(view: &View<'_>) -> String {
    let moment = |at: u64| {
        let time = jiff::Timestamp::from_second(at.try_into().unwrap_or_default());
        time.map_or_else(|_| at.to_string(), |time| time.to_string())
    };
    match view.span {
        Span::All(None) => "since guard was enabled".to_owned(),
        Span::All(Some(began)) => {
            let age = view.traffic.at.saturating_sub(*began);
            format!("since {} ({})", moment(*began), duration::rounded(age))
        }
        Span::Since {
            at,
            length,
            left_out,
        } => {
            let mut text = format!(
                "since {} ({})",
                moment(*at),
                duration::rounded(length.as_secs())
            );
            if let Some(floor) = left_out {
                text += &format!(
                    "; ports with at most {floor} packets by then had at least as many as are shown"
                );
            }
            text
        }
        Span::PerSecond(length) => format!("in {:.1} s", length.as_secs_f64()),
    }
}

fn ports(out: &mut dyn Write, view: &View<'_>, figures: Figures) -> io::Result<()> {
    let traffic = view.traffic;
    let mut services = traffic.services.clone();
    services.sort_by_key(|counter| {
        (
            Reverse(lost(counter).packets),
            Reverse(counter.passed.packets),
        )
    });
    let is_monitored = traffic.reasons.iter().any(|c| c.monitored.packets > 0);
    let has_rates = figures.seconds.is_none();
    let recent: BTreeMap<u32, u64> = view.recent.map_or_else(BTreeMap::new, |recent| {
        let services = recent.traffic.services.iter();
        services
            .map(|c| (c.service.row(), lost(c).packets))
            .collect()
    });
    write!(
        out,
        "{:<14} {:>14} {:>12} {:>14} {:>12}",
        "Port", "Passed", "", "Dropped", ""
    )?;
    if is_monitored {
        write!(out, " {:>14} {:>12}", "Would drop", "")?;
    }
    if has_rates {
        write!(out, " {:>12}", "Drop rate")?;
    }
    writeln!(out)?;
    for counter in services.iter().take(view.limit) {
        write!(out, "{:<14}", service_name(counter.service))?;
        let monitored = is_monitored.then_some(counter.monitored);
        for counted in [counter.passed, counter.dropped]
            .into_iter()
            .chain(monitored)
        {
            write!(
                out,
                " {:>14} {:>12}",
                figures.packets(counted.packets),
                figures.bytes(counted.bytes)
            )?;
        }
        if has_rates {
            let then = recent.get(&counter.service.row()).copied();
            write!(out, " {:>12}", rate(view, then.unwrap_or_default()))?;
        }
        writeln!(out)?;
    }
    if services.len() > view.limit {
        writeln!(out, "… and {} more (--all)", services.len() - view.limit)?;
    }
    Ok(())
}

/// So many since the last look, per second; nothing, when there was none.
fn rate(view: &View<'_>, packets: u64) -> String {
    view.recent.map_or_else(String::new, |recent| {
        let seconds = recent.length.as_secs_f64().max(0.001);
        format!("{:.0}/s", packets as f64 / seconds)
    })
}

/// Ports that were flooded.
fn syn_counts(out: &mut dyn Write, view: &View<'_>, figures: Figures) -> io::Result<()> {
    let mut ports = view.traffic.syn_counts.clone();
    ports.sort_by_key(|(_, counted)| {
        Reverse(counted.answered + counted.refused + counted.out_of_state)
    });
    if !ports.is_empty() {
        writeln!(
            out,
            "\n{:<14} {:>14} {:>14} {:>14}",
            "Floods", "Answered", "Above ceiling", "Out of state"
        )?;
    }
    for (port, counted) in ports.into_iter().take(view.limit) {
        let name = format!("{port}/tcp");
        let SynCounts {
            answered,
            refused,
            out_of_state,
        } = counted;
        let [answered, refused, out_of_state] =
            [answered, refused, out_of_state].map(|count| figures.packets(count));
        writeln!(
            out,
            "{name:<14} {answered:>14} {refused:>14} {out_of_state:>14}"
        )?;
    }
    Ok(())
}

fn reasons(out: &mut dyn Write, view: &View<'_>, figures: Figures) -> io::Result<()> {
    let recent: BTreeMap<Reason, u64> = view.recent.map_or_else(BTreeMap::new, |recent| {
        let reasons = recent.traffic.reasons.iter();
        reasons.map(|c| (c.reason, packets(c))).collect()
    });
    if view.tables.ports {
        writeln!(out)?;
    }
    write!(
        out,
        "{:<22} {:<11} {:>14} {:>12}",
        "Reason", "Action", "Packets", ""
    )?;
    let has_rates = figures.seconds.is_none();
    writeln!(
        out,
        "{}",
        if has_rates {
            format!(" {:>12}", "Rate")
        } else {
            String::new()
        }
    )?;
    for counter in &view.traffic.reasons {
        let reason = counter.reason;
        let action = reason.action().label();
        let rows = [(action, counter.counted), ("would drop", counter.monitored)];
        for (action, counted) in rows.into_iter().filter(|(_, counted)| counted.packets > 0) {
            write!(
                out,
                "{:<22} {:<11} {:>14} {:>12}",
                reason.label(),
                action,
                figures.packets(counted.packets),
                figures.bytes(counted.bytes),
            )?;
            if has_rates {
                let then = recent.get(&reason).copied().unwrap_or_default();
                write!(out, " {:>12}", rate(view, then))?;
            }
            writeln!(out, "  {}", reason.hint())?;
        }
    }
    Ok(())
}

fn interfaces(out: &mut dyn Write, view: &View<'_>, figures: Figures) -> io::Result<()> {
    if view.traffic.interfaces.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<22} {:<11} {:>14} {:>12}",
        "Interface", "Mode", "Received", ""
    )?;
    for interface in &view.traffic.interfaces {
        writeln!(
            out,
            "{:<22} {:<11} {:>14} {:>12}  by its own count",
            interface.name,
            interface.mode.map_or("-", |mode| mode.label()),
            figures.packets(interface.packets),
            figures.bytes(interface.bytes),
        )?;
    }
    Ok(())
}

fn rules(out: &mut dyn Write, rules: &[RuleView]) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{:>5} {:>9} {:>9}  RULE", "NO", "PACKETS", "BYTES")?;
    for rule in rules {
        let (packets, size) = match rule.hits {
            Some(hits) => (hits.packets.to_string(), bytes(hits.bytes)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let off = if rule.enabled { "" } else { " (disabled)" };
        writeln!(
            out,
            "{:>5} {packets:>9} {size:>9}  {}{off}",
            rule.number, rule.rule
        )?;
    }
    if rules.is_empty() {
        writeln!(out, "no rules are in force")?;
    }
    Ok(())
}

fn bans(out: &mut dyn Write, origins: &[OriginCount]) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<34} {:>14} {:>12}",
        "Bans of", "In force", "Next ends in"
    )?;
    for count in origins {
        let first_end = match count.first_end {
            BanTerm::Permanent => "never".to_owned(),
            BanTerm::For(left) => duration::rounded(left.as_secs()),
        };
        writeln!(
            out,
            "{:<34} {:>14} {:>12}",
            count.origin.name(),
            count.in_force,
            first_end
        )?;
    }
    if origins.is_empty() {
        writeln!(out, "nobody; nothing is banned")?;
    }
    Ok(())
}

fn packets(counter: &ReasonCounter) -> u64 {
    counter.counted.packets + counter.monitored.packets
}

/// Dropped, or spared by monitor mode.
fn lost(counter: &ServiceCounter) -> Counter {
    Counter {
        packets: counter.dropped.packets + counter.monitored.packets,
        bytes: counter.dropped.bytes + counter.monitored.bytes,
    }
}

/// `22/tcp`, `ping`, `icmp time-exceeded`, `gre`.
#[must_use]
pub fn service_name(service: Service) -> String {
    match service.kind() {
        ServiceKind::Tcp(port) => format!("{port}/tcp"),
        ServiceKind::Udp(port) => format!("{port}/udp"),
        ServiceKind::Protocol(number) => {
            protocol::name(number).map_or_else(|| format!("proto {number}"), str::to_owned)
        }
        ServiceKind::Icmp(kind) => message(false, kind),
        ServiceKind::Icmpv6(kind) => message(true, kind),
    }
}

fn message(is_v6: bool, kind: u8) -> String {
    let protocol = if is_v6 { "icmpv6" } else { "icmp" };
    match (is_v6, kind) {
        (false, 8) => "ping".to_owned(),
        (true, 128) => "ping6".to_owned(),
        _ => match icmp::message_name(is_v6, kind) {
            Some(name) => format!("{protocol} {name}"),
            None => format!("{protocol} type {kind}"),
        },
    }
}

/// Binary multiples, three significant digits.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    scaled(count as f64, 1024.0, &UNITS)
}

/// Decimal multiples, as links are sold.
fn bits(per_second: f64) -> String {
    const UNITS: [&str; 5] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
    if per_second < 1000.0 {
        return format!("{per_second:.0} bit/s");
    }
    scaled(per_second, 1000.0, &UNITS)
}

fn scaled(count: f64, base: f64, units: &[&str]) -> String {
    let mut value = count;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests;
