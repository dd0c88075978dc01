//! `stats` as text.

use std::{
    cmp::Reverse,
    io::{self, Write},
    time::Instant,
};

use guard_common::abi::{
    counters::Counter,
    reason::Reason,
    service::{Service, ServiceKind},
};

use crate::{
    controller::{ReasonCounter, ServiceCounter, SynCounts, Traffic},
    ruleset::{icmp, protocol},
};

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    taken: Instant,
    traffic: Traffic,
}

impl Sample {
    /// Counters read just now.
    #[must_use]
    pub fn new(traffic: Traffic) -> Self {
        Self {
            taken: Instant::now(),
            traffic,
        }
    }

    /// What they say.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn is_monitored(&self) -> bool {
        self.traffic
            .reasons
            .iter()
            .any(|counter| counter.monitored.packets > 0)
    }

    fn dropped(&self, service: Service) -> u64 {
        self.traffic
            .services
            .iter()
            .find(|counter| counter.service == service)
            .map_or(0, |counter| lost(counter).packets)
    }

    fn reason(&self, reason: Reason) -> u64 {
        self.traffic
            .reasons
            .iter()
            .find(|counter| counter.reason == reason)
            .map_or(0, |counter| {
                counter.counted.packets + counter.monitored.packets
            })
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
    let mut services = sample.traffic.services.clone();
    services.sort_by_key(|counter| {
        (
            Reverse(lost(counter).packets),
            Reverse(counter.passed.packets),
        )
    });
    if services.is_empty()
        && sample
            .traffic
            .reasons
            .iter()
            .all(|counter| packets(counter) == 0)
    {
        return writeln!(out, "No packets yet on the protected interfaces.");
    }
    let is_monitored = sample.is_monitored();
    write!(
        out,
        "{:<14} {:>14} {:>12} {:>14} {:>12}",
        "Port", "Passed", "", "Dropped", ""
    )?;
    if is_monitored {
        write!(out, " {:>14} {:>12}", "Would drop", "")?;
    }
    writeln!(out, " {:>12}", "Drop rate")?;
    for counter in services.iter().take(limit) {
        let then = before.map_or(0, |before| before.dropped(counter.service));
        write!(
            out,
            "{:<14} {:>14} {:>12} {:>14} {:>12}",
            service_name(counter.service),
            counter.passed.packets,
            bytes(counter.passed.bytes),
            counter.dropped.packets,
            bytes(counter.dropped.bytes),
        )?;
        if is_monitored {
            let monitored = counter.monitored;
            write!(
                out,
                " {:>14} {:>12}",
                monitored.packets,
                bytes(monitored.bytes)
            )?;
        }
        writeln!(out, " {:>12}", rate(lost(counter).packets, then))?;
    }
    if services.len() > limit {
        writeln!(out, "… and {} more (--all)", services.len() - limit)?;
    }
    reasons(out, sample, before, &rate)?;
    syn_counts(out, sample, limit)?;
    let flows = &sample.traffic.flows;
    writeln!(
        out,
        "\nFlows: {} live, {} begun by this host, {} sessions of others, {} evicted; sockets asked {} times",
        flows.live,
        flows.created,
        flows.sessions,
        flows.evicted + flows.refused,
        flows.socket_asked
    )
}

/// Ports that were flooded.
fn syn_counts(out: &mut dyn Write, sample: &Sample, limit: usize) -> io::Result<()> {
    let mut ports = sample.traffic.syn_counts.clone();
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
    for (port, counted) in ports.into_iter().take(limit) {
        let name = format!("{port}/tcp");
        let SynCounts {
            answered,
            refused,
            out_of_state,
        } = counted;
        writeln!(
            out,
            "{name:<14} {answered:>14} {refused:>14} {out_of_state:>14}"
        )?;
    }
    Ok(())
}

fn reasons(
    out: &mut dyn Write,
    sample: &Sample,
    before: Option<&Sample>,
    rate: &dyn Fn(u64, u64) -> String,
) -> io::Result<()> {
    writeln!(out)?;
    writeln!(
        out,
        "{:<22} {:<11} {:>14} {:>12} {:>12}",
        "Reason", "Action", "Packets", "", "Rate"
    )?;
    for counter in &sample.traffic.reasons {
        let reason = counter.reason;
        let action = reason.action().label();
        let then = before.map_or(0, |before| before.reason(reason));
        let rows = [(action, counter.counted), ("would drop", counter.monitored)];
        for (action, counted) in rows.into_iter().filter(|(_, counted)| counted.packets > 0) {
            writeln!(
                out,
                "{:<22} {:<11} {:>14} {:>12} {:>12}  {}",
                reason.label(),
                action,
                counted.packets,
                bytes(counted.bytes),
                rate(packets(counter), then),
                reason.hint(),
            )?;
        }
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
