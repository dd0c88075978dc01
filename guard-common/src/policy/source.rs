//! Sources that no sender can have. There is no list of bogons: private and documentation ranges
//! are legitimate behind cloud gateways.

use super::essential::{DHCP_CLIENT, DHCP_SERVER};
use crate::{
    abi::{reason::Reason, service::protocol},
    packet::{Packet, Transport},
};

const NEIGHBOUR_SOLICITATION: u8 = 135;

/// The reason to drop a packet for its source. `essential` is what the packet would pass as: DHCP
/// (both ways) and IGMP may come from 0.0.0.0, MLD and neighbour solicitations from `::`.
#[inline(always)]
pub(super) fn martian(packet: &Packet, essential: Option<Reason>) -> Option<Reason> {
    let is_martian = if packet.is_v4() {
        match packet.source().v4() >> 24 {
            0 => {
                !(matches!(essential, Some(Reason::Dhcpv4 | Reason::Igmp))
                    || is_dhcp_request(packet))
            }
            127 | 224..=255 => true,
            _ => false,
        }
    } else if packet.source().hi() >> 56 == 0xff {
        true
    } else if packet.source().hi() == 0 {
        match packet.source().lo() {
            0 => !(is_solicitation(packet) || matches!(essential, Some(Reason::Mld))),
            1 => true,
            _ => false,
        }
    } else {
        false
    };
    if is_martian {
        Some(Reason::MartianSource)
    } else {
        None
    }
}

/// Whoever has no address yet asks a server for one from 0.0.0.0 (RFC 2131, 4.1); whether it may, rules say.
#[inline(always)]
fn is_dhcp_request(packet: &Packet) -> bool {
    packet.source().v4() == 0
        && packet.destination().v4() == u32::MAX
        && matches!(
            packet.transport(),
            Transport::Udp {
                source_port: DHCP_CLIENT,
                destination_port: DHCP_SERVER,
            }
        )
}

/// Duplicate address detection asks from `::`.
#[inline(always)]
fn is_solicitation(packet: &Packet) -> bool {
    packet.protocol() == protocol::ICMPV6
        && matches!(
            packet.transport(),
            Transport::Icmpv6 {
                kind: NEIGHBOUR_SOLICITATION,
                ..
            }
        )
}
