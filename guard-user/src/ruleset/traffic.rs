//! Ports, services and a protocol become the traffic of a rule.

use super::{
    model::{PortRange, Traffic, Transport},
    protocol::{self, Protocol},
    service::{Service, Services},
};
use crate::text::{
    nearest::nearest,
    value::{BadValue, quoted},
};

/// One port, range or service as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortItem {
    /// A port or a range by number.
    Range(PortRange),
    /// A service by name.
    Service(String, Service),
}

/// Reads `80`, `80,443`, `6000:6007`, `http` and mixtures.
pub fn parse_ports(text: &str, services: &Services) -> Result<Vec<PortItem>, BadValue> {
    text.split(',')
        .map(|part| parse_part(part.trim(), text, services))
        .collect()
}

/// Checks a port given as a number.
pub fn port_number(number: i64) -> Result<u16, BadValue> {
    match u16::try_from(number) {
        Ok(port @ 1..) => Ok(port),
        Ok(0) | Err(_) => Err(out_of_range(&number.to_string())),
    }
}

/// What a rule with these ports and this protocol is about.
pub fn resolve(ports: &[PortItem], protocol: Protocol) -> Result<Traffic, BadValue> {
    if ports.is_empty() {
        let whole = |transport| Traffic::Ports(transport, vec![PortRange::ALL]);
        return Ok(match protocol {
            Protocol::Any => Traffic::Any,
            Protocol::Tcp => whole(Transport::Tcp),
            Protocol::Udp => whole(Transport::Udp),
            Protocol::TcpAndUdp => whole(Transport::Both),
            Protocol::Icmp(kind) => Traffic::Icmp(kind),
            Protocol::Number(number) => Traffic::Protocol(number),
        });
    }
    let transport = match protocol {
        Protocol::Any => common_transport(ports)?,
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::TcpAndUdp => Transport::Both,
        Protocol::Icmp(kind) => return Err(no_ports(kind.protocol())),
        Protocol::Number(number) => {
            let text = protocol::name(number).map_or_else(|| number.to_string(), str::to_owned);
            return Err(no_ports(&text));
        }
    };
    let ranges = ports
        .iter()
        .map(|item| match item {
            PortItem::Range(range) => Ok(*range),
            PortItem::Service(name, service) => {
                service_port(name, *service, transport).map(PortRange::single)
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Traffic::Ports(transport, sorted(ranges)))
}

/// What a rule is about that asks for ports of the sender: packets that have ports.
pub fn with_source_ports(traffic: Traffic) -> Result<Traffic, BadValue> {
    match traffic {
        Traffic::Any => Ok(Traffic::Ports(Transport::Both, vec![PortRange::ALL])),
        Traffic::Ports(..) => Ok(traffic),
        Traffic::Icmp(kind) => Err(no_ports(kind.protocol())),
        Traffic::Protocol(number) => Err(no_ports(
            &protocol::name(number).map_or_else(|| number.to_string(), str::to_owned),
        )),
    }
}

/// The ports of the sender that were written, as ranges; services are meant by their numbers.
pub fn source_ranges(ports: &[PortItem]) -> Vec<PortRange> {
    let numbers = ports.iter().flat_map(|item| match item {
        PortItem::Range(range) => vec![*range],
        PortItem::Service(_, service) => [service.tcp, service.udp]
            .into_iter()
            .flatten()
            .map(PortRange::single)
            .collect(),
    });
    sorted(numbers.collect())
}

/// Sorts ranges and joins those that overlap.
pub(super) fn sorted(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut joined: Vec<PortRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

fn parse_part(part: &str, whole: &str, services: &Services) -> Result<PortItem, BadValue> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if part.is_empty() {
        return Err(
            BadValue::new(format!("a port is missing in {}", quoted(whole)))
                .help("write a list without spaces, e.g. 80,443"),
        );
    }
    if is_number(part) {
        return parse_number(part).map(|port| PortItem::Range(PortRange::single(port)));
    }
    if let Some((first, last)) = part.split_once(':') {
        return parse_range(part, first, last);
    }
    if let Some((first, last)) = part.split_once('-')
        && is_number(first)
        && is_number(last)
    {
        return Err(BadValue::new(format!("{} is not a port", quoted(part)))
            .help(format!("a range is written {first}:{last}")));
    }
    if part.starts_with(['-', '+']) && is_number(&part[1..]) {
        return Err(out_of_range(part));
    }
    if let Some((port, protocol)) = part.split_once('/') {
        return Err(
            BadValue::new(format!("{} is not a port", quoted(part))).help(format!(
                "give the protocol apart: port {port} with proto {protocol}"
            )),
        );
    }
    match services.get(part) {
        Some(service) => Ok(PortItem::Service(part.to_lowercase(), service)),
        None => Err(unknown_service(part, services)),
    }
}

fn parse_number(text: &str) -> Result<u16, BadValue> {
    match text.parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        Ok(0) | Err(_) => Err(out_of_range(text)),
    }
}

fn parse_range(part: &str, first: &str, last: &str) -> Result<PortItem, BadValue> {
    let end = |text: &str| {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            parse_number(text)
        } else {
            Err(
                BadValue::new(format!("{} is not a port range", quoted(part)))
                    .help("a range is two numbers, e.g. 6000:6007"),
            )
        }
    };
    let (first, last) = (end(first)?, end(last)?);
    if first > last {
        return Err(
            BadValue::new(format!("port range {first}:{last} ends before it begins"))
                .help(format!("write {last}:{first}")),
        );
    }
    Ok(PortItem::Range(PortRange { first, last }))
}

fn out_of_range(text: &str) -> BadValue {
    let text = quoted(text);
    BadValue::new(format!(
        "port {} is out of range (1-65535)",
        text.trim_matches('"')
    ))
    .help("for every port, leave the port out and give the protocol")
}

fn unknown_service(name: &str, services: &Services) -> BadValue {
    let lower = name.to_lowercase();
    if lower == "any" || lower == "all" {
        return BadValue::new(format!("{} is not a port", quoted(name)))
            .help("for every port, leave the port out");
    }
    let problem = match nearest(&lower, services.names()) {
        Some(near) => format!("unknown service {}; did you mean \"{near}\"", quoted(name)),
        None => format!("unknown service {}", quoted(name)),
    };
    BadValue::new(problem).help("write the port as a number, or a name from /etc/services")
}

fn no_ports(protocol: &str) -> BadValue {
    BadValue::new(format!(
        "protocol {protocol} is not matched by port; only tcp and udp are"
    ))
    .help("leave the port out, or use tcp or udp")
}

/// The transport that every item agrees on when none is given.
fn common_transport(ports: &[PortItem]) -> Result<Transport, BadValue> {
    let of = |item: &PortItem| match item {
        PortItem::Range(_)
        | PortItem::Service(
            _,
            Service {
                tcp: Some(_),
                udp: Some(_),
            },
        ) => Transport::Both,
        PortItem::Service(_, Service { tcp: Some(_), .. }) => Transport::Tcp,
        PortItem::Service(_, _) => Transport::Udp,
    };
    let Some(first) = ports.first() else {
        return Ok(Transport::Both);
    };
    match ports.iter().find(|item| of(item) != of(first)) {
        None => Ok(of(first)),
        Some(other) => {
            let show = |item: &PortItem| {
                let name = match item {
                    PortItem::Range(range) => range.to_string(),
                    PortItem::Service(name, _) => name.clone(),
                };
                format!("{name} is {}", transport_text(of(item)))
            };
            Err(BadValue::new(format!(
                "these ports differ in protocol: {}, {}",
                show(first),
                show(other)
            ))
            .help("give a protocol, or write one rule for each"))
        }
    }
}

fn service_port(name: &str, service: Service, transport: Transport) -> Result<u16, BadValue> {
    let found = match (transport, service.tcp, service.udp) {
        (Transport::Tcp, port, _) | (Transport::Udp, _, port) => port,
        (Transport::Both, Some(tcp), Some(udp)) if tcp == udp => Some(tcp),
        (Transport::Both, Some(tcp), Some(udp)) => {
            return Err(BadValue::new(format!(
                "service {} is {tcp}/tcp but {udp}/udp",
                quoted(name)
            ))
            .help("give a protocol"));
        }
        (Transport::Both, _, _) => None,
    };
    found.ok_or_else(|| {
        let known = match (service.tcp, service.udp) {
            (Some(port), _) => format!("{port}/tcp"),
            (None, Some(port)) => format!("{port}/udp"),
            (None, None) => "unknown".to_owned(),
        };
        BadValue::new(format!(
            "service {} is not known for {}; it is {known}",
            quoted(name),
            transport_text(transport)
        ))
        .help("leave the protocol out, or write the port as a number")
    })
}

fn transport_text(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Both => "tcp and udp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::icmp::IcmpType;

    #[test]
    fn port_lists_are_sorted_and_joined() {
        let traffic = |text, protocol| {
            resolve(
                &parse_ports(text, &Services::embedded()).expect(text),
                protocol,
            )
        };
        let range = |first, last| PortRange { first, last };

        assert_eq!(
            traffic("443,80,80", Protocol::Tcp),
            Ok(Traffic::Ports(
                Transport::Tcp,
                vec![range(80, 80), range(443, 443)]
            ))
        );
        assert_eq!(
            traffic("100:200,150:300,90", Protocol::Any),
            Ok(Traffic::Ports(
                Transport::Both,
                vec![range(90, 90), range(100, 300)]
            ))
        );
        assert_eq!(
            traffic("http,https", Protocol::Any),
            Ok(Traffic::Ports(
                Transport::Tcp,
                vec![range(80, 80), range(443, 443)]
            ))
        );
    }

    #[test]
    fn a_service_follows_its_transports() {
        let services = Services::embedded();
        let problem = |text, protocol| {
            resolve(&parse_ports(text, &services).expect(text), protocol)
                .expect_err(text)
                .message
        };

        assert_eq!(
            resolve(
                &parse_ports("domain", &services).expect("known"),
                Protocol::Any
            ),
            Ok(Traffic::Ports(Transport::Both, vec![PortRange::single(53)]))
        );
        assert!(problem("http", Protocol::Udp).contains("not known for udp; it is 80/tcp"));
        assert!(problem("22,http", Protocol::Any).contains("22 is tcp and udp, http is tcp"));
        assert!(
            problem("80", Protocol::Icmp(IcmpType::PING)).contains("ping is not matched by port")
        );
        assert!(problem("80", Protocol::Number(47)).contains("protocol gre"));
    }
}
