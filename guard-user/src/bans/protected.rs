//! What must never be banned: this host's own addresses, those that it cannot do without, and those
//! that no honest packet comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    prefix::{Prefix, SINGLE},
    target::{BanTarget, Complaint},
};

/// Why a prefix is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An address of this host.
    Own,
    /// The next hop of a route.
    Gateway,
    /// A name server of this host.
    Resolver,
    /// Where the session comes from that the command was given in.
    Caller,
    /// Somebody is logged in from there.
    Operator,
    /// The never list of the policy.
    Never,
    /// A jail trusts it to say for whom it asks.
    Proxy,
    /// Addresses of this kind never come from outside, or from no single host.
    Special(&'static str),
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::Own => "an address of this host",
            Self::Gateway => "a gateway of this host",
            Self::Resolver => "a name server of this host",
            Self::Caller => "where your own SSH session comes from",
            Self::Operator => "where somebody is logged in from",
            Self::Never => "on the never list",
            Self::Proxy => "a trusted proxy",
            Self::Special(what) => what,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Own | Self::Gateway | Self::Resolver | Self::Special(_) => {
                "--force does not help: this host could not work without it"
            }
            Self::Caller => {
                "give the command from the console of this host, or from another address"
            }
            Self::Operator => {
                "end that session first, or add --force, which shuts its operator out"
            }
            Self::Proxy => "it is in `proxies` of a jail",
            Self::Never => {
                "`guardctl never list` shows it, `guardctl never del` takes an entry off"
            }
        }
    }
}

/// Kinds of addresses that cannot be banned.
const SPECIAL: [(IpAddr, u8, &str); 10] = [
    (v4(0, 0), 8, "\"this network\""),
    (v4(127, 0), 8, "loopback"),
    (v4(169, 254), 16, "link-local"),
    (v4(224, 0), 4, "multicast"),
    (v4(240, 0), 4, "reserved, with broadcast"),
    (v6(0, 0), 128, "the unspecified address"),
    (v6(0, 1), 128, "loopback"),
    (v6(0xfe80, 0), 10, "link-local"),
    (v6(0xff00, 0), 8, "multicast"),
    (v6(0, 0), 96, "reserved"),
];

const fn v4(a: u8, b: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, 0, 0))
}

const fn v6(first: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last))
}

/// The protected prefixes, in an order in which overlaps are found by bisection.
#[derive(Clone, Debug)]
pub struct Protected {
    /// By first address.
    ranges: Vec<Range>,
    /// The highest end of everything up to here.
    reach: Vec<u128>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    prefix: Prefix,
    why: Why,
}

/// What a command says about a target that may be banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What is banned.
    pub prefix: Prefix,
    /// A remark, if that is not what the target says.
    pub note: Option<String>,
}

impl Protected {
    /// These prefixes, and the special ones.
    #[must_use]
    pub fn new(prefixes: impl IntoIterator<Item = (Prefix, Why)>) -> Self {
        let special = SPECIAL.into_iter().map(|(address, length, what)| {
            let prefix = match address {
                IpAddr::V4(v4) => Prefix::v4(v4, length),
                IpAddr::V6(v6) => Prefix::v6(v6, length),
            };
            (prefix, Why::Special(what))
        });
        let mut ranges: Vec<Range> = prefixes
            .into_iter()
            .chain(special)
            .map(|(prefix, why)| Range { prefix, why })
            .collect();
        ranges.sort_by_key(|range| range.prefix);
        let mut never: Option<Prefix> = None;
        ranges.retain(|range| {
            if range.why != Why::Never {
                return true;
            }
            let is_known = never.is_some_and(|outer| outer.covers(range.prefix));
            if !is_known {
                never = Some(range.prefix);
            }
            !is_known
        });
        let reach = ranges
            .iter()
            .scan(0, |reach, range| {
                *reach = range.prefix.last().max(*reach);
                Some(*reach)
            })
            .collect();
        Self { ranges, reach }
    }

    /// May this be banned, and as what? A /64 that was made of an address is narrowed to the
    /// address where it holds something protected.
    ///
    /// # Errors
    /// `Refused`, naming what is protected.
    pub fn check(&self, target: &BanTarget) -> Result<Allowed, Complaint> {
        let prefix = target.prefix;
        let Some(found) = self.overlap(prefix) else {
            return Ok(Allowed { prefix, note: None });
        };
        let single = target.address.map(Prefix::single);
        if let Some(single) = single.filter(|single| single.length() > prefix.length()) {
            return match self.overlap(single) {
                Some(found) => Err(refusal(single, found)),
                None => Ok(Allowed {
                    prefix: single,
                    note: Some(format!(
                        "only {single} is banned and not its /64, which holds {} ({})",
                        shown(found.prefix),
                        found.why.text()
                    )),
                }),
            };
        }
        // The kernel asks the never list first.
        if found.why == Why::Never && !found.prefix.covers(prefix) {
            return Ok(Allowed {
                prefix,
                note: Some(format!(
                    "{prefix} contains {}, which is on the never list and is still let through",
                    shown(found.prefix)
                )),
            });
        }
        Err(refusal(prefix, found))
    }

    /// The protected prefix that shares an address with this one; what cannot be overruled by the
    /// never list comes first.
    fn overlap(&self, prefix: Prefix) -> Option<Range> {
        let end = self
            .ranges
            .partition_point(|range| range.prefix.bits() <= prefix.last());
        let mut never = None;
        for at in (0..end).rev() {
            if self.reach[at] < prefix.bits() {
                break;
            }
            let range = self.ranges[at];
            if range.prefix.last() < prefix.bits() {
                continue;
            }
            let only_inside = range.why == Why::Never && !range.prefix.covers(prefix);
            if !only_inside {
                return Some(range);
            }
            never = Some(range);
        }
        never
    }
}

fn shown(prefix: Prefix) -> String {
    if prefix.length() == SINGLE {
        prefix.address().to_string()
    } else {
        prefix.to_string()
    }
}

fn refusal(prefix: Prefix, found: Range) -> Complaint {
    let what = found.why.text();
    let message = if prefix == found.prefix {
        format!("{} cannot be banned: it is {what}", shown(prefix))
    } else if found.prefix.covers(prefix) {
        format!(
            "{} cannot be banned: it is in {} ({what})",
            shown(prefix),
            shown(found.prefix)
        )
    } else {
        format!(
            "{prefix} cannot be banned: it contains {} ({what})",
            shown(found.prefix)
        )
    };
    Complaint::refused(message, found.why.help())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::from(text.parse::<ipnetwork::IpNetwork>().expect("a prefix"))
    }

    fn protected() -> Protected {
        Protected::new([
            (prefix("192.0.2.1"), Why::Own),
            (prefix("2001:db8::1"), Why::Own),
            (prefix("192.0.2.254"), Why::Gateway),
            (prefix("9.9.9.9"), Why::Resolver),
            (prefix("198.51.100.10"), Why::Caller),
            (prefix("203.0.113.128/25"), Why::Never),
            (prefix("203.0.113.200"), Why::Never),
            (prefix("2001:db8:5::7"), Why::Never),
        ])
    }

    #[test]
    fn everything_that_is_protected_is_refused_with_its_reason() {
        for (text, what) in [
            ("192.0.2.1", "address of this host"),
            ("192.0.2.0/24", "this host"),
            ("2001:db8::1", "address of this host"),
            ("2001:db8::1/128", "address of this host"),
            ("2001:db8::/64", "address of this host"),
            ("::ffff:192.0.2.1", "address of this host"),
            ("192.0.2.254", "gateway"),
            ("9.9.9.9", "name server"),
            ("9.9.0.0/16", "name server"),
            ("198.51.100.10", "SSH session"),
            ("203.0.113.129", "never list"),
            ("203.0.113.200", "never list"),
            ("203.0.113.128/25", "never list"),
            ("2001:db8:5::7", "never list"),
            ("127.0.0.1", "loopback"),
            ("127.0.0.0/8", "loopback"),
            ("::1", "loopback"),
            ("0.0.0.0", "this network"),
            ("169.254.169.254", "link-local"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("::", "unspecified"),
        ] {
            let target = BanTarget::parse(text).expect(text);
            let complaint = protected().check(&target).expect_err(text);
            assert_eq!(complaint.exit, crate::failure::Exit::Refused);
            assert!(complaint.message.contains(what), "{text}: {complaint:?}");
        }
    }

    #[test]
    fn neighbours_of_what_is_protected_can_be_banned() {
        for (text, banned, is_noted) in [
            ("192.0.2.2", "192.0.2.2", false),
            ("192.0.2.128/26", "192.0.2.128/26", false),
            ("203.0.113.127", "203.0.113.127", false),
            ("203.0.113.0/25", "203.0.113.0/25", false),
            // The never list wins in the kernel, whatever is around it.
            ("203.0.113.0/24", "203.0.113.0/24", true),
            ("2001:db8:5::/48", "2001:db8:5::/48", true),
            ("2001:db8::2", "2001:db8::2/128", true),
            ("2001:db8:5::8", "2001:db8:5::8/128", true),
            ("2001:db8:6::8", "2001:db8:6::/64", false),
        ] {
            let target = BanTarget::parse(text).expect(text);
            let allowed = protected().check(&target).expect(text);
            assert_eq!(allowed.prefix.to_string(), banned, "{text}");
            assert_eq!(allowed.note.is_some(), is_noted, "{text}");
        }
    }
}
