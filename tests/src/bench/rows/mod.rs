//! The rows: what packets meet what policy. [`GROUPS`] is the one list of them.
//!
//! A new row is a [`Case`] in the file of its subject; a new subject is a file beside these with
//! `pub fn rows() -> Vec<Case>` and a line in [`GROUPS`]. Random rows draw a source (and a port) for
//! every packet inside the run, and the rules include those that the packets hit.

pub mod bans;
pub mod families;
pub mod flows;
pub mod limits;
pub mod policies;
pub mod shared;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use aya::{Ebpf, EbpfLoader};
use guard_user::ruleset::{
    ceiling::Ceiling,
    model::{Policy, PortRange, Prefixes, Rule, RuleAction, Traffic, Transport},
    strangers::Strangers,
};
use ipnetwork::IpNetwork;

/// Rows about one subject.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What `--rows` and the JSON call it.
    pub subject: &'static str,
    /// Its rows.
    pub rows: fn() -> Vec<Case>,
}

/// All rows.
pub const GROUPS: &[Group] = &[
    Group {
        subject: "policies",
        rows: policies::rows,
    },
    Group {
        subject: "families",
        rows: families::rows,
    },
    Group {
        subject: "flows",
        rows: flows::rows,
    },
    Group {
        subject: "bans",
        rows: bans::rows,
    },
    Group {
        subject: "limits",
        rows: limits::rows,
    },
];

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

/// What a row finds in the tables beside its policy.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// Sets constants and sizes of maps before the object is loaded.
    pub size: fn(&mut EbpfLoader<'_>),
    /// Fills the maps of the loaded object.
    pub fill: fn(&Case, &mut Ebpf) -> Result<()>,
}

impl Before {
    /// Empty tables of the usual size.
    pub const NOTHING: Self = Self {
        size: |_| {},
        fill: |_, _| Ok(()),
    };
}

impl Case {
    /// Number of rules.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.policy.rules.len()
    }
}

/// The port that every policy opens.
pub const OPEN_PORT: u16 = 22;
/// Sources of rules: 10.0.0.7, 10.0.1.7, …
pub const FIRST_SOURCE: u32 = 0x0a00_0007;
/// Distance between the sources of two rules.
pub const SOURCE_STEP: u32 = 256;
/// 16.0.0.0 upwards: no rule names these, and none is a martian.
pub const STRANGERS: Draw = Draw {
    sources: 0x6000_0000,
    first_source: 0x1000_0000,
    source_step: 1,
    ports: 0,
    first_port: 0,
    is_paired: false,
};

/// A policy of `count` rules.
pub fn policy(count: u32, rule: impl Fn(u32) -> Rule) -> Policy {
    Policy {
        rules: (0..count).map(rule).collect(),
        // A test run has no listeners: the ceiling would drop what the rows let in.
        ceiling: Ceiling::Off,
        out_of_state: Strangers::OUT_OF_STATE,
        udp: Strangers::UDP,
        ..Policy::default()
    }
}

/// Opens a TCP port to everybody.
#[must_use]
pub fn open(port: u16) -> Rule {
    rule(RuleAction::Allow, Some(port), Vec::new())
}

/// Opens a TCP port to the n-th source.
#[must_use]
pub fn allow_from(n: u32, port: u16) -> Rule {
    let source = IpAddr::V4(Ipv4Addr::from_bits(FIRST_SOURCE + n * SOURCE_STEP));
    rule(RuleAction::Allow, Some(port), vec![IpNetwork::from(source)])
}

/// Denies everything to the /24 of the n-th source.
///
/// # Panics
/// Never: 24 is a prefix length.
#[must_use]
pub fn deny_network(n: u32) -> Rule {
    let network = Ipv4Addr::from_bits((FIRST_SOURCE & !0xff) + n * SOURCE_STEP);
    let network = ipnetwork::Ipv4Network::new(network, 24).expect("24 is a prefix length");
    rule(RuleAction::Deny, None, vec![network.into()])
}

/// A rule about a TCP port, or any traffic, and sources.
#[must_use]
pub fn rule(action: RuleAction, port: Option<u16>, source: Vec<IpNetwork>) -> Rule {
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
        source_ports: Vec::new(),
        destination: Prefixes::default(),
        interface: None,
        until: None,
        comment: None,
        labels: guard_user::ruleset::labels::Labels::default(),
        is_enabled: true,
        origin: None,
    }
}
