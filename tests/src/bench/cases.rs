//! The rows: what packets meet what policy. Random rows draw a source (and a port) for every packet
//! inside the run, and the rules include those that the packets hit.

use std::net::{IpAddr, Ipv4Addr};

use guard_common::{packet::TcpFlags, testing::packet};
use guard_user::ruleset::model::{
    Policy, PortRange, Prefixes, Rule, RuleAction, Traffic, Transport,
};
use ipnetwork::IpNetwork;

/// What the generator in the benchmark's BPF object draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// Number of sources; 0 = always that of the frame.
    pub sources: u32,
    /// Lowest source.
    pub first_source: u32,
    /// Distance between two sources.
    pub source_step: u32,
    /// Number of destination ports; 0 = always that of the frame.
    pub ports: u32,
    /// Lowest port.
    pub first_port: u32,
    /// Source n always meets port n.
    pub is_paired: bool,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: &'static str,
    /// How packets are drawn, for the table.
    pub packets: &'static str,
    /// The policy.
    pub policy: Policy,
    /// The frame.
    pub frame: Vec<u8>,
    /// What is drawn into it.
    pub draw: Draw,
    /// Must every packet pass?
    pub passes: bool,
    /// What is there before.
    pub before: Before,
}

/// What a row finds in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A flow of each source that is drawn, or of the frame's own.
    Flows,
    /// Every TCP port has had sessions, so the socket table is asked about each.
    SessionPorts,
}

impl Case {
    /// Number of rules.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.policy.rules.len()
    }
}

const OPEN_PORT: u16 = 22;
const SHARED_PORT: u16 = 443;
const FIRST_OWN_PORT: u16 = 10_000;
/// Sources of rules: 10.0.0.7, 10.0.1.7, …
const FIRST_SOURCE: u32 = 0x0a00_0007;
const SOURCE_STEP: u32 = 256;
/// 16.0.0.0 upwards: no rule names these, and none is a martian.
const STRANGERS: Draw = Draw {
    sources: 0x6000_0000,
    first_source: 0x1000_0000,
    source_step: 1,
    ports: 0,
    first_port: 0,
    is_paired: false,
};

/// All rows.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut rows: Vec<Case> = [1, 100, 10_000].into_iter().flat_map(with_rules).collect();
    rows.extend(flows());
    rows
}

/// The way out: a segment of a flow that is known, from 192.0.2.1 to the peer. The flow's own packets
/// come the other way.
#[must_use]
pub fn outgoing() -> Case {
    Case {
        name: "outgoing segment of a known flow",
        packets: "fixed",
        policy: policy(1, |_| open(OPEN_PORT)),
        frame: packet()
            .from("192.0.2.1")
            .to("198.51.100.7")
            .tcp_between(FLOW_PORT, 443, TcpFlags::ACK)
            .build(),
        draw: Draw::default(),
        passes: true,
        before: Before::Nothing,
    }
}

/// Sources of flows: 51 200 of them.
const PEERS: Draw = Draw {
    sources: 51_200,
    first_source: 0x1000_0000,
    source_step: 4099,
    ports: 0,
    first_port: 0,
    is_paired: false,
};
/// A port of this host that flows use.
pub const FLOW_PORT: u16 = 45_000;

fn flows() -> Vec<Case> {
    let policy = policy(1, |_| open(OPEN_PORT));
    let ack = |port| packet().tcp_between(443, port, TcpFlags::ACK).build();
    let closed_ports = Draw {
        ports: 8192,
        first_port: 40_000,
        ..STRANGERS
    };
    let fixed = Draw::default();
    let row = |name, packets, frame, draw, passes, before| Case {
        name,
        packets,
        policy: policy.clone(),
        frame,
        draw,
        passes,
        before,
    };
    vec![
        row(
            "open port, ACK",
            "fixed",
            packet().tcp(OPEN_PORT, TcpFlags::ACK).build(),
            fixed,
            true,
            Before::Nothing,
        ),
        row(
            "reply of a known flow",
            "fixed",
            ack(FLOW_PORT),
            fixed,
            true,
            Before::Flows,
        ),
        row(
            "reply of a known flow",
            "random flow of 51 200",
            ack(FLOW_PORT),
            PEERS,
            true,
            Before::Flows,
        ),
        row(
            "ACK flood, closed ports",
            "random source and port",
            ack(FLOW_PORT),
            closed_ports,
            false,
            Before::Nothing,
        ),
        row(
            "ACK flood, ports with sessions",
            "random source and port",
            ack(FLOW_PORT),
            closed_ports,
            false,
            Before::SessionPorts,
        ),
    ]
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
        before: Before::Nothing,
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

fn policy(count: u32, rule: impl Fn(u32) -> Rule) -> Policy {
    Policy {
        rules: (0..count).map(rule).collect(),
        ..Policy::default()
    }
}

fn open(port: u16) -> Rule {
    rule(RuleAction::Allow, Some(port), Vec::new())
}

fn allow_from(n: u32, port: u16) -> Rule {
    let source = IpAddr::V4(Ipv4Addr::from_bits(FIRST_SOURCE + n * SOURCE_STEP));
    rule(RuleAction::Allow, Some(port), vec![IpNetwork::from(source)])
}

fn deny_network(n: u32) -> Rule {
    let network = Ipv4Addr::from_bits((FIRST_SOURCE & !0xff) + n * SOURCE_STEP);
    let network = ipnetwork::Ipv4Network::new(network, 24).expect("24 is a prefix length");
    rule(RuleAction::Deny, None, vec![network.into()])
}

fn rule(action: RuleAction, port: Option<u16>, source: Vec<IpNetwork>) -> Rule {
    let traffic = match port {
        Some(port) => Traffic::Ports(Transport::Tcp, vec![PortRange::single(port)]),
        None => Traffic::Any,
    };
    Rule {
        action,
        traffic,
        source: Prefixes {
            inline: source.len(),
            prefixes: source,
            sets: Vec::new(),
        },
        destination: Prefixes::default(),
        interface: None,
        comment: None,
        origin: None,
    }
}
