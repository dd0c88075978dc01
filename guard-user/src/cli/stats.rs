//! `stats`: what passed and what was dropped, since when and how fast, by port, reason, interface and ban.

use std::{
    io::IsTerminal as _,
    thread,
    time::{Duration, Instant},
};

use clap::{Args as Group, ValueEnum};
use guard_common::abi::{counters::Counter, service::ServiceKind};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::context::Context;
use crate::{
    bans::BanTerm,
    controller::{OriginCount, ServiceCounter, Since, Traffic, TrafficCounters, TrafficSample},
    failure::{Exit, Failure},
    output::stats::{self as text, Recent, Span, Tables, View},
    ruleset::{protocol, until::Until},
    text::duration,
};

/// Ports shown unless all are asked for.
const BUSIEST: usize = 20;
/// Between the two readings of `--rate`.
const SECOND: Duration = Duration::from_secs(1);

/// Below `stats --help`.
pub(super) const HELP: &str = "\
The counters begin with `enable`, and go on over reloads, upgrades and restarts of the daemon. --since shows what \
came since then: the daemon keeps samples of a day, one a minute at first, then one every five minutes, then one an \
hour; the one before the moment is taken, and the last line says which. --reset changes no counter: it marks this \
moment for `--since reset`.";

#[derive(Clone, Debug, Group)]
pub(super) struct StatsArgs {
    /// Show only these tables; repeat for several. Default: all but bans and rules, which are read from the disk
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Vec<By>,
    /// Count from then on: 10m, 2h, 2026-12-01T12:00:00Z, or `reset`: the last --reset
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Show packets and bits per second, between two readings
    #[arg(long, conflicts_with = "since")]
    rate: bool,
    /// Repeat every SECONDS seconds
    #[arg(long, short = 'w', value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    watch: Option<u64>,
    /// Show every port, not only the busiest
    #[arg(long, short = 'a')]
    all: bool,
    /// Mark this moment for `--since reset`
    #[arg(long, conflicts_with_all = ["by", "since", "rate", "watch", "all"])]
    reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// By port and protocol, with what became of floods
    Port,
    /// By reason
    Reason,
    /// What the protected interfaces received, by their own count
    Interface,
    /// Bans that hold, by who made them
    Bans,
    /// What each rule let in or dropped since `enable`
    Rule,
}

impl StatsArgs {
    fn shows(&self, by: By) -> bool {
        self.by.contains(&by) || self.by.is_empty() && by != By::Bans && by != By::Rule
    }

    fn tables(&self) -> Tables {
        Tables {
            ports: self.shows(By::Port),
            reasons: self.shows(By::Reason),
            interfaces: self.shows(By::Interface),
            flows: self.by.is_empty(),
        }
    }

    fn pause(&self) -> Duration {
        self.watch
            .map_or(SECOND, |seconds| Duration::from_secs(seconds.max(1)))
    }
}

/// What it says is what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write how long ago (10m, 2h), a time with its zone (2026-12-01T12:00:00Z), or reset")]
struct NoMoment;

/// The value of `--since`.
fn since(text: &str) -> Result<Since, NoMoment> {
    if text == "reset" {
        return Ok(Since::Reset);
    }
    if let Some(ago) = duration::parse(text) {
        return Ok(Since::Ago(ago));
    }
    let at = Until::parse(text).map_err(|_| NoMoment)?;
    Ok(Since::At(at.seconds()))
}

pub(super) fn stats(context: &mut Context<'_>, args: &StatsArgs) -> Result<Exit, Failure> {
    if args.by.contains(&By::Rule) && (args.rate || args.since.is_some()) {
        return Err(Failure::new(
            Exit::Usage,
            "--by rule: what rules let in and dropped is known since `enable` only",
        )
        .help("without --since and --rate; ports and reasons have both"));
    }
    let mut counters = context.controller.traffic()?;
    if args.reset {
        return reset(context, &mut counters);
    }
    let mut before: Option<Traffic> = None;
    if args.rate {
        before = Some(counters.read()?);
        thread::sleep(args.pause());
    }
    loop {
        let started = Instant::now();
        let now = counters.read()?;
        let is_alive = show(context, args, &now, before.as_ref())?;
        if args.watch.is_none() || !is_alive {
            return Ok(Exit::Ok);
        }
        before = Some(now);
        thread::sleep(args.pause().saturating_sub(started.elapsed()));
    }
}

/// One table, or one object. `false` when nobody reads any more.
fn show(
    context: &mut Context<'_>,
    args: &StatsArgs,
    now: &Traffic,
    before: Option<&Traffic>,
) -> Result<bool, Failure> {
    let recent = before
        .map(TrafficSample::whole)
        // Turned off and on meanwhile: these are other counters.
        .filter(|sample| sample.is_of(now))
        .map(|sample| Recent {
            traffic: sample.until(now),
            length: Duration::from_millis(now.boot_ms - sample.boot_ms),
        });
    let (traffic, span) = match (&recent, args.since) {
        (Some(recent), _) if args.rate => (recent.traffic.clone(), Span::PerSecond(recent.length)),
        (_, Some(since)) => match context.controller.sample(since, now)? {
            Some(sample) => (sample.until(now), since_sample(&sample, now)),
            None => (now.clone(), Span::All(now.began)),
        },
        (_, None) => (now.clone(), Span::All(now.began)),
    };
    let origins = args
        .by
        .contains(&By::Bans)
        .then(|| context.controller.bans_by_origin())
        .transpose()?;
    let rules = args
        .by
        .contains(&By::Rule)
        .then(|| context.controller.rules_with_hits())
        .transpose()?;
    let view = View {
        traffic: &traffic,
        span: &span,
        recent: recent.as_ref(),
        origins: origins.as_deref(),
        rules: rules.as_deref(),
        tables: args.tables(),
        limit: if args.all { usize::MAX } else { BUSIEST },
    };
    let rewind = args.watch.is_some() && std::io::stdout().is_terminal();
    Ok(context.output.show(
        |out| {
            if rewind {
                // Home, then clear to the end: no flicker.
                write!(out, "\x1b[H\x1b[J")?;
            }
            text::stats(out, &view)
        },
        || stats_json(&view),
    ))
}

fn since_sample(sample: &TrafficSample, now: &Traffic) -> Span {
    Span::Since {
        at: sample.at,
        length: Duration::from_millis(now.boot_ms.saturating_sub(sample.boot_ms)),
        left_out: sample.left_out(),
    }
}

fn reset(context: &mut Context<'_>, counters: &mut TrafficCounters) -> Result<Exit, Failure> {
    let now = counters.read()?;
    context.controller.reset_view(&now)?;
    context.output.show(
        |out| {
            writeln!(
                out,
                "marked; `guardctl stats --since reset` counts from here, and the counters go on"
            )
        },
        || json!({"changed": true, "since": now.at}),
    );
    Ok(Exit::Ok)
}

fn stats_json(view: &View<'_>) -> Value {
    let traffic = view.traffic;
    let seconds = match view.span {
        Span::PerSecond(length) => Some(length.as_secs_f64().max(0.001)),
        Span::All(_) | Span::Since { .. } => None,
    };
    let counter_json = |counter: Counter| counter_json(counter, seconds);
    let mut object = Map::new();
    if view.tables.ports {
        let each = |of: fn(&ServiceCounter, Json<'_>) -> Option<Value>| {
            let services = traffic.services.iter();
            services
                .filter_map(|counter| of(counter, &counter_json))
                .collect::<Vec<_>>()
        };
        object.insert("ports".to_owned(), json!(each(port_json)));
        object.insert("protocols".to_owned(), json!(each(protocol_json)));
    }
    if view.tables.reasons {
        object.insert("reasons".to_owned(), reasons_json(traffic, &counter_json));
    }
    if view.tables.ports {
        let floods = traffic.syn_counts.iter().map(|(port, counted)| {
            json!({
                "port": port,
                "answered": counted.answered,
                "above_ceiling": counted.refused,
                "out_of_state": counted.out_of_state,
            })
        });
        object.insert("syn_floods".to_owned(), floods.collect());
    }
    if view.tables.interfaces {
        let interfaces = traffic.interfaces.iter().map(|interface| {
            let received = Counter {
                packets: interface.packets,
                bytes: interface.bytes,
            };
            json!({
                "name": interface.name,
                "mode": interface.mode.map(|mode| mode.label()),
                "received": counter_json(received),
            })
        });
        object.insert("interfaces".to_owned(), interfaces.collect());
    }
    if let Some(origins) = view.origins {
        object.insert("bans".to_owned(), origins.iter().map(origin_json).collect());
    }
    if let Some(rules) = view.rules {
        let rules = rules.iter().map(|rule| {
            json!({
                "number": rule.number,
                "rule": rule.rule,
                "name": rule.name,
                "enabled": rule.enabled,
                "hits": rule.hits,
            })
        });
        object.insert("rules".to_owned(), rules.collect());
    }
    if view.tables.flows {
        let flows = &traffic.flows;
        let flows = json!({
            "live": flows.live,
            "created": flows.created,
            "sessions": flows.sessions,
            "evicted": flows.evicted,
            "refused": flows.refused,
            "socket_asked": flows.socket_asked,
        });
        object.insert("flows".to_owned(), flows);
    }
    object.insert("since".to_owned(), span_json(view.span, traffic));
    Value::Object(object)
}

/// Which time the figures are of: since when, how long that is, and which services had too little to be in the sample.
fn span_json(span: &Span, traffic: &Traffic) -> Value {
    let (at, seconds, left_out) = match span {
        Span::All(began) => (
            *began,
            began.map(|began| traffic.at.saturating_sub(began) as f64),
            None,
        ),
        Span::Since {
            at,
            length,
            left_out,
        } => (Some(*at), Some(length.as_secs_f64()), *left_out),
        Span::PerSecond(length) => (
            Some(traffic.at.saturating_sub(length.as_secs())),
            Some(length.as_secs_f64()),
            None,
        ),
    };
    json!({"at": at, "seconds": seconds, "left_out": left_out})
}

/// How a counter is written.
type Json<'j> = &'j dyn Fn(Counter) -> Value;

fn reasons_json(traffic: &Traffic, counter_json: Json<'_>) -> Value {
    traffic
        .reasons
        .iter()
        .filter(|counter| counter.counted.packets + counter.monitored.packets > 0)
        .map(|counter| {
            let mut object = Map::from_iter([
                ("reason".to_owned(), json!(counter.reason.label())),
                ("action".to_owned(), json!(counter.reason.action().label())),
            ]);
            if let Value::Object(counted) = counter_json(counter.counted) {
                object.extend(counted);
            }
            object.insert("monitored".to_owned(), counter_json(counter.monitored));
            Value::Object(object)
        })
        .collect()
}

fn origin_json(count: &OriginCount) -> Value {
    let next_end = match count.first_end {
        BanTerm::Permanent => None,
        BanTerm::For(left) => Some(left.as_secs()),
    };
    json!({"origin": count.origin.name(), "in_force": count.in_force, "next_end": next_end})
}

fn counter_json(counter: Counter, seconds: Option<f64>) -> Value {
    let Counter { packets, bytes } = counter;
    match seconds {
        None => json!({"packets": packets, "bytes": bytes}),
        Some(seconds) => json!({
            "packets": packets,
            "bytes": bytes,
            "packets_per_second": packets as f64 / seconds,
            "bits_per_second": bytes as f64 * 8.0 / seconds,
        }),
    }
}

fn port_json(counter: &ServiceCounter, counter_json: Json<'_>) -> Option<Value> {
    let (name, port) = match counter.service.kind() {
        ServiceKind::Tcp(port) => ("tcp", port),
        ServiceKind::Udp(port) => ("udp", port),
        ServiceKind::Protocol(_) | ServiceKind::Icmp(_) | ServiceKind::Icmpv6(_) => return None,
    };
    Some(json!({
        "protocol": name,
        "port": port,
        "passed": counter_json(counter.passed),
        "dropped": counter_json(counter.dropped),
        "monitored": counter_json(counter.monitored),
    }))
}

fn protocol_json(counter: &ServiceCounter, counter_json: Json<'_>) -> Option<Value> {
    let (name, number, kind) = match counter.service.kind() {
        ServiceKind::Tcp(_) | ServiceKind::Udp(_) => return None,
        ServiceKind::Protocol(number) => (
            protocol::name(number).map_or_else(|| number.to_string(), str::to_owned),
            number,
            None,
        ),
        ServiceKind::Icmp(kind @ 8) => ("ping".to_owned(), 1, Some(kind)),
        ServiceKind::Icmp(kind) => ("icmp".to_owned(), 1, Some(kind)),
        ServiceKind::Icmpv6(kind @ 128) => ("ping6".to_owned(), 58, Some(kind)),
        ServiceKind::Icmpv6(kind) => ("icmpv6".to_owned(), 58, Some(kind)),
    };
    Some(json!({
        "protocol": name,
        "number": number,
        "type": kind,
        "passed": counter_json(counter.passed),
        "dropped": counter_json(counter.dropped),
        "monitored": counter_json(counter.monitored),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_lengths_times_and_the_last_reset() {
        for (text, expected) in [
            ("10m", Since::Ago(Duration::from_secs(600))),
            ("90", Since::Ago(Duration::from_secs(90))),
            ("2h", Since::Ago(Duration::from_secs(7200))),
            ("1970-01-01T00:01:00Z", Since::At(60)),
            ("reset", Since::Reset),
        ] {
            assert_eq!(since(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "10",
            "12:00",
            "-5m",
            "1960-01-01T00:00:00Z",
        ] {
            let is_bad = since(text).is_err();
            assert_eq!(is_bad, text != "10", "{text}");
        }
    }
}
