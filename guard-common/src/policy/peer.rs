//! Whom this host has dealt with ([`crate::abi::peers`]): only what leaves it makes a mark.

use super::{
    Searches,
    essential::{DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, DHCPV6_SERVER},
};
use crate::{
    abi::peers::Peer,
    packet::{Packet, PacketReader, Transport, UDP_LEN},
};

/// Is this one marked?
#[inline(always)]
pub(super) fn is_marked<T: Searches>(tables: &T, peer: Peer) -> bool {
    let mark = peer.mark(|index| tables.flow_key(index));
    mark.is_in(tables.ceiling(mark.at), tables.ticks())
}

/// Marks it, unless that was done lately.
#[inline(always)]
pub(super) fn mark<T: Searches>(tables: &T, peer: Peer) {
    let mark = peer.mark(|index| tables.flow_key(index));
    let now = tables.ticks();
    if mark.is_due(tables.ceiling(mark.at), now) {
        tables.set_ceiling(mark.at, mark.word(now));
    }
}

/// The transaction that a message of DHCP in the UDP datagram at `at` belongs to.
#[inline(always)]
pub(super) fn transaction<R>(reader: &R, at: usize, is_v4: bool) -> Option<Peer>
where
    R: PacketReader + ?Sized,
{
    // Behind operation, hardware type, length of the address and hops.
    const ID_AT: usize = 4;
    if is_v4 {
        let id: [u8; 4] = reader.read(at + UDP_LEN + ID_AT)?;
        Some(Peer::Transaction(u32::from_be_bytes(id)))
    } else {
        // Type (8 bits), number (24).
        let [_, a, b, c]: [u8; 4] = reader.read(at + UDP_LEN)?;
        Some(Peer::TransactionV6(u32::from_be_bytes([0, a, b, c])))
    }
}

/// Takes note of a question of DHCP on its way out.
#[inline(always)]
pub fn note_question<R, T>(reader: &R, tables: &T, packet: &Packet)
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let Transport::Udp {
        source_port,
        destination_port,
    } = packet.transport()
    else {
        return;
    };
    let is_v4 = packet.is_v4();
    let ports = if is_v4 {
        (DHCP_CLIENT, DHCP_SERVER)
    } else {
        (DHCPV6_CLIENT, DHCPV6_SERVER)
    };
    if (source_port, destination_port) != ports {
        return;
    }
    if let Some(transaction) = transaction(reader, packet.transport_at() as usize, is_v4) {
        mark(tables, transaction);
    }
}
