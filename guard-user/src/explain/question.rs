//! The packet that is asked about, as it is typed: `from A [port P] to B [port P] [proto P] [on IFACE]
//! [flags syn,ack]`, or short `A PORT[/PROTO]`.

use std::net::{IpAddr, SocketAddr};

use guard_common::{abi::service::protocol, packet::TcpFlags};

use crate::{
    failure::{Exit, Failure},
    ruleset::{icmp::IcmpType, names::Names, protocol::Protocol},
    text::value::{BadValue, quoted},
};

/// Source port of a packet for which none is named: one that clients use.
const CLIENT_PORT: u16 = 40_000;

/// What the packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment with these flags.
    Tcp(TcpFlags),
    /// A datagram.
    Udp,
    /// A message of ICMP, by its type in the family of the addresses.
    Icmp(u8),
    /// Any other IP protocol.
    Other(u8),
}

/// A packet to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where from.
    pub source: SocketAddr,
    /// Where to; `None` = this host.
    pub destination: Option<IpAddr>,
    /// Destination port, 0 where there are none.
    pub port: u16,
    /// What it carries.
    pub transport: Transport,
    /// The interface that it arrives on; `None` = the first protected one.
    pub interface: Option<String>,
}

const HELP: &str = "guardctl explain from 203.0.113.7 to 192.0.2.1 port 22 proto tcp, or short: \
                    guardctl explain 203.0.113.7 22";

/// Words that stand before a value.
const KEYS: [&str; 7] = ["from", "to", "port", "proto", "type", "on", "flags"];

/// Which end a port belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Source,
    Destination,
}

/// Reads the words of a question.
///
/// # Errors
/// Exit 2 naming the word.
pub fn parse(words: &[String], names: &Names) -> Result<Question, Failure> {
    let mut draft = QuestionDraft::default();
    let mut words = words.iter().map(String::as_str).peekable();
    if words
        .peek()
        .is_some_and(|word| !KEYS.contains(word) && *word != "in")
    {
        draft.source = words.next().map(address).transpose()?;
        if words.peek().is_some_and(|word| !KEYS.contains(word)) {
            draft.port(words.next().unwrap_or_default(), names)?;
        }
    }
    let mut end = Endpoint::Destination;
    while let Some(key) = words.next() {
        if key == "in" {
            continue;
        }
        let mut value = || {
            words
                .next()
                .ok_or_else(|| usage(format!("nothing follows {}", quoted(key))))
        };
        match key {
            "from" => {
                draft.source = Some(address(value()?)?);
                end = Endpoint::Source;
            }
            "to" => {
                let word = value()?;
                draft.destination = match word {
                    "any" | "me" | "self" => None,
                    word => Some(address(word)?),
                };
                end = Endpoint::Destination;
            }
            "port" if end == Endpoint::Source => draft.source_port = Some(number(value()?)?),
            "port" => draft.port(value()?, names)?,
            "proto" => draft.protocol = Some(value()?.to_lowercase()),
            "icmp" | "icmpv6" => draft.protocol = Some(key.to_owned()),
            "type" => draft.kind = Some(value()?.to_owned()),
            "on" => draft.interface = Some(value()?.to_owned()),
            "flags" => draft.flags = Some(flags(value()?)?),
            other => {
                return Err(usage(format!(
                    "{} is none of {}",
                    quoted(other),
                    KEYS.join(", ")
                )));
            }
        }
    }
    draft.finish(names)
}

#[derive(Default)]
struct QuestionDraft {
    source: Option<IpAddr>,
    source_port: Option<u16>,
    destination: Option<IpAddr>,
    port: Option<u16>,
    protocol: Option<String>,
    kind: Option<String>,
    interface: Option<String>,
    flags: Option<TcpFlags>,
}

impl QuestionDraft {
    /// `22`, `22/tcp`, `ssh`, `ping`, `icmp`.
    fn port(&mut self, word: &str, names: &Names) -> Result<(), Failure> {
        if ["ping", "icmp", "icmpv6"].contains(&word) {
            self.protocol = Some(word.to_owned());
            return Ok(());
        }
        let (port, protocol) = match word.split_once('/') {
            Some((port, protocol)) => (port, Some(protocol)),
            None => (word, None),
        };
        if let Some(protocol) = protocol {
            self.protocol = Some(protocol.to_lowercase());
        }
        let named = names.services.get(port);
        self.port = Some(
            match named.and_then(|service| service.tcp.or(service.udp)) {
                Some(known) if port.parse::<u16>().is_err() => known,
                Some(_) | None => number(port)?,
            },
        );
        Ok(())
    }

    fn finish(self, names: &Names) -> Result<Question, Failure> {
        let source = self
            .source
            .ok_or_else(|| usage("where does the packet come from? `from ADDRESS` is missing"))?;
        if let Some(destination) = self.destination
            && destination.is_ipv4() != source.is_ipv4()
        {
            return Err(usage(format!(
                "{source} and {destination} are not of the same address family"
            )));
        }
        let transport = self.transport(source.is_ipv4(), names)?;
        let has_ports = matches!(transport, Transport::Tcp(_) | Transport::Udp);
        let port = match (has_ports, self.port) {
            (true, Some(port)) => port,
            (true, None) => {
                return Err(usage(
                    "to which port? `to ADDRESS port PORT`, or `proto ping`",
                ));
            }
            (false, None) => 0,
            (false, Some(port)) => {
                return Err(usage(format!("port {port}: only tcp and udp have ports")));
            }
        };
        Ok(Question {
            source: SocketAddr::new(source, self.source_port.unwrap_or(CLIENT_PORT)),
            destination: self.destination,
            port,
            transport,
            interface: self.interface,
        })
    }

    fn transport(&self, is_v4: bool, names: &Names) -> Result<Transport, Failure> {
        let tcp = Transport::Tcp(self.flags.unwrap_or(TcpFlags(TcpFlags::SYN)));
        let word = self.protocol.as_deref().unwrap_or("tcp");
        let transport = match (names.protocols.parse(word).map_err(wrong)?, &self.kind) {
            (Protocol::Icmp(kind), None) => message(kind, is_v4)?,
            (Protocol::Number(number @ (protocol::ICMP | protocol::ICMPV6)), Some(kind)) => {
                message(IcmpType::parse(number, kind).map_err(wrong)?, is_v4)?
            }
            (_, Some(kind)) => {
                return Err(usage(format!(
                    "type {}: only ICMP has types, e.g. `proto icmp type time-exceeded`",
                    quoted(kind)
                )));
            }
            (Protocol::Any | Protocol::Tcp | Protocol::TcpAndUdp, None) => tcp,
            (Protocol::Udp, None) => Transport::Udp,
            (Protocol::Number(number), None) => Transport::Other(number),
        };
        if self.flags.is_some() && transport != tcp {
            return Err(usage(format!("flags: {} has none", quoted(word))));
        }
        Ok(transport)
    }
}

/// The message of the family that the packet is of.
fn message(kind: IcmpType, is_v4: bool) -> Result<Transport, Failure> {
    let of_family = if is_v4 { kind.v4 } else { kind.v6 };
    of_family.map(Transport::Icmp).ok_or_else(|| {
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        usage(format!(
            "{} of this type is not sent over {family}",
            kind.protocol()
        ))
    })
}

fn wrong(bad: BadValue) -> Failure {
    let failure = Failure::new(Exit::Usage, bad.message);
    match bad.help {
        Some(help) => failure.help(help),
        None => failure.help(HELP),
    }
}

fn address(word: &str) -> Result<IpAddr, Failure> {
    word.parse::<IpAddr>()
        .map(|ip| ip.to_canonical())
        .map_err(|_| usage(format!("{} is not an IP address", quoted(word))))
}

fn number(word: &str) -> Result<u16, Failure> {
    word.parse()
        .map_err(|_| usage(format!("{} is not a port from 1 to 65535", quoted(word))))
}

/// `syn`, `syn,ack`, `none`.
fn flags(word: &str) -> Result<TcpFlags, Failure> {
    if word == "none" {
        return Ok(TcpFlags(0));
    }
    word.split(',').try_fold(TcpFlags(0), |flags, name| {
        let bit = match name.to_lowercase().as_str() {
            "fin" => TcpFlags::FIN,
            "syn" => TcpFlags::SYN,
            "rst" => TcpFlags::RST,
            "psh" => TcpFlags::PSH,
            "ack" => TcpFlags::ACK,
            "urg" => TcpFlags::URG,
            _ => {
                return Err(usage(format!(
                    "{} is not a TCP flag: fin, syn, rst, psh, ack, urg, none",
                    quoted(name)
                )));
            }
        };
        Ok(TcpFlags(flags.0 | bit))
    })
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message).help(HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &str) -> Result<Question, Failure> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        parse(&words, &Names::embedded())
    }

    #[test]
    fn both_forms_ask_about_the_same_packet() {
        let long = ask("from 203.0.113.7 port 40000 to any port 22 proto tcp").unwrap();
        assert_eq!(ask("203.0.113.7 22").unwrap(), long);
        assert_eq!(ask("203.0.113.7 ssh/tcp").unwrap(), long);
        assert_eq!(long.transport, Transport::Tcp(TcpFlags(TcpFlags::SYN)));
        let udp = ask("in on eth1 from 2001:db8::7 to 2001:db8::1 port domain proto udp").unwrap();
        assert_eq!((udp.port, udp.transport), (53, Transport::Udp));
        assert_eq!(udp.interface.as_deref(), Some("eth1"));
        let ack = ask("203.0.113.7 22 flags ack,psh").unwrap();
        assert_eq!(
            ack.transport,
            Transport::Tcp(TcpFlags(TcpFlags::ACK | TcpFlags::PSH))
        );
        for (words, kind) in [
            ("203.0.113.7 ping", 8),
            ("2001:db8::7 ping", 128),
            ("203.0.113.7 icmp type time-exceeded", 11),
            ("from 2001:db8::7 proto icmp type time-exceeded", 3),
            ("from 2001:db8::7 proto icmpv6 type 200", 200),
        ] {
            assert_eq!(ask(words).unwrap().transport, Transport::Icmp(kind));
        }
        assert_eq!(
            ask("from 203.0.113.7 proto gre").unwrap().transport,
            Transport::Other(47)
        );
    }

    #[test]
    fn what_is_no_packet_is_refused_by_its_word() {
        for (words, named) in [
            ("", "where does the packet come from"),
            ("203.0.113.7", "to which port"),
            ("203.0.113.7 70000", "70000"),
            ("somewhere 22", "somewhere"),
            (
                "from 203.0.113.7 to 2001:db8::1 port 22",
                "same address family",
            ),
            ("from 203.0.113.7 to 192.0.2.1 prot tcp", "prot"),
            ("from 203.0.113.7 port", "nothing follows \"port\""),
            ("203.0.113.7 22 flags sin", "sin"),
            ("203.0.113.7 53/udp flags syn", "has none"),
            ("203.0.113.7 22 type 8", "only ICMP has types"),
            ("203.0.113.7 icmpv6 type 128", "not sent over IPv4"),
            ("203.0.113.7 icmp type tea", "unknown ICMP type"),
            (
                "from 203.0.113.7 to any port 5 proto gre",
                "only tcp and udp",
            ),
        ] {
            let failure = ask(words).expect_err(words);
            assert_eq!(failure.exit, Exit::Usage, "{words}");
            assert!(failure.message.contains(named), "{words}: {failure}");
        }
    }
}
