//! What a rule of another firewall asks of a packet, and what two of them have in common.

use guard_common::abi::service::protocol;
use ipnetwork::IpNetwork;

use super::packet::{Probe, ProbeService};
use crate::ruleset::{
    icmp::IcmpType,
    model::{PortRange, Traffic, Transport},
};

/// All of this must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// May it be IPv4?
    pub v4: bool,
    /// May it be IPv6?
    pub v6: bool,
    /// Networks of the sender; `None` = any.
    pub source: Option<Vec<IpNetwork>>,
    /// Networks of the destination; `None` = any.
    pub destination: Option<Vec<IpNetwork>>,
    /// Protocol, ports and types.
    pub traffic: Traffic,
    /// Ports of the sender; `None` = any.
    pub source_ports: Option<Vec<PortRange>>,
    /// The interface it arrives on; `None` = any.
    pub interface: Option<String>,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            v4: true,
            v6: true,
            source: None,
            destination: None,
            traffic: Traffic::Any,
            source_ports: None,
            interface: None,
        }
    }
}

impl Condition {
    /// Every packet of one family.
    #[must_use]
    pub fn of_family(is_v4: bool) -> Self {
        Self {
            v4: is_v4,
            v6: !is_v4,
            ..Self::default()
        }
    }

    /// Every packet from these networks.
    #[must_use]
    pub fn from(networks: Vec<IpNetwork>) -> Self {
        Self {
            source: Some(networks),
            ..Self::default()
        }
    }

    /// Every packet to these networks.
    #[must_use]
    pub fn to(networks: Vec<IpNetwork>) -> Self {
        Self {
            destination: Some(networks),
            ..Self::default()
        }
    }

    /// Every packet of this traffic.
    #[must_use]
    pub fn of(traffic: Traffic) -> Self {
        Self {
            traffic,
            ..Self::default()
        }
    }

    /// Does the packet meet it?
    #[must_use]
    pub fn holds(&self, packet: &Probe) -> bool {
        let is_v4 = packet.source.is_ipv4();
        let of_family = if is_v4 { self.v4 } else { self.v6 };
        let among = |networks: &Option<Vec<IpNetwork>>, ip| {
            networks
                .as_ref()
                .is_none_or(|networks| networks.iter().any(|network| network.contains(ip)))
        };
        let from_port = self.source_ports.as_ref().is_none_or(|ranges| {
            let port = packet.source_port();
            port.is_some_and(|port| is_in(ranges, port))
        });
        of_family
            && among(&self.source, packet.source)
            && among(&self.destination, packet.destination)
            && covers(&self.traffic, packet.asked, is_v4)
            && from_port
            && self
                .interface
                .as_ref()
                .is_none_or(|name| *name == packet.interface)
    }

    /// What meets both; `None` when nothing can.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let interface = match (&self.interface, &other.interface) {
            (Some(one), Some(two)) if one != two => return None,
            (Some(name), _) | (None, Some(name)) => Some(name.clone()),
            (None, None) => None,
        };
        let both = Self {
            v4: self.v4 && other.v4,
            v6: self.v6 && other.v6,
            source: common_networks(&self.source, &other.source),
            destination: common_networks(&self.destination, &other.destination),
            traffic: common_traffic(&self.traffic, &other.traffic)?,
            source_ports: common(&self.source_ports, &other.source_ports, common_ports),
            interface,
        };
        both.tidied()
    }

    /// In the one form that its meaning has; `None` when nothing can meet it.
    #[must_use]
    pub fn tidied(mut self) -> Option<Self> {
        match &self.traffic {
            Traffic::Icmp(kind) => {
                self.v4 &= kind.v4.is_some();
                self.v6 &= kind.v6.is_some();
                self.traffic = Traffic::Icmp(IcmpType {
                    v4: kind.v4.filter(|_| self.v4),
                    v6: kind.v6.filter(|_| self.v6),
                });
            }
            Traffic::Ports(_, ranges) if ranges.is_empty() => return None,
            Traffic::Any | Traffic::Ports(..) | Traffic::Protocol(_) => {}
        }
        if self.source_ports.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let source = self.source.take();
        self.source = self.of_families(source);
        let destination = self.destination.take();
        self.destination = self.of_families(destination);
        // An address of one family leaves no packets of the other.
        for networks in [&self.source, &self.destination].into_iter().flatten() {
            self.v4 &= networks.iter().any(IpNetwork::is_ipv4);
            self.v6 &= networks.iter().any(IpNetwork::is_ipv6);
        }
        let source = self.source.take();
        self.source = self.of_families(source);
        let destination = self.destination.take();
        self.destination = self.of_families(destination);
        (self.v4 || self.v6).then_some(self)
    }

    /// The networks of the families that are possible, sorted, none inside another.
    fn of_families(&self, networks: Option<Vec<IpNetwork>>) -> Option<Vec<IpNetwork>> {
        let mut networks = networks?;
        networks.retain(|network| if network.is_ipv4() { self.v4 } else { self.v6 });
        networks.sort_unstable_by_key(|network| (network.prefix(), network.ip()));
        networks.dedup();
        let mut kept: Vec<IpNetwork> = Vec::with_capacity(networks.len());
        // A long list is taken as it is: what stands twice in it costs less than the comparison.
        let is_short = networks.len() <= 512;
        for network in networks {
            if !is_short || !kept.iter().any(|wide| is_inside(network, *wide)) {
                kept.push(network);
            }
        }
        let whole = |is_v4: bool| {
            let mut of_family = kept.iter().filter(|network| network.is_ipv4() == is_v4);
            of_family.any(|network| network.prefix() == 0)
        };
        let is_any = (!self.v4 || whole(true)) && (!self.v6 || whole(false));
        (!is_any).then_some(kept)
    }
}

/// Is the narrow network part of the wide one?
fn is_inside(narrow: IpNetwork, wide: IpNetwork) -> bool {
    narrow.prefix() >= wide.prefix() && wide.contains(narrow.ip())
}

/// What two lists have in common, where no list is everything.
fn common<T: Clone>(
    one: &Option<Vec<T>>,
    two: &Option<Vec<T>>,
    both: fn(&[T], &[T]) -> Vec<T>,
) -> Option<Vec<T>> {
    match (one, two) {
        (Some(one), Some(two)) if one.is_empty() || two.is_empty() => Some(Vec::new()),
        (Some(one), Some(two)) => Some(both(one, two)),
        (Some(list), None) | (None, Some(list)) => Some(list.clone()),
        (None, None) => None,
    }
}

fn common_networks(
    one: &Option<Vec<IpNetwork>>,
    two: &Option<Vec<IpNetwork>>,
) -> Option<Vec<IpNetwork>> {
    if one == two {
        return one.clone();
    }
    common(one, two, |one, two| {
        let pairs = one
            .iter()
            .flat_map(|left| two.iter().map(move |right| (*left, *right)));
        pairs
            .filter_map(|(left, right)| {
                if is_inside(left, right) {
                    Some(left)
                } else {
                    is_inside(right, left).then_some(right)
                }
            })
            .collect()
    })
}

fn common_ports(one: &[PortRange], two: &[PortRange]) -> Vec<PortRange> {
    let pairs = one
        .iter()
        .flat_map(|left| two.iter().map(move |right| (left, right)));
    let mut ranges: Vec<PortRange> = pairs
        .filter_map(|(left, right)| {
            let (first, last) = (left.first.max(right.first), left.last.min(right.last));
            (first <= last).then_some(PortRange { first, last })
        })
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

fn common_traffic(one: &Traffic, two: &Traffic) -> Option<Traffic> {
    match (one, two) {
        (Traffic::Any, other) | (other, Traffic::Any) => Some(other.clone()),
        (Traffic::Ports(left, ranges), Traffic::Ports(right, others)) => {
            let transport = match (left, right) {
                (Transport::Both, other) | (other, Transport::Both) => *other,
                (left, right) if left == right => *left,
                (Transport::Tcp | Transport::Udp, Transport::Tcp | Transport::Udp) => return None,
            };
            let ranges = common_ports(ranges, others);
            (!ranges.is_empty()).then_some(Traffic::Ports(transport, ranges))
        }
        (Traffic::Protocol(left), Traffic::Protocol(right)) => {
            (left == right).then_some(Traffic::Protocol(*left))
        }
        (Traffic::Icmp(kind), Traffic::Protocol(number))
        | (Traffic::Protocol(number), Traffic::Icmp(kind)) => icmp(IcmpType {
            v4: kind.v4.filter(|_| *number == protocol::ICMP),
            v6: kind.v6.filter(|_| *number == protocol::ICMPV6),
        }),
        (Traffic::Icmp(left), Traffic::Icmp(right)) => icmp(IcmpType {
            v4: left.v4.filter(|kind| right.v4 == Some(*kind)),
            v6: left.v6.filter(|kind| right.v6 == Some(*kind)),
        }),
        (Traffic::Ports(..), Traffic::Protocol(_) | Traffic::Icmp(_))
        | (Traffic::Protocol(_) | Traffic::Icmp(_), Traffic::Ports(..)) => None,
    }
}

fn icmp(kind: IcmpType) -> Option<Traffic> {
    (kind.v4.is_some() || kind.v6.is_some()).then_some(Traffic::Icmp(kind))
}

fn covers(traffic: &Traffic, asked: ProbeService, is_v4: bool) -> bool {
    match (traffic, asked) {
        (Traffic::Any, _) => true,
        (
            Traffic::Ports(Transport::Tcp | Transport::Both, ranges),
            ProbeService::Tcp { to, .. },
        )
        | (
            Traffic::Ports(Transport::Udp | Transport::Both, ranges),
            ProbeService::Udp { to, .. },
        ) => is_in(ranges, to),
        (Traffic::Protocol(number), ProbeService::Icmp(_)) => {
            *number
                == if is_v4 {
                    protocol::ICMP
                } else {
                    protocol::ICMPV6
                }
        }
        (Traffic::Protocol(number), ProbeService::Other(asked)) => *number == asked,
        (Traffic::Icmp(kind), ProbeService::Icmp(asked)) => {
            let wanted = if is_v4 { kind.v4 } else { kind.v6 };
            wanted == Some(asked)
        }
        (Traffic::Ports(..) | Traffic::Protocol(_) | Traffic::Icmp(_), _) => false,
    }
}

fn is_in(ranges: &[PortRange], port: u16) -> bool {
    ranges
        .iter()
        .any(|range| range.first <= port && port <= range.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn two_conditions_leave_what_meets_both() {
        let from = Condition::from(vec![net("10.0.0.0/8"), net("2001:db8::/32")]);
        let v4 = Condition::of_family(true);
        let both = from.and(&v4).unwrap();
        assert_eq!(both.source, Some(vec![net("10.0.0.0/8")]));
        assert!(both.v4 && !both.v6);

        let narrow = Condition::from(vec![net("10.1.0.0/16"), net("192.0.2.0/24")]);
        assert_eq!(
            both.and(&narrow).unwrap().source,
            Some(vec![net("10.1.0.0/16")])
        );
        assert_eq!(Condition::from(vec![net("192.0.2.0/24")]).and(&both), None);
        let ports = |transport, first, last| {
            Condition::of(Traffic::Ports(transport, vec![PortRange { first, last }]))
        };
        assert_eq!(
            ports(Transport::Tcp, 1, 9).and(&ports(Transport::Udp, 1, 9)),
            None
        );
        assert_eq!(
            ports(Transport::Both, 1, 100)
                .and(&ports(Transport::Udp, 50, 200))
                .unwrap(),
            ports(Transport::Udp, 50, 100)
        );
        assert_eq!(
            Condition::of(Traffic::Icmp(IcmpType::PING))
                .and(&Condition::of(Traffic::Protocol(1)))
                .unwrap()
                .traffic,
            Traffic::Icmp(IcmpType {
                v4: Some(8),
                v6: None
            })
        );
    }

    #[test]
    fn a_network_of_everybody_asks_nothing() {
        let any = Condition::from(vec![net("0.0.0.0/0")]).and(&Condition::of_family(true));
        assert_eq!(any, Some(Condition::of_family(true)));
        let v4_only = Condition::from(vec![net("0.0.0.0/0")]).tidied().unwrap();
        assert_eq!(v4_only, Condition::of_family(true));
    }
}
