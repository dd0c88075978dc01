//! Which packets tell two sets of rules apart: every address, port, protocol and interface that either names, and the
//! ones just outside.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnetwork::IpNetwork;

use super::super::{
    chains::Firewall,
    condition::Condition,
    packet::{ProbeService, is_own_matter},
};
use crate::{
    ruleset::model::{Policy, PortRange, Traffic},
    text::address,
};

/// An interface that nobody names.
pub(super) const OTHER_INTERFACE: &str = "any other";
/// A port that clients send from.
const CLIENT_PORT: u16 = 40_000;
/// Most packets to ask about.
const MOST: usize = 60_000;
/// Most conditions that may be looked at for all of them.
const MOST_WORK: usize = 30_000_000;

/// Values to combine.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Of IPv4 and of IPv6.
    pub(super) sources: [Vec<IpAddr>; 2],
    /// The same for destinations.
    pub(super) destinations: [Vec<IpAddr>; 2],
    pub(super) interfaces: Vec<String>,
    pub(super) source_ports: Vec<u16>,
    /// First and last port of what no rule tells apart.
    pub(super) ports: Vec<PortRange>,
    /// Types of ICMP, of IPv4 and of IPv6.
    pub(super) types: [Vec<u8>; 2],
    pub(super) protocols: Vec<u8>,
    /// Networks that senders are told apart by.
    networks: Vec<IpNetwork>,
    /// Are there more values than were taken?
    pub(super) is_sample: bool,
}

/// What both sides name.
#[derive(Default)]
struct Named {
    sources: BTreeSet<IpNetwork>,
    destinations: BTreeSet<IpNetwork>,
    interfaces: BTreeSet<String>,
    source_ports: BTreeSet<PortRange>,
    ports: BTreeSet<PortRange>,
    types: [BTreeSet<u8>; 2],
    protocols: BTreeSet<u8>,
    /// How many conditions there are.
    weight: usize,
}

impl Named {
    fn traffic(&mut self, traffic: &Traffic) {
        match traffic {
            Traffic::Any => {}
            Traffic::Ports(_, ranges) => self.ports.extend(ranges),
            Traffic::Protocol(number) => {
                self.protocols.insert(*number);
            }
            Traffic::Icmp(kind) => {
                self.types[0].extend(kind.v4);
                self.types[1].extend(kind.v6);
            }
        }
    }

    fn condition(&mut self, condition: &Condition) {
        self.traffic(&condition.traffic);
        let sources = condition.source.iter().flatten();
        let destinations = condition.destination.iter().flatten();
        self.weight += 1 + sources.clone().count() + destinations.clone().count();
        self.sources.extend(sources);
        self.destinations.extend(destinations);
        self.source_ports
            .extend(condition.source_ports.iter().flatten());
        self.interfaces.extend(condition.interface.clone());
    }
}

impl Values {
    pub(super) fn of(firewall: &Firewall, policy: &Policy) -> Self {
        let mut named = Named::default();
        for rule in firewall.all_rules() {
            for condition in std::iter::once(&rule.when).chain(&rule.unless) {
                named.condition(condition);
            }
        }
        for rule in &policy.rules {
            named.traffic(&rule.traffic);
            named.sources.extend(&rule.source.prefixes);
            named.destinations.extend(&rule.destination.prefixes);
            named.source_ports.extend(&rule.source_ports);
            named.interfaces.extend(rule.interface.clone());
        }
        let mut values = Self {
            interfaces: named.interfaces.iter().cloned().collect(),
            ports: intervals(&named.ports),
            networks: named.sources.iter().copied().collect(),
            ..Self::default()
        };
        values.interfaces.retain(|name| name != "lo");
        values.interfaces.push(OTHER_INTERFACE.to_owned());
        for (family, is_v4) in [(0, true), (1, false)] {
            values.sources[family] = addresses(&named.sources, is_v4, is_sender);
            values.destinations[family] = addresses(&named.destinations, is_v4, |_| true);
            // Echo requests are what people ask about first; the other is a type that few name.
            named.types[family].extend(if is_v4 { [8, 13] } else { [128, 139] });
            let types = named.types[family].iter().copied();
            values.types[family] = types.filter(|kind| !is_own_matter(is_v4, *kind)).collect();
        }
        let from_ports = named.source_ports.iter();
        let from_ports = from_ports.flat_map(|range| [range.first, range.last]);
        values.source_ports = std::iter::once(CLIENT_PORT)
            .chain(from_ports.filter(|port| *port > 0))
            .collect();
        // GRE, which few name.
        named.protocols.insert(47);
        let are_others = |number: &u8| ![1, 2, 6, 17, 58].contains(number);
        values.protocols = named.protocols.into_iter().filter(are_others).collect();
        values.shrink(MOST.min(MOST_WORK / named.weight.max(1)).max(2000));
        values
    }

    /// How many packets all combinations are.
    fn count(&self) -> usize {
        let services = 2 * self.ports.len() * self.source_ports.len() + self.protocols.len();
        let ends: usize = [0, 1]
            .iter()
            .map(|family| {
                let ends = self.sources[*family].len() * self.destinations[*family].len();
                ends * (services + self.types[*family].len())
            })
            .sum();
        ends.saturating_mul(self.interfaces.len())
    }

    /// Leaves out every other value of what there is most of, until the combinations can be asked in good time.
    fn shrink(&mut self, most: usize) {
        while self.count() > most {
            let lengths = [
                self.sources[0].len().max(self.sources[1].len()),
                self.destinations[0].len().max(self.destinations[1].len()),
                self.ports.len() / 4,
                self.source_ports.len(),
                self.interfaces.len(),
            ];
            let Some(largest) = (0..lengths.len()).max_by_key(|at| lengths[*at]) else {
                return;
            };
            if lengths[largest] < 3 {
                return;
            }
            self.is_sample = true;
            match largest {
                0 => self.sources.iter_mut().for_each(every_other),
                1 => self.destinations.iter_mut().for_each(every_other),
                2 => every_other(&mut self.ports),
                3 => every_other(&mut self.source_ports),
                _ => every_other(&mut self.interfaces),
            }
        }
    }

    /// How a sender is called: by the narrowest network that names it; `None` for all others.
    pub(super) fn name_of(&self, ip: IpAddr) -> Option<String> {
        let holding = self.networks.iter().filter(|network| network.contains(ip));
        let narrowest = holding.max_by_key(|network| network.prefix())?;
        (narrowest.prefix() > 0).then(|| address::show(narrowest))
    }

    /// What a packet asks for, with the range of ports that it stands for.
    pub(super) fn services(&self, family: usize) -> Vec<(ProbeService, PortRange)> {
        let mut services = Vec::new();
        for range in &self.ports {
            for from in &self.source_ports {
                let (from, to) = (*from, range.first);
                services.push((ProbeService::Tcp { from, to }, *range));
                services.push((ProbeService::Udp { from, to }, *range));
            }
        }
        let none = PortRange::single(0);
        services.extend(
            self.types[family]
                .iter()
                .map(|kind| (ProbeService::Icmp(*kind), none)),
        );
        services.extend(
            self.protocols
                .iter()
                .map(|number| (ProbeService::Other(*number), none)),
        );
        services
    }
}

/// The first stays, which stands for all that nobody names.
fn every_other<T>(values: &mut Vec<T>) {
    let mut index = 0;
    values.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}

/// Ports that no range tells apart, in ranges.
fn intervals(ranges: &BTreeSet<PortRange>) -> Vec<PortRange> {
    let mut begins = BTreeSet::from([1]);
    for range in ranges {
        begins.insert(range.first.max(1));
        begins.extend(range.last.checked_add(1).filter(|port| *port > 0));
    }
    let begins: Vec<u16> = begins.into_iter().collect();
    begins
        .iter()
        .enumerate()
        .map(|(at, first)| PortRange {
            first: *first,
            last: begins.get(at + 1).map_or(u16::MAX, |next| next - 1),
        })
        .collect()
}

/// Somebody whom nobody names, and both ends of every network with what is next to them.
fn addresses(
    networks: &BTreeSet<IpNetwork>,
    is_v4: bool,
    is_possible: fn(&IpAddr) -> bool,
) -> Vec<IpAddr> {
    let of_family: Vec<_> = networks
        .iter()
        .filter(|network| network.is_ipv4() == is_v4)
        .collect();
    let is_named = |ip: &IpAddr| {
        let mut named = of_family.iter().filter(|network| network.prefix() > 0);
        named.any(|network| network.contains(*ip))
    };
    let strangers: [IpAddr; 4] = if is_v4 {
        [
            [192, 0, 2, 77],
            [198, 18, 7, 7],
            [100, 64, 7, 7],
            [9, 9, 9, 77],
        ]
        .map(|octets| Ipv4Addr::from(octets).into())
    } else {
        [
            0x2001_0db8_0000_0077,
            0x3fff_0000_0000_0077,
            0x2a00_0007_0007_0077,
            0x2600_0000_7777_0000,
        ]
        .map(|high: u64| Ipv6Addr::from_bits((u128::from(high) << 64) | 0x77).into())
    };
    let mut found: Vec<IpAddr> = strangers
        .iter()
        .find(|ip| !is_named(ip))
        .into_iter()
        .copied()
        .collect();
    let mut others = BTreeSet::new();
    for network in of_family {
        let (first, last) = ends(network);
        others.extend(
            [Some(first), Some(last), before(first), after(last)]
                .into_iter()
                .flatten(),
        );
    }
    found.extend(others.iter().filter(|ip| is_possible(ip)));
    found
}

fn ends(network: &IpNetwork) -> (IpAddr, IpAddr) {
    match network {
        IpNetwork::V4(v4) => (v4.network().into(), v4.broadcast().into()),
        IpNetwork::V6(v6) => (v6.network().into(), v6.broadcast().into()),
    }
}

fn before(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(v4) => Some(Ipv4Addr::from_bits(v4.to_bits().checked_sub(1)?).into()),
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits().checked_sub(1)?).into()),
    }
}

fn after(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(v4) => Some(Ipv4Addr::from_bits(v4.to_bits().checked_add(1)?).into()),
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits().checked_add(1)?).into()),
    }
}

/// Can a packet have this address as its source?
pub(super) fn is_sender(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..=255),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast()),
    }
}
