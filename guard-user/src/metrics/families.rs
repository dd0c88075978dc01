//! The metrics: names, what they mean, and where their figures come from. docs/reference/metrics.md lists them.

use std::fmt;

use guard_common::abi::counters::Counter;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{DaemonFacts, MetricFacts};
use crate::{bans::store::BanOrigin, controller::OriginCount};

/// Origins of bans with series of their own: names of jails can be given to `ban --jail`.
const MOST_ORIGINS: usize = 64;

/// Name and value of each label.
type Labels = Vec<(&'static str, String)>;

/// A metric.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: fn(&MetricFacts) -> Vec<(Labels, f64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    samples: fn(&MetricFacts) -> Vec<(Labels, f64)>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Counter,
        samples,
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    samples: fn(&MetricFacts) -> Vec<(Labels, f64)>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
        samples,
    }
}

/// Every one; samples of counters end in `_total`.
const FAMILIES: &[Family] = &[
    gauge("guard_build_info", "Version of guardctl.", |_| {
        vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)]
    }),
    gauge("guard_active", "1 if a policy is in force.", |facts| {
        one(f64::from(u8::from(facts.is_active)))
    }),
    gauge(
        "guard_policy_generation",
        "Generation of the policy in force, 0 if there is none.",
        |facts| one(f64::from(facts.generation)),
    ),
    gauge(
        "guard_confirm_pending_seconds",
        "Seconds until a change is undone that nobody has confirmed, 0 if there is none.",
        |facts| one(facts.pending.map_or(0.0, |left| left.as_secs_f64())),
    ),
    gauge(
        "guard_counters_start_time_seconds",
        "When the counters of packets began, in seconds since 1970.",
        |facts| {
            let began = facts.traffic.as_ref().and_then(|traffic| traffic.began);
            began.map_or_else(Vec::new, |began| one(began as f64))
        },
    ),
    gauge(
        "guard_interface_protected",
        "1 if the interface is filtered, 0 if it should be.",
        |facts| {
            let interfaces = facts.interfaces.iter();
            interfaces
                .map(|interface| {
                    let labels = vec![("interface", interface.name.clone())];
                    (labels, f64::from(u8::from(interface.is_protected)))
                })
                .collect()
        },
    ),
    gauge(
        "guard_interface_mode_info",
        "Where the program runs: native (in the driver), generic or offloaded.",
        |facts| {
            let interfaces = facts.interfaces.iter();
            interfaces
                .filter_map(|interface| {
                    let mode = interface.mode?.to_owned();
                    Some((
                        vec![("interface", interface.name.clone()), ("mode", mode)],
                        1.0,
                    ))
                })
                .collect()
        },
    ),
    counter(
        "guard_interface_received_packets",
        "Packets that a protected interface received, by its own count.",
        |facts| received(facts, |packets, _| packets),
    ),
    counter(
        "guard_interface_received_bytes",
        "Bytes that a protected interface received, by its own count.",
        |facts| received(facts, |_, bytes| bytes),
    ),
    gauge(
        "guard_exposed_interfaces",
        "Interfaces without guard by which strangers can come.",
        |facts| one(facts.exposed as f64),
    ),
    counter(
        "guard_packets",
        "Packets on all protected interfaces, by what became of them and why.",
        |facts| by_reason(facts, |counter| counter.packets),
    ),
    counter(
        "guard_bytes",
        "Bytes on all protected interfaces, by what became of them and why.",
        |facts| by_reason(facts, |counter| counter.bytes),
    ),
    counter(
        "guard_monitored_packets",
        "Packets that passed in monitor mode although they would have been dropped.",
        |facts| {
            let reasons = facts.traffic.iter().flat_map(|traffic| &traffic.reasons);
            reasons
                .filter(|counter| counter.monitored.packets > 0)
                .map(|counter| {
                    let labels = vec![("reason", counter.reason.label().to_owned())];
                    (labels, counter.monitored.packets as f64)
                })
                .collect()
        },
    ),
    counter(
        "guard_port_packets",
        "Packets by port; ports where nothing has ever passed are the port \"other\".",
        |facts| by_port(facts, |counter| counter.packets),
    ),
    counter(
        "guard_port_bytes",
        "Bytes by port; ports where nothing has ever passed are the port \"other\".",
        |facts| by_port(facts, |counter| counter.bytes),
    ),
    gauge(
        "guard_table_entries",
        "Entries of a table that are in use.",
        |facts| tables(facts, |used, _| used),
    ),
    gauge(
        "guard_table_capacity",
        "Entries that a table may have.",
        |facts| tables(facts, |_, capacity| capacity),
    ),
    counter(
        "guard_flows_created",
        "Flows that this host began.",
        |facts| flows(facts, |flows| flows.created),
    ),
    counter(
        "guard_flows_evicted",
        "Flows that gave their place to others, or found none.",
        |facts| flows(facts, |flows| flows.evicted + flows.refused),
    ),
    gauge(
        "guard_bans_active",
        "Bans that hold, by who made them.",
        origins,
    ),
    gauge(
        "guard_daemon_start_time_seconds",
        "When the daemon started, in seconds since 1970.",
        |facts| daemon(facts, |daemon| daemon.since),
    ),
    counter(
        "guard_events_lost",
        "Reports of dropped packets that came faster than the log of them could read, since the daemon started.",
        |facts| daemon(facts, |daemon| daemon.events_lost),
    ),
    gauge(
        "guard_fleet_current",
        "1 if this host hears whom others ban, 0 if that is stale.",
        |facts| {
            let engines = facts.daemon.iter().flat_map(|daemon| &daemon.fleet.engines);
            engines
                .map(|(name, is_current)| (vec![("engine", name.clone())], f64::from(*is_current)))
                .collect()
        },
    ),
    gauge(
        "guard_fleet_quarantined_members",
        "Members of the fleet of which nothing is taken.",
        |facts| daemon(facts, |daemon| daemon.fleet.quarantined),
    ),
    gauge(
        "guard_jail_broken",
        "1 if the jail does not work.",
        |facts| jails(facts, |jail| u64::from(jail.broken.is_some())),
    ),
    counter(
        "guard_jail_lines",
        "Lines that the jail has read since the daemon started.",
        |facts| jails(facts, |jail| jail.counts.lines),
    ),
    counter(
        "guard_jail_failures",
        "Failures that the jail has found since the daemon started.",
        |facts| jails(facts, |jail| jail.counts.failures),
    ),
    counter(
        "guard_jail_bans",
        "Bans that the jail has made since the daemon started.",
        |facts| jails(facts, |jail| jail.counts.bans),
    ),
    gauge(
        "guard_jail_suspects",
        "Sources that have failed, but are not banned.",
        |facts| jails(facts, |jail| jail.counts.suspects),
    ),
    gauge(
        "guard_jail_unread_bytes",
        "Bytes of its logs that the jail has not read yet.",
        |facts| jails(facts, |jail| jail.behind_bytes),
    ),
];

impl Collector for MetricFacts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in FAMILIES {
            let samples = (family.samples)(self);
            if samples.is_empty() {
                continue;
            }
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in samples {
                if labels.is_empty() {
                    // The only one of its family.
                    encode(family.kind, value, metric)?;
                    break;
                }
                encode(family.kind, value, metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode(kind: Kind, value: f64, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match kind {
        // Whole numbers: 2^53 packets are a thousand years at 300 000 a second.
        Kind::Counter => ConstCounter::new(value as u64).encode(encoder),
        Kind::Gauge => ConstGauge::new(value).encode(encoder),
    }
}

fn one(value: f64) -> Vec<(Labels, f64)> {
    vec![(Vec::new(), value)]
}

fn received(facts: &MetricFacts, of: fn(u64, u64) -> u64) -> Vec<(Labels, f64)> {
    let interfaces = facts.traffic.iter().flat_map(|traffic| &traffic.interfaces);
    interfaces
        .map(|interface| {
            let labels = vec![("interface", interface.name.clone())];
            (labels, of(interface.packets, interface.bytes) as f64)
        })
        .collect()
}

/// With those that nothing was counted for: a rate needs a beginning.
fn by_reason(facts: &MetricFacts, of: fn(Counter) -> u64) -> Vec<(Labels, f64)> {
    let reasons = facts.traffic.iter().flat_map(|traffic| &traffic.reasons);
    reasons
        .map(|counter| {
            let labels = vec![
                ("action", counter.reason.action().label().to_owned()),
                ("reason", counter.reason.label().to_owned()),
            ];
            (labels, of(counter.counted) as f64)
        })
        .collect()
}

fn by_port(facts: &MetricFacts, of: fn(Counter) -> u64) -> Vec<(Labels, f64)> {
    let mut samples = Vec::new();
    for sample in &facts.ports {
        let port = sample
            .port
            .map_or_else(|| "other".to_owned(), |port| port.to_string());
        let mut add = |action: &str, counter: Counter| {
            let labels = vec![
                ("protocol", sample.protocol.to_owned()),
                ("port", port.clone()),
                ("action", action.to_owned()),
            ];
            samples.push((labels, of(counter) as f64));
        };
        add("pass", sample.passed);
        add("drop", sample.dropped);
        if sample.monitored.packets > 0 {
            add("would-drop", sample.monitored);
        }
    }
    samples
}

fn tables(facts: &MetricFacts, of: fn(u64, u64) -> u64) -> Vec<(Labels, f64)> {
    let mut rows = Vec::new();
    if let Some(traffic) = &facts.traffic {
        rows.push((
            "flows",
            traffic.flows.live as u64,
            traffic.flows.room as u64,
        ));
    }
    if let Some(bans) = &facts.bans {
        let (counts, capacity) = (bans.counts, bans.capacity);
        rows.push(("bans-ipv4", counts.ipv4, capacity.ipv4.into()));
        rows.push(("bans-ipv6", counts.ipv6, capacity.ipv6.into()));
        rows.push(("bans-cidrs", counts.cidrs, capacity.cidrs.into()));
    }
    rows.into_iter()
        .map(|(table, used, capacity)| {
            (vec![("table", table.to_owned())], of(used, capacity) as f64)
        })
        .collect()
}

fn flows(facts: &MetricFacts, of: fn(&crate::controller::Flows) -> u64) -> Vec<(Labels, f64)> {
    let traffic = facts.traffic.as_ref();
    traffic.map_or_else(Vec::new, |traffic| one(of(&traffic.flows) as f64))
}

fn daemon(facts: &MetricFacts, of: fn(&DaemonFacts) -> u64) -> Vec<(Labels, f64)> {
    let daemon = facts.daemon.as_ref();
    daemon.map_or_else(Vec::new, |daemon| one(of(daemon) as f64))
}

fn origins(facts: &MetricFacts) -> Vec<(Labels, f64)> {
    let Some(bans) = &facts.bans else {
        return Vec::new();
    };
    let labels = |name: String| vec![("origin", name)];
    // The hosts of a fleet are one series: there may be ten thousand.
    let is_of_fleet = |count: &&OriginCount| matches!(count.origin, BanOrigin::Fleet(_));
    let fleet: u64 = bans
        .origins
        .iter()
        .filter(is_of_fleet)
        .map(|count| count.in_force)
        .sum();
    let own = || bans.origins.iter().filter(|count| !is_of_fleet(count));
    let mut samples: Vec<(Labels, f64)> = own()
        .take(MOST_ORIGINS)
        .map(|count| (labels(count.origin.name()), count.in_force as f64))
        .collect();
    if bans.origins.iter().any(|count| is_of_fleet(&count)) {
        samples.push((labels("fleet".to_owned()), fleet as f64));
    }
    let others: u64 = own().skip(MOST_ORIGINS).map(|count| count.in_force).sum();
    if others > 0 || bans.origins.is_empty() {
        samples.push((labels("other".to_owned()), others as f64));
    }
    samples
}

fn jails(facts: &MetricFacts, of: fn(&crate::control::JailReport) -> u64) -> Vec<(Labels, f64)> {
    let jails = facts.daemon.iter().flat_map(|daemon| &daemon.jails.jails);
    jails
        .map(|jail| (vec![("jail", jail.name.clone())], of(jail) as f64))
        .collect()
}

#[cfg(test)]
mod tests;
