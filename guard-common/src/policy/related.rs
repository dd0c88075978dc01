//! ICMP errors: believed only when they are about a packet that this host can have sent, that is, of
//! a flow of ours, an answer of a service that a rule opens to that peer, or a TCP socket of ours.
//! Without them path MTU discovery fails and large transfers stall; all of them let in, anybody could
//! slow or end our sessions.

use crate::packet::{Packet, Transport};

/// Is this an ICMP error? Unreachable (with fragmentation needed), time exceeded and parameter
/// problem; for IPv6 packet too big as well. Source quench is obsolete (RFC 6633).
#[inline(always)]
pub(super) fn is_error(packet: &Packet) -> bool {
    match packet.transport() {
        Transport::Icmp { kind, .. } => {
            packet.is_v4() && matches!(kind, 3 | 11 | 12) && packet.is_whole()
        }
        Transport::Icmpv6 { kind, .. } => {
            !packet.is_v4() && matches!(kind, 1..=4) && packet.is_whole()
        }
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Other | Transport::None => false,
    }
}
