//! A packet that both firewalls are asked about: the first one of a conversation.

use std::net::IpAddr;

/// What a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeService {
    /// A SYN.
    Tcp {
        /// Port of the sender.
        from: u16,
        /// Port.
        to: u16,
    },
    /// A datagram.
    Udp {
        /// Port of the sender.
        from: u16,
        /// Port.
        to: u16,
    },
    /// A message of ICMP, by its type in the family of the addresses.
    Icmp(u8),
    /// Any other IP protocol.
    Other(u8),
}

/// A packet that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where from.
    pub source: IpAddr,
    /// Where to, of the same family.
    pub destination: IpAddr,
    /// The interface.
    pub interface: String,
    /// What it asks for.
    pub asked: ProbeService,
}

impl Probe {
    /// Port of the sender, if it has one.
    #[must_use]
    pub fn source_port(&self) -> Option<u16> {
        match self.asked {
            ProbeService::Tcp { from, .. } | ProbeService::Udp { from, .. } => Some(from),
            ProbeService::Icmp(_) | ProbeService::Other(_) => None,
        }
    }

    /// Is it one that guard judges by what it is, whatever the rules say: essential traffic, messages about what this
    /// host has sent, and redirects? Those are no matter of an import.
    #[must_use]
    pub fn is_decided_without_rules(&self) -> bool {
        match self.asked {
            ProbeService::Icmp(kind) => is_own_matter(self.source.is_ipv4(), kind),
            ProbeService::Udp { from: 67, to: 68 } => self.source.is_ipv4(),
            ProbeService::Udp { from: 547, to: 546 } => self.source.is_ipv6(),
            // IGMP to a group, which is essential only with one hop left.
            ProbeService::Other(2) => self.source.is_ipv4(),
            ProbeService::Udp { .. } | ProbeService::Tcp { .. } | ProbeService::Other(_) => false,
        }
    }
}

/// Is a message of this type something that guard decides without rules?
#[must_use]
pub fn is_own_matter(is_v4: bool, kind: u8) -> bool {
    if is_v4 {
        // Answers and errors are let in when they are about what this host has sent; redirects never are.
        matches!(kind, 0 | 3 | 4 | 5 | 11 | 12)
    } else {
        matches!(kind, 1..=4 | 129..=137 | 143)
    }
}
