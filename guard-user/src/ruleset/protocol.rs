//! IP protocols by name and number, and what may stand after `proto`.

use std::collections::HashMap;

use guard_common::abi::service::protocol;

use super::icmp::IcmpType;

use crate::text::{
    nearest::nearest,
    value::{BadValue, quoted},
};

/// What was asked for with `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing in particular: tcp and udp where ports are given, every protocol otherwise.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP and UDP, even without ports.
    TcpAndUdp,
    /// Messages of ICMP of one type.
    Icmp(IcmpType),
    /// An IP protocol, neither 6 nor 17.
    Number(u8),
}

impl Protocol {
    /// This protocol with a type of its messages.
    ///
    /// # Errors
    /// Only ICMP has types, and not every one that is asked for.
    pub fn of_type(self, text: &str) -> Result<Self, BadValue> {
        match self {
            Self::Number(number @ (protocol::ICMP | protocol::ICMPV6)) => {
                IcmpType::parse(number, text).map(Self::Icmp)
            }
            Self::Any
            | Self::Tcp
            | Self::Udp
            | Self::TcpAndUdp
            | Self::Icmp(_)
            | Self::Number(_) => Err(BadValue::new(format!(
                "type {} needs a protocol that has types: icmp or icmpv6",
                quoted(text)
            ))
            .help(
                "write e.g. `allow icmp type time-exceeded`, in a file proto = \"icmp\" with it",
            )),
        }
    }
}

/// Protocol numbers by name.
#[derive(Clone, Debug)]
pub struct Protocols {
    by_name: HashMap<String, u8>,
}

impl Protocols {
    /// The table that comes with guard.
    #[must_use]
    pub fn embedded() -> Self {
        Self::with_file("")
    }

    /// Adds the names of an /etc/protocols; the table that comes with guard wins, so that a rule
    /// means the same on every machine.
    #[must_use]
    pub fn with_file(text: &str) -> Self {
        let mut by_name = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split('#').next().unwrap_or("").split_whitespace();
            let (Some(name), Some(number)) = (fields.next(), fields.next()) else {
                continue;
            };
            // 0 is called "ip" there, which would read as "every packet".
            let Ok(number @ 1..) = number.parse::<u8>() else {
                continue;
            };
            for name in std::iter::once(name).chain(fields) {
                by_name.insert(name.to_lowercase(), number);
            }
        }
        for (name, number) in EMBEDDED {
            by_name.insert((*name).to_owned(), *number);
        }
        Self { by_name }
    }

    /// Reads what stands after `proto`.
    pub fn parse(&self, text: &str) -> Result<Protocol, BadValue> {
        let name = text.trim().to_lowercase();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = name.parse().map_err(|_| {
                BadValue::new(format!(
                    "protocol {} is out of range (0-255)",
                    quoted(text).trim_matches('"')
                ))
                .help("protocol numbers are listed in /etc/protocols")
            })?;
            return Ok(from_number(number));
        }
        match name.as_str() {
            "any" | "all" => Ok(Protocol::Any),
            "ping" => Ok(Protocol::Icmp(IcmpType::PING)),
            "tcp,udp" | "udp,tcp" => Ok(Protocol::TcpAndUdp),
            "ip" => Err(
                BadValue::new("protocol \"ip\" says nothing: every packet is IP")
                    .help("leave the protocol out, or name tcp, udp, icmp, gre, …"),
            ),
            _ => match self.by_name.get(&name) {
                Some(number) => Ok(from_number(*number)),
                None => Err(self.unknown(text, &name)),
            },
        }
    }

    fn unknown(&self, text: &str, name: &str) -> BadValue {
        let words = ["tcp", "udp", "any", "ping"].into_iter();
        let known = self.by_name.keys().map(String::as_str).chain(words);
        let problem = match nearest(name, known) {
            Some(near) => format!("unknown protocol {}; did you mean \"{near}\"", quoted(text)),
            None => format!("unknown protocol {}", quoted(text)),
        };
        BadValue::new(problem).help("use tcp, udp, any, ping, a name such as gre, or 0-255")
    }
}

/// The name that guard prints for a protocol number, if it has one.
#[must_use]
pub fn name(number: u8) -> Option<&'static str> {
    let found = EMBEDDED.iter().find(|(_, known)| *known == number);
    found.map(|(name, _)| *name)
}

fn from_number(number: u8) -> Protocol {
    match number {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        other => Protocol::Number(other),
    }
}

/// The first name of a number is the one printed.
const EMBEDDED: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("6in4", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("icmp6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("etherip", 97),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same() {
        let protocols = Protocols::embedded();
        for (text, expected) in [
            ("tcp", Protocol::Tcp),
            ("6", Protocol::Tcp),
            ("UDP", Protocol::Udp),
            ("17", Protocol::Udp),
            ("gre", Protocol::Number(47)),
            ("47", Protocol::Number(47)),
            ("0", Protocol::Number(0)),
            ("255", Protocol::Number(255)),
            ("ipv6-icmp", Protocol::Number(58)),
            ("any", Protocol::Any),
            ("ping", Protocol::Icmp(IcmpType::PING)),
            ("tcp,udp", Protocol::TcpAndUdp),
        ] {
            assert_eq!(protocols.parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_printed_name_reads_back_even_when_the_file_disagrees() {
        let protocols = Protocols::with_file("ipip 94 IPIP\nfc 133 FC\nip 0 IP\nmptcp 262 MPTCP\n");
        for number in 0..=255 {
            if let Some(name) = name(number) {
                assert_eq!(protocols.parse(name), Ok(from_number(number)), "{name}");
            }
        }
        assert_eq!(protocols.parse("fc"), Ok(Protocol::Number(133)));
    }

    #[test]
    fn a_wrong_protocol_says_what_is_near() {
        let problem = Protocols::embedded().parse("tpc").expect_err("unknown");

        assert_eq!(
            problem.message,
            "unknown protocol \"tpc\"; did you mean \"tcp\""
        );
        let message = |text| Protocols::embedded().parse(text).expect_err(text).message;
        assert!(message("256").contains("256 is out of range (0-255)"));
        assert!(message("").contains("unknown protocol"));
        assert!(message("ip").contains("every packet is IP"));
    }
}
