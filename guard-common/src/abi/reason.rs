//! Why a packet got its verdict. Counter index, metric label, CLI column and test assertion all
//! derive from this one enum.

use crate::abi::rule::RuleRef;

/// What the kernel does with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Hand it to the network stack.
    Pass,
    /// Drop it.
    Drop,
    /// Send an answer back in its place.
    Answer,
}

impl Action {
    /// For people and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Answer => "answer",
        }
    }
}

/// A decision: what, why and, where a rule decided, which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What happens.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, if one did.
    pub rule: RuleRef,
}

impl Verdict {
    /// The verdict that always goes with this reason.
    #[inline(always)]
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        Self {
            action: reason.action(),
            reason,
            rule: RuleRef::NONE,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $action:ident, $label:literal, $hint:literal;)+) => {
        /// Why. Append only: the value is a row of the counters.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name = $value,)+
        }

        impl Reason {
            /// Every reason, in order of value.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What a packet with this reason meets. Every reason has exactly one action.
            #[inline(always)]
            #[must_use]
            pub const fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)+ }
            }

            /// Stable name for people, JSON and metrics.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// What an operator should know about it, in one line.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)+ }
            }
        }
    };
}

reasons! {
    /// No rule matches and the default is deny.
    DefaultDrop = 0, Drop, "default-drop", "no rule opens this; `guardctl allow …` would";
    /// No rule matches and the default is allow.
    DefaultAllow = 1, Pass, "default-allow", "no rule matches and the default is allow";
    /// A rule allows it.
    RuleAllow = 2, Pass, "rule-allow", "an allow rule matched";
    /// A rule denies it.
    RuleDeny = 3, Drop, "rule-deny", "a deny rule matched";
    /// ARP.
    Arp = 4, Pass, "arp", "address resolution, always passed";
    /// Neighbour discovery with hop limit 255.
    Ndp = 5, Pass, "ndp", "IPv6 neighbour discovery, always passed";
    /// Multicast listener discovery behind a router alert.
    Mld = 6, Pass, "mld", "IPv6 multicast listener discovery, always passed";
    /// IGMP to a multicast group with TTL 1.
    Igmp = 7, Pass, "igmp", "IPv4 multicast membership, always passed";
    /// DHCPv4 server to client.
    Dhcpv4 = 8, Pass, "dhcpv4", "answers of a DHCP server, passed but for a flood of them";
    /// DHCPv6 server to client.
    Dhcpv6 = 9, Pass, "dhcpv6", "answers of a DHCPv6 server, always passed";
    /// LACP and other slow protocols.
    SlowProtocol = 10, Pass, "slow-protocol", "link aggregation (LACP), always passed";
    /// LLDP.
    Lldp = 11, Pass, "lldp", "link layer discovery, always passed";
    /// EAPOL.
    Eapol = 12, Pass, "eapol", "port authentication (802.1X), always passed";
    /// The frame ends before the headers it announces.
    Truncated = 13, Drop, "truncated", "the frame ends before its headers do";
    /// Neither IP nor a protocol that a link needs.
    NotIp = 14, Drop, "not-ip", "not IPv4, IPv6 or a protocol that the link needs";
    /// More than two VLAN tags.
    TooManyTags = 15, Drop, "too-many-tags", "more than two VLAN tags";
    /// IPv4 header with a wrong version or length field.
    BadIpv4Header = 16, Drop, "bad-ipv4-header", "malformed IPv4 header";
    /// IPv6 header with a wrong version.
    BadIpv6Header = 17, Drop, "bad-ipv6-header", "malformed IPv6 header";
    /// A length field that says more than the frame holds.
    BadLength = 18, Drop, "bad-length", "a length field contradicts the frame";
    /// IPv4 loose or strict source route.
    SourceRoute = 19, Drop, "source-route", "IPv4 source routing";
    /// IPv6 routing header of type 0.
    RoutingHeader0 = 20, Drop, "routing-header-0", "IPv6 routing header type 0 (RFC 5095)";
    /// Extension headers in a forbidden order.
    BadExtensionChain = 21, Drop, "bad-extension-chain", "IPv6 extension headers out of order, or longer than any host sends";
    /// A first fragment without the whole transport header.
    TinyFragment = 22, Drop, "tiny-fragment", "first fragment without its transport header";
    /// A later fragment of a datagram whose first fragment was not accepted.
    Fragment = 23, Drop, "fragment", "fragment of a datagram that was not accepted";
    /// A later fragment of an accepted datagram.
    FragmentRest = 24, Pass, "fragment-rest", "rest of an accepted fragmented datagram";
    /// TCP header with a wrong length.
    BadTcpHeader = 25, Drop, "bad-tcp-header", "malformed TCP header";
    /// TCP without any flag (nmap -sN).
    TcpNull = 26, Drop, "tcp-null", "TCP segment without flags (null scan)";
    /// TCP with FIN, PSH and URG (nmap -sX).
    TcpXmas = 27, Drop, "tcp-xmas", "TCP FIN+PSH+URG without ACK (xmas scan)";
    /// TCP with SYN and FIN.
    TcpSynFin = 28, Drop, "tcp-syn-fin", "TCP SYN together with FIN";
    /// TCP with SYN and RST.
    TcpSynRst = 29, Drop, "tcp-syn-rst", "TCP SYN together with RST";
    /// TCP FIN without ACK (nmap -sF).
    TcpBareFin = 30, Drop, "tcp-bare-fin", "TCP FIN without ACK (fin scan)";
    /// TCP with neither SYN, ACK nor RST.
    TcpNoAck = 31, Drop, "tcp-no-ack", "TCP segment that is neither SYN, ACK nor RST";
    /// UDP length that contradicts the packet.
    BadUdpLength = 32, Drop, "bad-udp-length", "UDP length contradicts the packet";
    /// A source address that cannot be one.
    MartianSource = 33, Drop, "martian-source", "a source address that no host can have";
    /// The source is an address of this host.
    OwnSource = 34, Drop, "own-source", "the source is an address of this host";
    /// An IPv4-mapped address inside an IPv6 header.
    MappedAddress = 35, Drop, "mapped-address", "IPv4-mapped address in an IPv6 header";
    /// Neighbour discovery that did not come from the link.
    NdpOffLink = 36, Drop, "ndp-off-link", "neighbour discovery with a hop limit below 255, fragmented or behind extension headers";
    /// ICMP or ICMPv6 redirect.
    IcmpRedirect = 37, Drop, "icmp-redirect", "ICMP redirect";
    /// An answer to something that this host or a container started.
    Reply = 38, Pass, "reply", "an answer to what this host or one of its containers started";
    /// A segment of a TCP session of this host that no rule opens any more.
    LiveSession = 39, Pass, "live-session", "a TCP session that was open before";
    /// An ICMP error about a packet of ours.
    IcmpRelated = 40, Pass, "icmp-related", "an ICMP error about a packet of this host";
    /// An ICMP error about a packet that is not ours.
    IcmpUnrelated = 41, Drop, "icmp-unrelated", "an ICMP error about a packet that this host did not send";
    /// The source is banned.
    Banned = 42, Drop, "banned", "the source is banned; `guardctl bans list` says why, `guardctl unban …` lifts it";
    /// A new connection of a source that has opened as many as the rule lets it.
    Limited = 43, Drop, "limited", "the source opens more connections than the rule's limit lets it";
    /// A SYN that was answered with a cookie, because the listener's queue is full.
    SynCookie = 44, Answer, "syn-cookie", "a SYN answered with a cookie: the listener's queue is full";
    /// A SYN, or an answer of DHCP, above the ceiling of its port.
    Ceiling = 45, Drop, "ceiling", "more new connections than the port's ceiling (`[limits] ceiling` raises it), or a flood of DHCP answers";
    /// More extension headers than guard steps over.
    TooManyExtensions = 46, Drop, "too-many-extensions", "more than four IPv6 extension headers";
    /// A bridge protocol data unit of the spanning tree.
    SpanningTree = 47, Pass, "spanning-tree", "spanning tree of bridges (STP), always passed";
    /// A later fragment that came before the first one, of a peer that this host has sent to.
    FragmentEarly = 48, Pass, "fragment-early", "a fragment ahead of its first one, from a peer that this host has sent to";
    /// A first or early fragment above the ceiling of fragments.
    FragmentCeiling = 49, Drop, "fragment-ceiling", "more unasked fragments than the kernel has memory to put together";
    /// An ICMP error above the ceiling of errors, or an echo request above that of pings.
    IcmpCeiling = 50, Drop, "icmp-ceiling", "a flood of ICMP errors or of pings";
    /// An answer of DHCP to a question that this host has not asked, and not for one of its addresses.
    DhcpUnasked = 51, Drop, "dhcp-unasked", "an answer of DHCP that this host did not ask for, to another address";
    /// A segment of TCP to an open port that is part of no session.
    OutOfState = 52, Drop, "out-of-state", "a TCP segment to an open port that is part of no session of this host (`[limits] out-of-state`)";
    /// A datagram to an open port, of a source that this host has not answered, or far less than it sends, in a flood.
    UdpCeiling = 53, Drop, "udp-ceiling", "a flood of UDP: the source is not answered, or far less than it sends, nor has it repeated itself (`[limits] udp`)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_positions_and_labels_are_unique() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            let same = Reason::ALL
                .iter()
                .filter(|other| other.label() == reason.label())
                .count();
            assert_eq!(same, 1, "{}", reason.label());
            assert!(!reason.hint().is_empty());
        }
    }
}
