//! `stats`: what passed and what was dropped, by port and by reason.

use std::{io::IsTerminal as _, thread, time::Duration};

use guard_common::abi::{counters::Counter, service::ServiceKind};
use serde_json::{Value, json};

use super::context::Context;
use crate::{
    controller::{ServiceCounter, Traffic},
    failure::{Exit, Failure},
    output::stats as text,
    ruleset::protocol,
};

/// Ports shown unless all are asked for.
const BUSIEST: usize = 20;

pub(super) fn stats(
    context: &mut Context<'_>,
    watch: Option<u64>,
    all: bool,
) -> Result<Exit, Failure> {
    let counters = context.controller.traffic()?;
    let limit = if all { usize::MAX } else { BUSIEST };
    let mut before: Option<text::Sample> = None;
    loop {
        let sample = text::Sample::new(counters.read());
        let rewind = watch.is_some() && std::io::stdout().is_terminal();
        let alive = context.output.show(
            |out| {
                if rewind {
                    // Home, then clear to the end: no flicker.
                    write!(out, "\x1b[H\x1b[J")?;
                }
                text::stats(out, &sample, before.as_ref(), limit)
            },
            || stats_json(sample.traffic()),
        );
        let Some(seconds) = watch else { break };
        if !alive {
            break;
        }
        before = Some(sample);
        thread::sleep(Duration::from_secs(seconds.max(1)));
    }
    Ok(Exit::Ok)
}

fn stats_json(traffic: &Traffic) -> Value {
    let Traffic {
        services, flows, ..
    } = traffic;
    let ports: Vec<Value> = services.iter().filter_map(port_json).collect();
    let protocols: Vec<Value> = services.iter().filter_map(protocol_json).collect();
    let reasons: Vec<Value> = traffic
        .reasons
        .iter()
        .filter(|counter| counter.counted.packets + counter.monitored.packets > 0)
        .map(|counter| {
            json!({
                "reason": counter.reason.label(),
                "action": counter.reason.action().label(),
                "packets": counter.counted.packets,
                "bytes": counter.counted.bytes,
                "monitored": counter_json(counter.monitored),
            })
        })
        .collect();
    json!({
        "ports": ports,
        "protocols": protocols,
        "reasons": reasons,
        "syn_floods": traffic.syn_counts.iter().map(|(port, counted)| json!({
            "port": port,
            "answered": counted.answered,
            "above_ceiling": counted.refused,
            "out_of_state": counted.out_of_state,
        })).collect::<Vec<_>>(),
        "flows": {
            "live": flows.live,
            "created": flows.created,
            "sessions": flows.sessions,
            "evicted": flows.evicted,
            "refused": flows.refused,
            "socket_asked": flows.socket_asked,
        },
    })
}

fn counter_json(counter: Counter) -> Value {
    json!({"packets": counter.packets, "bytes": counter.bytes})
}

fn port_json(counter: &ServiceCounter) -> Option<Value> {
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

fn protocol_json(counter: &ServiceCounter) -> Option<Value> {
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
