//! `monitor`: what is dropped, limited, banned and answered, as it happens.

use std::collections::HashMap;

use guard_common::abi::reason::Reason;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    context::Context,
    watch::{Viewer, Which, watch},
};
use crate::{
    controller::{Extent, Loss, Sighting, Watch},
    events::summary::{More, Summary},
    failure::{Exit, Failure},
    output::{Output, stats::service_name},
};

pub(super) fn monitor(
    context: &mut Context<'_>,
    which: &Which,
    is_all: bool,
) -> Result<Exit, Failure> {
    let mut output = Output::new(context.global.json, context.global.quiet);
    let mut viewer = Monitoring {
        output: &mut output,
        is_json: context.global.json,
        zone: TimeZone::system(),
        summary: Summary::default(),
        before: None,
        loss: Loss::default(),
        left: which.count.unwrap_or(u64::MAX),
        is_read: true,
    };
    watch(
        context,
        which.filter(is_all),
        Extent::Sample,
        which.length,
        &mut viewer,
    )?;
    Ok(Exit::Ok)
}

struct Monitoring<'a> {
    output: &'a mut Output,
    is_json: bool,
    zone: TimeZone,
    summary: Summary,
    /// Packets by reason, a second ago.
    before: Option<HashMap<(Reason, bool), u64>>,
    loss: Loss,
    left: u64,
    is_read: bool,
}

impl Viewer for Monitoring<'_> {
    fn look(&mut self, watch: &mut Watch) -> Result<bool, Failure> {
        self.before.get_or_insert_with(|| watch.counted());
        let mut lines: Vec<(u32, Line)> = Vec::new();
        let (summary, left) = (&mut self.summary, &mut self.left);
        watch.sightings(|sighting| {
            // Those behind the last one are not even counted.
            if *left > 0 && summary.note(&sighting.counted, sighting.source()) {
                *left -= 1;
                lines.push((sighting.ifindex, Line::of(sighting)));
            }
        });
        for (ifindex, line) in lines {
            let interface = watch.interface(ifindex);
            self.print(|zone| line.text(&interface, zone), || line.json(&interface));
        }
        Ok(self.is_read && self.left > 0)
    }

    fn second(&mut self, watch: &mut Watch) -> Result<bool, Failure> {
        let now = watch.counted();
        let before = self.before.replace(now.clone()).unwrap_or_default();
        let more = self.summary.end(|reason, is_monitored| {
            let of = |counted: &HashMap<(Reason, bool), u64>| {
                counted
                    .get(&(reason, is_monitored))
                    .copied()
                    .unwrap_or_default()
            };
            of(&now).saturating_sub(of(&before))
        });
        if self.left > 0 {
            for more in &more {
                self.print(|_| in_words(more), || more_json(more));
            }
        }
        let loss = watch.loss();
        let lost = loss.lost - self.loss.lost;
        self.loss = loss;
        if lost > 0 {
            self.print(
                |_| {
                    format!(
                        "               {lost} reports were lost: more came than could be shown"
                    )
                },
                || json!({"kind": "lost", "reports": lost}),
            );
        }
        Ok(self.is_read)
    }

    fn is_active(&mut self, is_active: bool) {
        let what = if is_active {
            "guard is on again"
        } else {
            "guard is off: nothing is dropped until it is on again"
        };
        self.before = None;
        self.print(
            |_| format!("               {what}"),
            || json!({"kind": "state", "active": is_active}),
        );
    }
}

impl Monitoring<'_> {
    fn print(&mut self, text: impl FnOnce(&TimeZone) -> String, value: impl FnOnce() -> Value) {
        let zone = &self.zone;
        self.is_read &= if self.is_json {
            self.output.show(|_| Ok(()), value)
        } else {
            self.output
                .show(|out| writeln!(out, "{}", text(zone)), || json!({}))
        };
    }
}

/// What kind of event it is: of a packet that passed although it would have been dropped, the same.
fn kind(reason: Reason) -> &'static str {
    const OWN: [(Reason, &str); 3] = [
        (Reason::Banned, "ban"),
        (Reason::Limited, "limit"),
        (Reason::SynCookie, "cookie"),
    ];
    let own = OWN.iter().find(|(of, _)| *of == reason);
    own.map_or(reason.action().label(), |(_, name)| name)
}

/// A packet's line.
struct Line {
    time: Timestamp,
    facts: Facts,
}

/// What is said of a packet.
struct Facts {
    reason: Reason,
    action: &'static str,
    is_monitored: bool,
    service: Option<String>,
    frame_len: u32,
    packet: crate::events::packet::Packet,
    rule: Option<usize>,
}

impl Line {
    fn of(sighting: &Sighting<'_>) -> Self {
        let ns = sighting.time.as_nanos() as i128;
        let counted = sighting.counted;
        Self {
            time: Timestamp::from_nanosecond(ns).unwrap_or_default(),
            facts: Facts {
                reason: counted.reason,
                action: counted.action.label(),
                is_monitored: counted.is_monitored,
                service: counted.service.map(service_name),
                frame_len: sighting.frame_len,
                packet: sighting.packet.clone(),
                rule: sighting.rule,
            },
        }
    }

    /// `12:34:56.789  drop   203.0.113.7:51234 -> 192.0.2.1:22 tcp SYN  default-drop  eth0`
    fn text(&self, interface: &str, zone: &TimeZone) -> String {
        let facts = &self.facts;
        let time = self.time.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f");
        let kind = kind(facts.reason);
        let rule = facts
            .rule
            .map_or_else(String::new, |rule| format!(" rule {rule}"));
        let monitored = if facts.is_monitored {
            " (monitor mode: passed)"
        } else {
            ""
        };
        format!(
            "{time}  {kind:<6} {}  {}{rule}  {interface}{monitored}",
            facts.packet,
            facts.reason.label()
        )
    }

    fn json(&self, interface: &str) -> Value {
        let facts = &self.facts;
        let packet = &facts.packet;
        json!({
            "kind": kind(facts.reason),
            "time": self.time.to_string(),
            "action": facts.action,
            "reason": facts.reason.label(),
            "monitored": facts.is_monitored,
            "interface": interface,
            "service": facts.service,
            "source": packet.source,
            "source_port": packet.ports.map(|(from, _)| from),
            "destination": packet.destination,
            "destination_port": packet.ports.map(|(_, to)| to),
            "protocol": packet.protocol_name(),
            "flags": packet.flags,
            "icmp_type": packet.icmp.map(|(kind, _)| kind),
            "icmp_code": packet.icmp.map(|(_, code)| code),
            "bytes": facts.frame_len,
            "rule": facts.rule,
        })
    }
}

/// `               and 12 345 more from 203.0.113.0/24 to 22/tcp  default-drop`
fn in_words(more: &More) -> String {
    let source = match (more.network, more.networks) {
        (Some(network), _) => format!(" from {network}"),
        (None, 0 | 1) => String::new(),
        (None, networks) => format!(" from {} networks", grouped(networks as u64)),
    };
    let service = match (more.service, more.services) {
        (Some(service), _) => format!(" to {}", service_name(service)),
        (None, 0 | 1) => String::new(),
        (None, services) => format!(" to {} services", grouped(services as u64)),
    };
    let monitored = if more.is_monitored {
        " (monitor mode: passed)"
    } else {
        ""
    };
    format!(
        "               and {} more{source}{service}  {}{monitored}",
        grouped(more.packets),
        more.reason.label()
    )
}

/// `12 345`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let head = (!head.is_empty()).then(|| head.into());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(" ")
}

fn more_json(more: &More) -> Value {
    json!({
        "kind": kind(more.reason),
        "more": more.packets,
        "reason": more.reason.label(),
        "monitored": more.is_monitored,
        "service": more.service.map(service_name),
        "from": more.network.map(|network| network.to_string()),
        "networks": more.networks,
        "services": more.services,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (12_345, "12 345"),
            (1_000_000, "1 000 000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
