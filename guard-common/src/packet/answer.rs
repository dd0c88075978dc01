//! What would arrive in answer to a packet: to the one that an ICMP error quotes the beginning of, and to one
//! that leaves.

use super::{
    EXTENSION_LEN, Extension, Fragment, ICMP_LEN, IPV4_LEN, IPV4_OFFSET, IPV6_LEN, Ipv4, Ipv6,
    Packet, PacketReader, TcpFlags, Transport, read_within,
};
use crate::abi::service::protocol;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Every error quotes at least eight bytes of the transport header.
type Head = [u8; 8];

/// Turns the packet that an ICMP error quotes round: `answer` becomes what would arrive in answer to it, with
/// our end as its destination. `false` when the quotation is cut short, a later fragment, of another family
/// or itself about an error.
#[inline(always)]
pub fn quoted<R: PacketReader + ?Sized>(reader: &R, error: &Packet, answer: &Packet) -> bool {
    let end = error.end() as usize;
    let at = error.transport_at() as usize + ICMP_LEN;
    answer.set_fragment(Fragment::Whole);
    answer.set_places(at, at, end);
    // Older verifiers do not learn from a comparison of `at` what it says of `at + 8`: read again, what is
    // compared is what is read at.
    R::forget_words();
    let head = if error.is_v4() {
        quoted_v4(reader, answer)
    } else {
        quoted_v6(reader, answer)
    };
    match head {
        Some(head) => turn(answer, head),
        None => false,
    }
}

#[inline(always)]
fn quoted_v4<R: PacketReader + ?Sized>(reader: &R, answer: &Packet) -> Option<Head> {
    let (at, end) = (answer.network_at() as usize, answer.end() as usize);
    let header: Ipv4 = read_within(reader, at, end)?;
    if header.version_ihl >> 4 != 4
        || header.header_len() < IPV4_LEN
        || header.fragment_field() & IPV4_OFFSET != 0
    {
        return None;
    }
    answer.set_addresses(header.destination(), header.source());
    answer.set_header(0, header.protocol, false);
    answer.set_transport_at(at + header.header_len());
    head(reader, answer)
}

#[inline(always)]
fn quoted_v6<R: PacketReader + ?Sized>(reader: &R, answer: &Packet) -> Option<Head> {
    let (at, end) = (answer.network_at() as usize, answer.end() as usize);
    let header: Ipv6 = read_within(reader, at, end)?;
    if header.version_class_flow[0] >> 4 != 6 {
        return None;
    }
    let remote = header.destination();
    if remote.is_v4() {
        // On no wire; it would be taken for a conversation of the other family.
        return None;
    }
    answer.set_addresses(remote, header.source());
    answer.set_header(0, header.next_header, false);
    answer.set_transport_at(at + IPV6_LEN);
    if header.next_header == protocol::FRAGMENT {
        R::forget_words();
        let at = answer.transport_at() as usize;
        let fragment: Extension = read_within(reader, at, end)?;
        if u16::from_be_bytes([fragment.body[0], fragment.body[1]]) >> 3 != 0 {
            return None;
        }
        answer.set_protocol(fragment.next_header);
        answer.set_transport_at(at + EXTENSION_LEN);
    }
    head(reader, answer)
}

#[inline(always)]
fn head<R: PacketReader + ?Sized>(reader: &R, answer: &Packet) -> Option<Head> {
    R::forget_words();
    read_within(
        reader,
        answer.transport_at() as usize,
        answer.end() as usize,
    )
}

/// What answers a packet whose transport header begins like this.
#[inline(always)]
fn turn(answer: &Packet, head: Head) -> bool {
    let our_port = u16::from_be_bytes([head[0], head[1]]);
    let their_port = u16::from_be_bytes([head[2], head[3]]);
    // Behind type, code and checksum.
    let id = u16::from_be_bytes([head[4], head[5]]);
    answer.set_transport(match answer.protocol() {
        protocol::TCP => Transport::Tcp {
            source_port: their_port,
            destination_port: our_port,
            flags: TcpFlags(TcpFlags::ACK),
        },
        protocol::UDP => Transport::Udp {
            source_port: their_port,
            destination_port: our_port,
        },
        protocol::ICMP if head[0] == ECHO_REQUEST => Transport::Icmp {
            kind: ECHO_REPLY,
            id,
        },
        protocol::ICMPV6 if head[0] == ECHO_REQUEST_V6 => Transport::Icmpv6 {
            kind: ECHO_REPLY_V6,
            id,
        },
        // An error about an error is never sent.
        protocol::ICMP | protocol::ICMPV6 => return false,
        _ => Transport::Other,
    });
    true
}

/// Turns a packet that leaves round: `answer` becomes what would arrive in answer to it.
#[inline(always)]
pub fn answered(packet: &Packet, answer: &Packet) {
    answer.set_addresses(packet.destination(), packet.source());
    answer.set_header(0, packet.protocol(), false);
    answer.set_fragment(Fragment::Whole);
    answer.set_transport(match packet.transport() {
        Transport::Tcp {
            source_port,
            destination_port,
            ..
        } => Transport::Tcp {
            source_port: destination_port,
            destination_port: source_port,
            flags: TcpFlags(TcpFlags::ACK),
        },
        Transport::Udp {
            source_port,
            destination_port,
        } => Transport::Udp {
            source_port: destination_port,
            destination_port: source_port,
        },
        Transport::Icmp { id, .. } => Transport::Icmp {
            kind: ECHO_REPLY,
            id,
        },
        Transport::Icmpv6 { id, .. } => Transport::Icmpv6 {
            kind: ECHO_REPLY_V6,
            id,
        },
        Transport::Other => Transport::Other,
        Transport::None => Transport::None,
    });
}
