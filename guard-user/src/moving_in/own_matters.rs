//! What guard decides without rules: an import says nothing of it in the policy, and once to the operator.

use super::{condition::Condition, packet::is_own_matter};
use crate::ruleset::{
    icmp::IcmpType,
    model::{PortRange, Traffic, Transport},
};

/// A kind of traffic that needs no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// Answers and errors of ICMP, neighbours, routers and groups of IPv6, redirects.
    Icmp,
    /// Answers of DHCP servers.
    Dhcp,
}

impl Matter {
    /// What there is to know.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Icmp => {
                "answers and errors of ICMP pass when they are about what this host has sent, neighbours and routers of \
                 IPv6 from the own link, redirects never; rules about them are not taken over"
            }
            Self::Dhcp => {
                "answers of DHCP servers always pass; rules about them are not taken over"
            }
        }
    }
}

/// The condition without what guard decides by itself; `None` when nothing else is left of it.
#[must_use]
pub(super) fn without(mut when: Condition, allows: bool) -> (Option<Condition>, Option<Matter>) {
    if let Traffic::Icmp(kind) = &when.traffic {
        let rest = IcmpType {
            v4: kind.v4.filter(|kind| !is_own_matter(true, *kind)),
            v6: kind.v6.filter(|kind| !is_own_matter(false, *kind)),
        };
        if rest == *kind {
            return (Some(when), None);
        }
        when.traffic = Traffic::Icmp(rest);
        return (when.tidied(), Some(Matter::Icmp));
    }
    if allows && is_dhcp(&when) {
        return (None, Some(Matter::Dhcp));
    }
    (Some(when), None)
}

/// Is it about nothing but answers of DHCP servers?
fn is_dhcp(when: &Condition) -> bool {
    let is_between = |from, to| {
        let ports = matches!(&when.traffic, Traffic::Ports(Transport::Udp, ports)
            if *ports == [PortRange::single(to)]);
        ports && when.source_ports.as_deref() == Some(&[PortRange::single(from)])
    };
    // Only what has an address of the own link on either side passes without a rule.
    let is_on_link = [&when.source, &when.destination]
        .into_iter()
        .any(|networks| {
            networks.as_ref().is_some_and(|networks| {
                let mut all = networks.iter();
                all.all(|network| match network {
                    ipnetwork::IpNetwork::V6(v6) => {
                        v6.prefix() >= 10 && v6.ip().segments()[0] & 0xffc0 == 0xfe80
                    }
                    ipnetwork::IpNetwork::V4(_) => false,
                })
            })
        });
    when.v4 && !when.v6 && is_between(67, 68)
        || when.v6 && !when.v4 && is_between(547, 546) && is_on_link
}
