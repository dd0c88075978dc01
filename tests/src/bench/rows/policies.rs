//! Policies of 1, 100 and 10 000 rules: what is dropped by default, open, restricted and denied.

use std::net::Ipv4Addr;

use guard_common::{packet::TcpFlags, testing::packet};
use guard_user::ruleset::model::{Policy, RuleAction};
use ipnetwork::{IpNetwork, Ipv4Network};

use super::{
    Before, Case, Draw, FIRST_SOURCE, OPEN_PORT, SOURCE_STEP, STRANGERS, allow_from, deny_network,
    open, policy, rule,
};

const SHARED_PORT: u16 = 443;
const FIRST_OWN_PORT: u16 = 10_000;

/// As many prefixes as a large country has.
const COUNTRY: u32 = 60_000;

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    let rules = [1, 100, 10_000].into_iter().flat_map(with_rules);
    rules
        .chain([1, COUNTRY].into_iter().flat_map(with_a_set))
        .collect()
}

/// One rule that opens a port to a set of so many networks.
fn with_a_set(prefixes: u32) -> [Case; 3] {
    // 16.0.0.0/24, 16.0.2.0/24, …: none touches the next, so that none is merged with another.
    let step = 2 * SOURCE_STEP;
    let network = |n: u32| {
        let network = Ipv4Addr::from_bits(STRANGERS.first_source + n * step);
        Ipv4Network::new(network, 24).map(IpNetwork::from)
    };
    let networks: Vec<IpNetwork> = (0..prefixes).filter_map(|n| network(n).ok()).collect();
    let policy = policy(1, |_| {
        rule(RuleAction::Allow, Some(SHARED_PORT), networks.clone())
    });
    let (inside, outside) = match prefixes {
        1 => ("from a set of 1 prefix", "stranger to a set of 1 prefix"),
        _ => (
            "from a set of 60 000 prefixes",
            "stranger to a set of 60 000 prefixes",
        ),
    };
    let draw = Draw {
        sources: prefixes,
        first_source: STRANGERS.first_source + 7,
        source_step: step,
        ..Draw::default()
    };
    let beside = Draw {
        first_source: draw.first_source + SOURCE_STEP,
        ..draw
    };
    // In the caches, as what few sources send is.
    let fixed = Draw {
        sources: 1,
        first_source: draw.first_source + prefixes / 2 * step,
        ..draw
    };
    let rows = [
        (inside, "one source", fixed, true),
        (inside, "random prefix of the set", draw, true),
        (outside, "random gap of the set", beside, false),
    ];
    rows.map(|(name, packets, draw, passes)| Case {
        name,
        packets,
        policy: policy.clone(),
        frame: packet().tcp(SHARED_PORT, TcpFlags::SYN).build(),
        draw,
        passes,
        before: Before::NOTHING,
    })
}

fn with_rules(count: u32) -> Vec<Case> {
    let own_ports = policy(count, |n| allow_from(n, FIRST_OWN_PORT + n as u16));
    let shared_port = policy(count, |n| allow_from(n, SHARED_PORT));
    let open_last = policy(count, |n| {
        if n + 1 == count {
            open(OPEN_PORT)
        } else {
            allow_from(n, FIRST_OWN_PORT + n as u16)
        }
    });
    let denied = policy(count.max(2), |n| {
        if n + 1 == count.max(2) {
            open(OPEN_PORT)
        } else {
            deny_network(n)
        }
    });
    let known = Draw {
        sources: count,
        first_source: FIRST_SOURCE,
        source_step: SOURCE_STEP,
        ..Draw::default()
    };
    let paired = Draw {
        ports: count,
        first_port: FIRST_OWN_PORT.into(),
        is_paired: true,
        ..known
    };
    let denied_sources = Draw {
        sources: count.max(2) - 1,
        ..known
    };
    let closed_ports = Draw {
        ports: 8192,
        first_port: 40_000,
        ..STRANGERS
    };
    let syn = |port| packet().tcp(port, TcpFlags::SYN).build();
    let ack = |port| packet().tcp(port, TcpFlags::ACK).build();
    let from_first = |port| packet().from("10.0.0.7").tcp(port, TcpFlags::SYN).build();
    let row = |name, packets, policy: &Policy, frame, draw, passes| Case {
        name,
        packets,
        policy: policy.clone(),
        frame,
        draw,
        passes,
        before: Before::NOTHING,
    };
    let fixed = Draw::default();
    vec![
        row(
            "default drop, SYN",
            "fixed",
            &own_ports,
            syn(9000),
            fixed,
            false,
        ),
        row(
            "default drop, SYN",
            "random source and port",
            &own_ports,
            syn(9000),
            closed_ports,
            false,
        ),
        row(
            "default drop, ACK",
            "random source and port",
            &own_ports,
            ack(9000),
            closed_ports,
            false,
        ),
        row(
            "default drop, UDP",
            "random source and port",
            &own_ports,
            packet().udp(9000).payload(18).build(),
            closed_ports,
            false,
        ),
        row(
            "open port",
            "fixed",
            &open_last,
            syn(OPEN_PORT),
            fixed,
            true,
        ),
        row(
            "open port",
            "random source",
            &open_last,
            syn(OPEN_PORT),
            STRANGERS,
            true,
        ),
        row(
            "restricted port, allowed",
            "fixed",
            &own_ports,
            from_first(FIRST_OWN_PORT),
            fixed,
            true,
        ),
        row(
            "restricted port, allowed",
            "random rule: its source, its port",
            &own_ports,
            syn(9000),
            paired,
            true,
        ),
        row(
            "restricted port, allowed",
            "random source of all rules, one port",
            &shared_port,
            syn(SHARED_PORT),
            known,
            true,
        ),
        row(
            "restricted port, stranger",
            "random source",
            &shared_port,
            syn(SHARED_PORT),
            STRANGERS,
            false,
        ),
        row(
            "denied source",
            "fixed",
            &denied,
            from_first(OPEN_PORT),
            fixed,
            false,
        ),
        row(
            "denied source",
            "random denied source",
            &denied,
            syn(OPEN_PORT),
            denied_sources,
            false,
        ),
    ]
}
