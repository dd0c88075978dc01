//! What services, ports, protocols and types of ICMP of firewalld ask for, as conditions of which one must hold; `None`
//! for what is not understood.

use std::path::Path;

use super::{
    super::{condition::Condition, iptables},
    xml::{self, Element},
};
use crate::{
    failure::Failure,
    ruleset::{
        icmp::IcmpType,
        model::{PortRange, Traffic, Transport},
        protocol::{Protocol, Protocols},
    },
    text::address,
};

/// Deepest inclusion of services in services.
const MOST_DEPTH: usize = 8;

/// `<port port="80" protocol="tcp"/>`.
pub(super) fn port(element: &Element) -> Option<Condition> {
    let transport = transport(element.attribute("protocol")?)?;
    let ranges = iptables::ports(element.attribute("port")?, transport)?;
    Some(Condition::of(Traffic::Ports(transport, ranges)))
}

/// `<source-port port="123" protocol="udp"/>`.
pub(super) fn source_port(element: &Element) -> Option<Condition> {
    let transport = transport(element.attribute("protocol")?)?;
    Some(Condition {
        traffic: Traffic::Ports(transport, vec![PortRange::ALL]),
        source_ports: Some(iptables::ports(element.attribute("port")?, transport)?),
        ..Condition::default()
    })
}

fn transport(name: &str) -> Option<Transport> {
    match name {
        "tcp" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    }
}

/// A protocol by name or number.
pub(super) fn protocol(name: &str) -> Option<Condition> {
    let whole = |transport| Traffic::Ports(transport, vec![PortRange::ALL]);
    let traffic = match (Protocols::embedded().parse(name).ok(), name) {
        (Some(Protocol::Tcp), _) => whole(Transport::Tcp),
        (Some(Protocol::Udp), _) => whole(Transport::Udp),
        (_, "ipv6-icmp" | "icmpv6") => Traffic::Protocol(58),
        (Some(Protocol::Number(number @ 1..)), _) => Traffic::Protocol(number),
        (
            Some(Protocol::Number(0) | Protocol::Any | Protocol::TcpAndUdp | Protocol::Icmp(_))
            | None,
            _,
        ) => return None,
    };
    Some(Condition::of(traffic))
}

/// A type of ICMP by the name that firewalld has for it, of both families where both have it.
pub(super) fn icmp(name: &str) -> Option<Condition> {
    let name = match name {
        "neighbour-advertisement" => "neighbor-advertisement",
        "neighbour-solicitation" => "neighbor-solicitation",
        name => name,
    };
    // Codes of firewalld's (host-unreachable, …) are no types.
    let v4 = iptables::icmp_type(name, true).filter(|_| !name.starts_with("neighbor-"));
    let kind = IcmpType {
        v4,
        v6: iptables::icmp_type(name, false),
    };
    (kind.v4.is_some() || kind.v6.is_some()).then(|| Condition::of(Traffic::Icmp(kind)))
}

/// What a service asks for; `None` when there is none of this name.
pub(super) fn service(root: &Path, name: &str) -> Result<Option<Vec<Condition>>, Failure> {
    let mut conditions = Vec::new();
    let is_known = add_service(root, name, 0, &mut conditions)?;
    Ok(is_known.then_some(conditions))
}

fn add_service(
    root: &Path,
    name: &str,
    depth: usize,
    conditions: &mut Vec<Condition>,
) -> Result<bool, Failure> {
    if depth > MOST_DEPTH {
        return Ok(false);
    }
    let Some(file) = xml::find(root, "services", name)? else {
        return Ok(false);
    };
    let destination = file.root.child("destination");
    let mut is_whole = true;
    for element in &file.root.children {
        let asked = match element.name.as_str() {
            "port" => port(element),
            "source-port" => source_port(element),
            "protocol" => element.attribute("value").and_then(protocol),
            "include" => {
                let included = element.attribute("service").unwrap_or_default();
                is_whole &= add_service(root, included, depth + 1, conditions)?;
                continue;
            }
            _ => continue,
        };
        match (asked, destination) {
            (Some(asked), None) => conditions.push(asked),
            (Some(asked), Some(destination)) => {
                for family in ["ipv4", "ipv6"] {
                    let networks = destination.attribute(family).map(network);
                    match networks {
                        Some(Some(network)) => {
                            conditions.extend(asked.and(&Condition::to(vec![network])));
                        }
                        Some(None) => is_whole = false,
                        None => {}
                    }
                }
            }
            (None, _) => is_whole = false,
        }
    }
    Ok(is_whole)
}

/// An address or a network, perhaps with a netmask.
pub(super) fn network(text: &str) -> Option<ipnetwork::IpNetwork> {
    if let Some((ip, mask)) = text.split_once('/')
        && mask.contains('.')
    {
        let ip = ip.parse().ok()?;
        let network = ipnetwork::IpNetwork::with_netmask(ip, mask.parse().ok()?).ok()?;
        return ipnetwork::IpNetwork::new(network.network(), network.prefix()).ok();
    }
    address::parse_network(text)
        .ok()
        .map(|(network, _)| network)
}
