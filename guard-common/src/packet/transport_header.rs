//! Reading the header of TCP, UDP or ICMP.

use super::{
    Fragment, Icmp, Packet, PacketReader, ParseError, TCP_LEN, Tcp, TcpFlags, Transport, UDP_LEN,
    Udp, read_within,
};
use crate::abi::service::protocol;

/// Reads the transport header of a packet whose IP headers were read.
#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(
    reader: &R,
    packet: &Packet,
) -> Result<(), ParseError> {
    let (at, end) = (packet.transport_at() as usize, packet.end() as usize);
    let too_short = match packet.fragment() {
        Fragment::Later(_) => {
            packet.set_transport(Transport::None);
            return Ok(());
        }
        Fragment::First(_) => ParseError::TinyFragment,
        Fragment::Whole => ParseError::Truncated,
    };
    packet.set_transport(match packet.protocol() {
        protocol::TCP => {
            let header: Tcp = read_within(reader, at, end).ok_or(too_short)?;
            let header_len = header.header_len();
            if header_len < TCP_LEN {
                return Err(ParseError::BadTcpHeader);
            }
            if at + header_len > end {
                return Err(if packet.is_whole() {
                    ParseError::BadTcpHeader
                } else {
                    ParseError::TinyFragment
                });
            }
            if at + header_len < end {
                packet.set_payload();
            }
            Transport::Tcp {
                source_port: u16::from_be_bytes(header.source_port),
                destination_port: u16::from_be_bytes(header.destination_port),
                flags: TcpFlags(header.flags),
            }
        }
        protocol::UDP => {
            let header: Udp = read_within(reader, at, end).ok_or(too_short)?;
            let len = usize::from(u16::from_be_bytes(header.len));
            if len < UDP_LEN || packet.is_whole() && at + len > end {
                return Err(ParseError::BadUdpLength);
            }
            Transport::Udp {
                source_port: u16::from_be_bytes(header.source_port),
                destination_port: u16::from_be_bytes(header.destination_port),
            }
        }
        protocol::ICMP => {
            let header: Icmp = read_within(reader, at, end).ok_or(too_short)?;
            Transport::Icmp {
                kind: header.kind,
                id: u16::from_be_bytes(header.id),
            }
        }
        protocol::ICMPV6 => {
            let header: Icmp = read_within(reader, at, end).ok_or(too_short)?;
            Transport::Icmpv6 {
                kind: header.kind,
                id: u16::from_be_bytes(header.id),
            }
        }
        // An extension header claimed more than the packet has.
        _ if at > end => return Err(too_short),
        _ => Transport::Other,
    });
    Ok(())
}
