//! Values of nftables: one, a range, a list in braces or a named set; as the conditions of which one must hold.

use std::collections::BTreeMap;

use guard_common::abi::service::protocol;
use ipnetwork::IpNetwork;

use super::super::{condition::Condition, iptables};
use crate::{
    ruleset::{
        icmp::IcmpType,
        model::{PortRange, Traffic, Transport},
        protocol::{Protocol, Protocols},
    },
    text::{address, value},
};

/// Elements of named sets; `None` where they change by themselves.
pub(super) type Sets = BTreeMap<String, Option<Vec<String>>>;

/// What an expression asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// The address of the sender, in this family.
    Source { is_v4: bool },
    /// The address that a packet is for.
    Destination { is_v4: bool },
    /// The port, of these transports.
    Port(Transport),
    /// The port of the sender.
    SourcePort(Transport),
    /// The interface that it arrives on.
    Interface,
    /// The protocol in an IP header, in one family or in both.
    Protocol { v4: bool, v6: bool },
    /// The type of a message of ICMP.
    Icmp { is_v4: bool },
    /// The state of the conversation.
    State,
    /// The family.
    Family,
    /// Whom a packet is for: this host, a group or everybody.
    CastType,
}

impl Selector {
    /// What every packet is that has such a thing.
    pub(super) fn at_least(self) -> Condition {
        let whole = |transport| Condition::of(Traffic::Ports(transport, vec![PortRange::ALL]));
        match self {
            Self::Source { is_v4 } | Self::Destination { is_v4 } => Condition::of_family(is_v4),
            Self::Port(transport) | Self::SourcePort(transport) => whole(transport),
            Self::Icmp { is_v4 } => {
                let number = if is_v4 {
                    protocol::ICMP
                } else {
                    protocol::ICMPV6
                };
                Condition::of(Traffic::Protocol(number))
            }
            Self::Protocol { v4, v6 } => Condition {
                v4,
                v6,
                ..Condition::default()
            },
            Self::Interface | Self::State | Self::Family | Self::CastType => Condition::default(),
        }
    }
}

/// The conditions of which one holds, and those of which none may; `None` for what is not understood.
pub(super) fn conditions(
    selector: Selector,
    values: &[String],
    sets: &Sets,
) -> Option<Vec<Condition>> {
    let mut all = Vec::new();
    for value in values {
        match value.strip_prefix('@') {
            Some(name) => all.extend(sets.get(name)?.clone()?),
            None => all.push(value.clone()),
        }
    }
    let values = all;
    match selector {
        Selector::Source { is_v4 } => {
            let networks = networks(&values, is_v4)?;
            Some(of_family(Condition::from(networks), is_v4))
        }
        Selector::Destination { is_v4 } => {
            let networks = networks(&values, is_v4)?;
            Some(of_family(Condition::to(networks), is_v4))
        }
        Selector::Port(transport) => {
            let ranges = ports(&values, transport)?;
            Some(vec![Condition::of(Traffic::Ports(transport, ranges))])
        }
        Selector::SourcePort(transport) => Some(vec![Condition {
            traffic: Traffic::Ports(transport, vec![PortRange::ALL]),
            source_ports: Some(ports(&values, transport)?),
            ..Condition::default()
        }]),
        Selector::Interface => each(&values, |name| {
            if name.contains('*') {
                return None;
            }
            Some(Condition {
                interface: Some(value::interface_name(name).ok()?),
                ..Condition::default()
            })
        }),
        Selector::Protocol { v4, v6 } => each(&values, |name| {
            Some(Condition {
                v4,
                v6,
                traffic: protocol_of(name)?,
                ..Condition::default()
            })
        }),
        Selector::Icmp { is_v4 } => each(&values, |name| {
            let number = iptables::icmp_type(name, is_v4)?;
            Some(Condition::of(Traffic::Icmp(IcmpType {
                v4: is_v4.then_some(number),
                v6: (!is_v4).then_some(number),
            })))
        }),
        Selector::State => {
            let known = ["new", "established", "related", "invalid", "untracked"];
            let is_known = values.iter().all(|state| known.contains(&state.as_str()));
            // What begins a conversation is new; the others are guard's own matter.
            let is_new = values.iter().any(|state| state == "new");
            is_known.then(|| {
                if is_new {
                    vec![Condition::default()]
                } else {
                    Vec::new()
                }
            })
        }
        Selector::Family => each(&values, |name| match name {
            "ipv4" | "ip" | "2" => Some(Condition::of_family(true)),
            "ipv6" | "ip6" | "10" => Some(Condition::of_family(false)),
            _ => None,
        }),
        Selector::CastType => each(&values, |name| {
            let networks: &[&str] = match name {
                "multicast" => &["224.0.0.0/4", "ff00::/8"],
                "broadcast" => &["255.255.255.255/32"],
                _ => return None,
            };
            let networks = networks.iter().filter_map(|text| text.parse().ok());
            Some(Condition::to(networks.collect()))
        }),
    }
}

fn each(
    values: &[String],
    condition: impl Fn(&str) -> Option<Condition>,
) -> Option<Vec<Condition>> {
    values.iter().map(|value| condition(value)).collect()
}

fn of_family(mut condition: Condition, is_v4: bool) -> Vec<Condition> {
    condition.v4 = is_v4;
    condition.v6 = !is_v4;
    vec![condition]
}

fn networks(values: &[String], is_v4: bool) -> Option<Vec<IpNetwork>> {
    let mut networks = Vec::new();
    for text in values {
        if text.contains('-') {
            networks.extend(iptables::range(text)?);
        } else {
            networks.push(address::parse_network(text).ok()?.0);
        }
    }
    let is_right = networks.iter().all(|network| network.is_ipv4() == is_v4);
    is_right.then_some(networks)
}

fn ports(values: &[String], transport: Transport) -> Option<Vec<PortRange>> {
    let mut ranges = Vec::new();
    for text in values {
        // Lists and open ranges are iptables' own.
        if text.contains([',', ':']) || text.starts_with('-') || text.ends_with('-') {
            return None;
        }
        ranges.extend(iptables::ports(text, transport)?);
    }
    Some(ranges)
}

fn protocol_of(name: &str) -> Option<Traffic> {
    let whole = |transport| Traffic::Ports(transport, vec![PortRange::ALL]);
    match Protocols::embedded().parse(name).ok() {
        Some(Protocol::Tcp) => Some(whole(Transport::Tcp)),
        Some(Protocol::Udp) => Some(whole(Transport::Udp)),
        Some(Protocol::Number(0)) => None,
        Some(Protocol::Number(number)) => Some(Traffic::Protocol(number)),
        Some(Protocol::Any | Protocol::TcpAndUdp | Protocol::Icmp(_)) | None => match name {
            "icmpv6" | "ipv6-icmp" => Some(Traffic::Protocol(protocol::ICMPV6)),
            _ => None,
        },
    }
}
