//! Traffic without which a host falls off its network, and look-alikes of it that must not pass
//! under its name. ARP, LACP, LLDP and EAPOL are known by their EtherType alone.

use crate::{
    abi::{reason::Reason, service::protocol},
    packet::{Packet, Transport},
};

/// Hop limit that proves a sender on the link: every router lowers it (RFC 4861, 7.1).
const ON_LINK: u8 = 255;

/// Ports of DHCP for IPv4 (RFC 2131, 4.1).
pub(super) const DHCP_SERVER: u16 = 67;
pub(super) const DHCP_CLIENT: u16 = 68;
/// Ports of DHCP for IPv6 (RFC 8415, 7.2).
pub(super) const DHCPV6_SERVER: u16 = 547;
pub(super) const DHCPV6_CLIENT: u16 = 546;

const REDIRECT_V4: u8 = 5;
const REDIRECT_V6: u8 = 137;
const MULTICAST_V4: u32 = 0xe;

/// `Some` for essential traffic (to pass) and for forgeries of it (to drop); the reason knows which.
#[inline(always)]
pub(super) fn classify(packet: &Packet) -> Option<Reason> {
    match packet.transport() {
        Transport::Tcp { .. } | Transport::None => None,
        Transport::Udp {
            source_port: DHCP_SERVER,
            destination_port: DHCP_CLIENT,
        } if packet.is_v4() => Some(Reason::Dhcpv4),
        Transport::Udp {
            source_port: DHCPV6_SERVER,
            destination_port: DHCPV6_CLIENT,
        } if packet.source().is_link_local_v6() || packet.destination().is_link_local_v6() => {
            Some(Reason::Dhcpv6)
        }
        Transport::Udp { .. } => None,
        Transport::Icmp {
            kind: REDIRECT_V4, ..
        } => Some(Reason::IcmpRedirect),
        Transport::Icmp { .. } => None,
        // In an IPv4 packet it is a number like any other.
        Transport::Icmpv6 { .. } if packet.is_v4() => None,
        Transport::Icmpv6 { kind, .. } => icmpv6(packet, kind),
        Transport::Other => igmp(packet),
    }
}

#[inline(always)]
fn icmpv6(packet: &Packet, kind: u8) -> Option<Reason> {
    match kind {
        133..=136 => {
            // RFC 6980: neighbour discovery is never fragmented.
            let from_link =
                packet.hop_limit() == ON_LINK && packet.is_whole() && !packet.is_extended();
            Some(if from_link {
                Reason::Ndp
            } else {
                Reason::NdpOffLink
            })
        }
        REDIRECT_V6 => Some(Reason::IcmpRedirect),
        // RFC 3810, 5: link-local source (or none yet), hop limit 1, router alert.
        130..=132 | 143 => {
            let from_link = packet.has_router_alert()
                && packet.hop_limit() == 1
                && packet.is_whole()
                && (packet.source().is_link_local_v6() || packet.source().is_unspecified_v6());
            if from_link { Some(Reason::Mld) } else { None }
        }
        _ => None,
    }
}

/// IGMP goes to a group and one hop far (RFC 3376, 4).
#[inline(always)]
fn igmp(packet: &Packet) -> Option<Reason> {
    let is_report = packet.protocol() == protocol::IGMP
        && packet.is_v4()
        && packet.hop_limit() == 1
        && packet.is_whole()
        && packet.destination().v4() >> 28 == MULTICAST_V4;
    if is_report { Some(Reason::Igmp) } else { None }
}
