//! The difference in meaning of two sets of rules: both are asked about packets, and what they say is put side by side,
//! by port and by sender. Decides nothing itself: the one side goes through its chains, the other is guard's own model.

mod values;
mod whom;

use std::collections::BTreeMap;

use guard_common::abi::{flow::Tuple, reason::Action, service::protocol};

use super::{
    answers::answers,
    chains::Firewall,
    packet::{Probe, ProbeService},
};
use crate::{
    failure::{Exit, Failure},
    ruleset::{
        compile::{Host, Stamp, compile},
        icmp::message_name,
        model::{Policy, PortRange},
        probe::Model,
        protocol as protocols,
    },
};
use values::{OTHER_INTERFACE, Values};
use whom::Whom;

/// Guard's side: a compiled policy, and numbers for the interfaces that it names.
#[derive(Debug)]
pub struct Ours {
    model: Model,
    interfaces: Vec<(String, u32)>,
}

impl Ours {
    /// Compiles the policy.
    ///
    /// # Errors
    /// When it needs larger tables than guard builds.
    pub fn new(policy: &Policy) -> Result<Self, Failure> {
        let mut names: Vec<&String> = policy
            .rules
            .iter()
            .filter_map(|rule| rule.interface.as_ref())
            .collect();
        names.sort_unstable();
        names.dedup();
        let interfaces: Vec<(String, u32)> = names.into_iter().cloned().zip(1..).collect();
        let host = Host {
            interfaces: interfaces.clone(),
            ..Host::default()
        };
        let image = compile(policy, &host, Stamp::default()).map_err(|error| {
            Failure::new(Exit::BadConfiguration, error.to_string()).help(error.help())
        })?;
        Ok(Self {
            model: Model::at(&image, 0),
            interfaces,
        })
    }

    /// Is the packet let in?
    #[must_use]
    pub fn lets_in(&self, packet: &Probe) -> bool {
        const NONE_NAMED: u32 = 9999;
        let mut named = self.interfaces.iter();
        let index = named
            .find(|(name, _)| *name == packet.interface)
            .map_or(NONE_NAMED, |(_, index)| *index);
        let tuple = |protocol, from, to| Tuple {
            remote: packet.source.into(),
            local: packet.destination.into(),
            remote_port: from,
            local_port: to,
            protocol,
        };
        let first = |tuple: Tuple| self.model.first_packet(index, &tuple);
        let verdict = match packet.asked {
            ProbeService::Tcp { from, to } => first(tuple(protocol::TCP, from, to)),
            ProbeService::Udp { from, to } => first(tuple(protocol::UDP, from, to)),
            ProbeService::Other(number) => first(tuple(number, 0, 0)),
            ProbeService::Icmp(kind) => {
                self.model
                    .message(index, packet.source, packet.destination, kind)
            }
        };
        verdict.action == Action::Pass
    }
}

/// What both sides say about some ports, a type or a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `22/tcp`, `ping`.
    pub what: String,
    /// Whom the other firewall lets in.
    pub theirs: String,
    /// Whom guard lets in.
    pub ours: String,
}

/// The whole comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// What is open on either side, and for whom.
    pub rows: Vec<Row>,
    /// How many packets were asked about.
    pub asked: usize,
    /// How many of them guard drops and the other one lets in, or may let in.
    pub stricter: usize,
    /// How many guard lets in and the other one drops, or may drop. None, or there is a bug.
    pub looser: usize,
    /// Were some values left out, because there are too many?
    pub is_sample: bool,
}

/// What a row is about; ordered as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Tcp(PortRange),
    Udp(PortRange),
    Icmp(u8),
    IcmpV6(u8),
    Other(u8),
}

/// Asks both sides.
#[must_use]
pub fn compare(firewall: &Firewall, policy: &Policy, ours: &Ours) -> Meaning {
    let values = Values::of(firewall, policy);
    let mut meaning = Meaning {
        is_sample: values.is_sample,
        ..Meaning::default()
    };
    let mut found: BTreeMap<Key, [Whom; 2]> = BTreeMap::new();
    for family in [0, 1] {
        for (asked, range) in values.services(family) {
            let key = key(asked, range, family == 0);
            let sides = found.entry(key).or_default();
            for source in &values.sources[family] {
                let sender = values.name_of(*source);
                for (at, destination) in values.destinations[family].iter().enumerate() {
                    for interface in &values.interfaces {
                        let packet = Probe {
                            source: *source,
                            destination: *destination,
                            interface: interface.clone(),
                            asked,
                        };
                        if packet.is_decided_without_rules() {
                            continue;
                        }
                        let theirs = answers(firewall, &packet);
                        let let_in = ours.lets_in(&packet);
                        meaning.asked += 1;
                        meaning.stricter += usize::from(theirs.accept && !let_in);
                        meaning.looser += usize::from(let_in && !theirs.surely_accepted());
                        let mut circumstances = Vec::new();
                        if at > 0 {
                            circumstances.push(format!("to {destination}"));
                        }
                        if values.interfaces.len() > 1 && interface != OTHER_INTERFACE {
                            circumstances.push(format!("on {interface}"));
                        }
                        if let Some(port) = packet
                            .source_port()
                            .filter(|_| values.source_ports.len() > 1)
                            && port != values.source_ports[0]
                        {
                            circumstances.push(format!("from port {port}"));
                        }
                        let circumstances = circumstances.join(whom::AND);
                        let is_v4 = family == 0;
                        sides[0].add(is_v4, sender.as_deref(), &circumstances, theirs.accept);
                        sides[1].add(is_v4, sender.as_deref(), &circumstances, let_in);
                    }
                }
            }
        }
    }
    meaning.rows = rows(&found);
    meaning
}

fn key(asked: ProbeService, range: PortRange, is_v4: bool) -> Key {
    match asked {
        ProbeService::Tcp { .. } => Key::Tcp(range),
        ProbeService::Udp { .. } => Key::Udp(range),
        ProbeService::Icmp(kind) if is_v4 => Key::Icmp(kind),
        ProbeService::Icmp(kind) => Key::IcmpV6(kind),
        ProbeService::Other(number) => Key::Other(number),
    }
}

/// A row for each that is open, neighbours that are told apart by nothing in one.
fn rows(found: &BTreeMap<Key, [Whom; 2]>) -> Vec<Row> {
    let mut rows: Vec<(Key, Row)> = Vec::new();
    for (key, [theirs, ours]) in found {
        if theirs.is_nobody() && ours.is_nobody() {
            continue;
        }
        let (theirs, ours) = (theirs.text(), ours.text());
        if let Some((last, row)) = rows.last_mut()
            && row.theirs == theirs
            && row.ours == ours
            && let Some(joined) = joined(*last, *key)
        {
            *last = joined;
            row.what = name(joined);
            continue;
        }
        let what = name(*key);
        rows.push((*key, Row { what, theirs, ours }));
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Ports that follow on each other as one range.
fn joined(one: Key, two: Key) -> Option<Key> {
    let follow = |one: PortRange, two: PortRange| {
        let follows = u32::from(one.last) + 1 == u32::from(two.first);
        follows.then_some(PortRange {
            first: one.first,
            last: two.last,
        })
    };
    match (one, two) {
        (Key::Tcp(one), Key::Tcp(two)) => follow(one, two).map(Key::Tcp),
        (Key::Udp(one), Key::Udp(two)) => follow(one, two).map(Key::Udp),
        (Key::Tcp(_) | Key::Udp(_) | Key::Icmp(_) | Key::IcmpV6(_) | Key::Other(_), _) => None,
    }
}

fn name(key: Key) -> String {
    let message = |of: &str, is_v6, kind: u8| match message_name(is_v6, kind) {
        Some("echo-request") if is_v6 => "ping (IPv6)".to_owned(),
        Some("echo-request") => "ping (IPv4)".to_owned(),
        Some(name) => format!("{of} {name}"),
        None => format!("{of} type {kind}"),
    };
    let ports = |range: PortRange| match range {
        PortRange {
            first: 1,
            last: u16::MAX,
        } => "every port".to_owned(),
        range => range.to_string(),
    };
    match key {
        Key::Tcp(range) => format!("{}/tcp", ports(range)),
        Key::Udp(range) => format!("{}/udp", ports(range)),
        Key::Icmp(kind) => message("icmp", false, kind),
        Key::IcmpV6(kind) => message("icmpv6", true, kind),
        Key::Other(number) => match protocols::name(number) {
            Some(name) => format!("protocol {name}"),
            None => format!("protocol {number}"),
        },
    }
}
