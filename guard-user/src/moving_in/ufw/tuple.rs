//! One rule of ufw, as its `### tuple ###` lines have it.

use super::super::{
    chains::{ChainRule, SourceLine, Target},
    condition::Condition,
};
use crate::{
    ruleset::{
        limit::Limit,
        model::{PortRange, Traffic, Transport},
        protocol::{Protocol, Protocols},
    },
    text::{
        address,
        value::{self, BadValue, quoted},
    },
};

/// What a rule is about, and what ufw does beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tuple {
    /// The rule, as one of a chain.
    pub(super) rule: ChainRule,
    /// Is it about packets for this host?
    pub(super) way: Way,
    /// Does ufw log what it is about?
    pub(super) is_logged: bool,
    /// Does ufw answer what it refuses?
    pub(super) rejects: bool,
}

/// Which packets meet a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
    Route,
}

/// Reads what stands behind `### tuple ###`.
pub(super) fn read(place: &SourceLine, text: &str, is_v4: bool) -> Result<Tuple, BadValue> {
    let mut fields: Vec<&str> = text.split_whitespace().collect();
    let mut comment = None;
    if let Some(hex) = fields.last().and_then(|last| last.strip_prefix("comment=")) {
        comment = Some(from_hex(hex).ok_or_else(|| {
            BadValue::new(format!(
                "comment {} is not UTF-8 text in hexadecimal digits",
                quoted(hex)
            ))
        })?);
        fields.pop();
    }
    let (action, protocol, ports, to, from_ports, from) = match fields.as_slice() {
        [action, protocol, ports, to, from_ports, from, ..] if fields.len() <= 9 => {
            (*action, *protocol, *ports, *to, *from_ports, *from)
        }
        _ => {
            return Err(BadValue::new(format!(
                "a rule has 6 to 9 fields and perhaps a comment, and this one has {}",
                fields.len()
            )));
        }
    };
    let (profiles, direction) = match fields.get(6..).unwrap_or_default() {
        [] => ([None, None], "in"),
        [direction] => ([None, None], *direction),
        [one, two] => ([Some(*one), Some(*two)], "in"),
        [one, two, direction, ..] => ([Some(*one), Some(*two)], *direction),
    };
    let (action, is_routed) = match action.strip_prefix("route:") {
        Some(action) => (action, true),
        None => (action, false),
    };
    let (action, is_logged) = match action.split_once('_') {
        Some((action, "log" | "log-all")) => (action, true),
        Some(_) | None => (action, false),
    };
    let target = match action {
        "allow" => Target::Accept,
        "deny" | "reject" => Target::Drop,
        "limit" => Target::Limit(Limit::default()),
        _ => {
            return Err(BadValue::new(format!(
                "action {} is none of allow, deny, reject and limit",
                quoted(action)
            )));
        }
    };
    let mut rule = ChainRule::new(place.clone(), text.trim(), target);
    let when = Condition {
        source: networks(from, is_v4)?,
        destination: networks(to, is_v4)?,
        traffic: traffic(protocol, ports, from_ports)?,
        source_ports: ports_of(from_ports)?,
        ..Condition::of_family(is_v4)
    };
    let (interface, way) = way(direction)?;
    match interface {
        Some(name) if name.contains('+') => {
            rule.unclear.push(format!("interfaces {}", quoted(name)))
        }
        Some(name) => {
            let name = value::interface_name(name)?;
            rule.when.interface = Some(name);
        }
        None => {}
    }
    let when = Condition {
        interface: rule.when.interface.take(),
        ..when
    };
    rule.when = when
        .tidied()
        .ok_or_else(|| BadValue::new("its addresses are of different families"))?;
    let profile = profiles.into_iter().flatten().find(|name| *name != "-");
    rule.comment = comment.or_else(|| profile.map(|name| name.replace("%20", " ")));
    Ok(Tuple {
        rule,
        way: if is_routed { Way::Route } else { way },
        is_logged,
        rejects: action == "reject",
    })
}

/// `in`, `out`, `in_eth0`, `out_eth0`, `in_eth0!out_eth1`.
fn way(text: &str) -> Result<(Option<&str>, Way), BadValue> {
    let part = |part: &'_ str| match part.split_once('_') {
        Some((way, name)) if !name.is_empty() => Some((way.to_owned(), part.len() - name.len())),
        Some(_) => None,
        None => Some((part.to_owned(), part.len())),
    };
    let first = text.split('!').next().unwrap_or(text);
    let bad = || BadValue::new(format!("direction {} is neither in nor out", quoted(text)));
    let (way, at) = part(first).ok_or_else(bad)?;
    let name = Some(&first[at..]).filter(|name| !name.is_empty());
    match way.as_str() {
        "in" => Ok((name, Way::In)),
        "out" => Ok((name, Way::Out)),
        _ => Err(bad()),
    }
}

fn networks(text: &str, is_v4: bool) -> Result<Option<Vec<ipnetwork::IpNetwork>>, BadValue> {
    let (network, _) = address::parse_network(text)?;
    if network.is_ipv4() != is_v4 {
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        return Err(BadValue::new(format!(
            "address {} is not {family}, which the file is about",
            quoted(text)
        )));
    }
    Ok((network.prefix() > 0).then(|| vec![network]))
}

fn traffic(protocol: &str, ports: &str, from_ports: &str) -> Result<Traffic, BadValue> {
    let protocol = Protocols::embedded().parse(protocol)?;
    let ranges = ports_of(ports)?;
    let has_ports = ranges.is_some() || from_ports != "any";
    let ranges = ranges.unwrap_or_else(|| vec![PortRange::ALL]);
    match protocol {
        Protocol::Any if !has_ports => Ok(Traffic::Any),
        Protocol::Any | Protocol::TcpAndUdp => Ok(Traffic::Ports(Transport::Both, ranges)),
        Protocol::Tcp => Ok(Traffic::Ports(Transport::Tcp, ranges)),
        Protocol::Udp => Ok(Traffic::Ports(Transport::Udp, ranges)),
        Protocol::Icmp(kind) => Ok(Traffic::Icmp(kind)),
        Protocol::Number(_) if has_ports => Err(BadValue::new(
            "ports belong to tcp and udp, not to this protocol",
        )),
        Protocol::Number(number) => Ok(Traffic::Protocol(number)),
    }
}

fn ports_of(text: &str) -> Result<Option<Vec<PortRange>>, BadValue> {
    if text == "any" {
        return Ok(None);
    }
    let bad = || BadValue::new(format!("ports {} are no ports", quoted(text)));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ranges = text.split(',').map(|part| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last) = (port(first)?, port(last)?);
        (first <= last).then_some(PortRange { first, last })
    });
    ranges.collect::<Option<Vec<_>>>().map(Some).ok_or_else(bad)
}

fn from_hex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}
