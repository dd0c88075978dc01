//! Types of ICMP by name and number: what may stand after `icmp type`.

use guard_common::abi::service::protocol;

use crate::text::{
    nearest::nearest,
    value::{BadValue, quoted},
};

/// A message by its type, of one family or of both; at least one of them is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcmpType {
    /// Type of ICMP (RFC 792).
    pub v4: Option<u8>,
    /// Type of ICMPv6 (RFC 4443).
    pub v6: Option<u8>,
}

impl IcmpType {
    /// Echo requests of both families.
    pub const PING: Self = Self {
        v4: Some(8),
        v6: Some(128),
    };

    /// Reads what stands after `icmp type` or `icmpv6 type`. After `icmp`, a name means both families
    /// where both have such a message, as a port does; a number is of the protocol that was named.
    pub fn parse(protocol: u8, text: &str) -> Result<Self, BadValue> {
        let name = text.trim().to_lowercase();
        let is_v6 = protocol == protocol::ICMPV6;
        let found = if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = name.parse().map_err(|_| {
                let text = quoted(text);
                BadValue::new(format!(
                    "ICMP type {} is out of range (0-255)",
                    text.trim_matches('"')
                ))
                .help("types are listed by IANA under ICMP parameters; the common ones have names")
            })?;
            Self::of_number(is_v6, number)
        } else {
            let known = NAMES.iter().find(|(known, _, _)| *known == name);
            let (_, v4, v6) = known.ok_or_else(|| unknown(text, &name))?;
            match (is_v6, v6) {
                (true, None) => {
                    return Err(
                        BadValue::new(format!("ICMPv6 has no message {}", quoted(text)))
                            .help(format!("write `icmp type {name}`")),
                    );
                }
                (true, Some(_)) => Self { v4: None, v6: *v6 },
                (false, _) => Self { v4: *v4, v6: *v6 },
            }
        };
        found.checked()
    }

    const fn of_number(is_v6: bool, number: u8) -> Self {
        if is_v6 {
            Self {
                v4: None,
                v6: Some(number),
            }
        } else {
            Self {
                v4: Some(number),
                v6: None,
            }
        }
    }

    /// Refuses what no rule decides, so that nobody believes that it does.
    fn checked(self) -> Result<Self, BadValue> {
        const REDIRECT_V4: u8 = 5;
        const REDIRECT_V6: u8 = 137;
        if self.v4 == Some(REDIRECT_V4) || self.v6 == Some(REDIRECT_V6) {
            return Err(BadValue::new(
                "redirects are dropped always: they would send this host's packets to others",
            )
            .help("leave the rule out; set routes where they belong"));
        }
        if let Some(kind @ (130..=136 | 143)) = self.v6 {
            return Err(BadValue::new(format!(
                "type {kind} of ICMPv6 is essential traffic: it passes from the own link, and from nowhere else"
            ))
            .help("leave the rule out"));
        }
        Ok(self)
    }

    /// `ping`, `icmp`, `icmpv6`: the protocol that is named with it.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Self::PING => "ping",
            Self { v4: None, .. } => "icmpv6",
            Self { v4: Some(_), .. } => "icmp",
        }
    }

    /// What stands after `type`; nothing after `ping`.
    #[must_use]
    pub fn name(self) -> Option<String> {
        if self == Self::PING {
            return None;
        }
        let named = NAMES.iter().find(|(_, v4, v6)| match self.v4 {
            Some(_) => (*v4, *v6) == (self.v4, self.v6),
            None => *v6 == self.v6,
        });
        let number = self.v4.or(self.v6).unwrap_or_default();
        Some(named.map_or_else(|| number.to_string(), |(name, _, _)| (*name).to_owned()))
    }

    /// Does it take in each message of the other?
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let holds = |ours: Option<u8>, theirs: Option<u8>| theirs.is_none() || ours == theirs;
        holds(self.v4, other.v4) && holds(self.v6, other.v6)
    }
}

/// The name of one family's message, if it has one.
#[must_use]
pub fn message_name(is_v6: bool, kind: u8) -> Option<&'static str> {
    let of_family = |(_, v4, v6): &&Named| if is_v6 { *v6 } else { *v4 } == Some(kind);
    NAMES.iter().find(of_family).map(|(name, _, _)| *name)
}

fn unknown(text: &str, name: &str) -> BadValue {
    let known = NAMES.iter().map(|(known, _, _)| *known);
    let message = format!("unknown ICMP type {}", quoted(text));
    BadValue::new(match nearest(name, known) {
        Some(near) => format!("{message}; did you mean \"{near}\""),
        None => message,
    })
    .help("use a name such as time-exceeded or timestamp-request, or 0-255")
}

type Named = (&'static str, Option<u8>, Option<u8>);

/// Names as nftables and iptables have them (`nft describe icmp type`); the first of a number is the one
/// that is printed.
const NAMES: &[Named] = &[
    ("echo-reply", Some(0), Some(129)),
    ("destination-unreachable", Some(3), Some(1)),
    ("packet-too-big", None, Some(2)),
    ("source-quench", Some(4), None),
    ("redirect", Some(5), Some(137)),
    ("echo-request", Some(8), Some(128)),
    ("router-advertisement", Some(9), Some(134)),
    ("router-solicitation", Some(10), Some(133)),
    ("time-exceeded", Some(11), Some(3)),
    ("parameter-problem", Some(12), Some(4)),
    ("timestamp-request", Some(13), None),
    ("timestamp-reply", Some(14), None),
    ("info-request", Some(15), None),
    ("info-reply", Some(16), None),
    ("address-mask-request", Some(17), None),
    ("address-mask-reply", Some(18), None),
    ("node-information-request", None, Some(139)),
    ("node-information-reply", None, Some(140)),
    ("extended-echo-request", Some(42), Some(160)),
    ("extended-echo-reply", Some(43), Some(161)),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ICMP: u8 = protocol::ICMP;
    const ICMPV6: u8 = protocol::ICMPV6;

    #[test]
    fn a_name_is_of_both_families_and_a_number_of_one() {
        let read = |protocol, text| IcmpType::parse(protocol, text).expect(text);
        let of = |v4, v6| IcmpType { v4, v6 };

        assert_eq!(read(ICMP, "time-exceeded"), of(Some(11), Some(3)));
        assert_eq!(read(ICMPV6, "time-exceeded"), of(None, Some(3)));
        assert_eq!(read(ICMP, "Timestamp-Request"), of(Some(13), None));
        assert_eq!(read(ICMP, "packet-too-big"), of(None, Some(2)));
        assert_eq!(read(ICMP, "11"), of(Some(11), None));
        assert_eq!(read(ICMPV6, "255"), of(None, Some(255)));
        assert_eq!(read(ICMP, "echo-request"), IcmpType::PING);
    }

    #[test]
    fn what_is_printed_reads_back() {
        let every = (0..=255).flat_map(|kind| {
            [
                IcmpType::of_number(false, kind),
                IcmpType::of_number(true, kind),
            ]
        });
        let named = NAMES
            .iter()
            .map(|(_, v4, v6)| IcmpType { v4: *v4, v6: *v6 });
        let mut read = 0;
        for kind in every
            .chain(named)
            .filter(|kind| kind.checked().is_ok() && *kind != IcmpType::PING)
        {
            let protocol = if kind.protocol() == "icmpv6" {
                ICMPV6
            } else {
                ICMP
            };
            let name = kind.name().expect("a name");
            assert_eq!(IcmpType::parse(protocol, &name), Ok(kind), "{name}");
            read += 1;
        }
        assert!(read > 500, "{read}");
    }

    #[test]
    fn what_no_rule_decides_is_refused() {
        for (protocol, text, named) in [
            (ICMP, "redirect", "redirects are dropped always"),
            (ICMP, "5", "redirects are dropped always"),
            (ICMPV6, "137", "redirects are dropped always"),
            (ICMPV6, "135", "essential traffic"),
            (ICMP, "router-advertisement", "essential traffic"),
            (ICMPV6, "143", "essential traffic"),
            (ICMPV6, "timestamp-request", "ICMPv6 has no message"),
            (ICMP, "256", "256 is out of range (0-255)"),
            (ICMP, "time-exeeded", "did you mean \"time-exceeded\""),
            (ICMP, "", "unknown ICMP type"),
            (ICMP, "-1", "unknown ICMP type"),
        ] {
            let bad = IcmpType::parse(protocol, text).expect_err(text);
            assert!(bad.message.contains(named), "{text}: {}", bad.message);
        }
    }
}
