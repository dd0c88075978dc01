//! IPv6: header and a bounded chain of extension headers.

use super::{
    EXTENSION_LEN, Extension, Fragment, IPV6_LEN, Ipv6, MAX_OFFSET, Packet, PacketReader,
    ParseError, read_within, transport_header,
};
use crate::abi::service::protocol;

/// Extension headers that guard steps over, hop-by-hop options included. Nobody sends more than two or three, and
/// each costs a packet as much as the rest of a fast path.
pub(super) const MAX_EXTENSION_HEADERS: usize = 4;

const ROUTER_ALERT: [u8; 2] = [5, 2];
const PAD_TWO: [u8; 2] = [1, 0];

/// Bits of a fragment header's offset in its field of offset and flags.
const OFFSET: u16 = 0xfff8;
const MORE_FRAGMENTS: u16 = 1;

#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    packet: &Packet,
) -> Result<(), ParseError> {
    let header: Ipv6 = reader.read(at).ok_or(ParseError::Truncated)?;
    if header.version_class_flow[0] >> 4 != 6 {
        return Err(ParseError::BadIpv6Header);
    }
    let start = at + IPV6_LEN;
    let end = start + usize::from(u16::from_be_bytes(header.payload_len));
    // A jumbogram (length 0 behind hop-by-hop options) fails here or at the first extension.
    if end > reader.len() {
        return Err(ParseError::BadLength);
    }
    let (source, destination) = (header.source(), header.destination());
    if source.is_v4() || destination.is_v4() {
        return Err(ParseError::MappedAddress);
    }
    packet.set_addresses(source, destination);
    packet.set_fragment(Fragment::Whole);
    packet.set_header(header.hop_limit, header.next_header, false);
    packet.set_places(at, start, end);
    walk(reader, packet)?;
    transport_header::parse(reader, packet)
}

/// Follows the chain to the transport header. ESP, no-next-header and unknown headers end it: they
/// are protocols, and nothing behind them is looked at.
#[inline(always)]
fn walk<R: PacketReader + ?Sized>(reader: &R, packet: &Packet) -> Result<(), ParseError> {
    // Hop-by-hop options stand first or nowhere (RFC 8200, 4.1).
    if packet.protocol() == protocol::HOP_BY_HOP {
        let at = packet.transport_at() as usize;
        let extension: Extension =
            read_within(reader, at, packet.end() as usize).ok_or(ParseError::Truncated)?;
        let body = extension.body;
        let has_router_alert = extension.len == 0
            && ([body[0], body[1]] == ROUTER_ALERT
                || [body[0], body[1]] == PAD_TWO && [body[2], body[3]] == ROUTER_ALERT);
        packet.set_header(packet.hop_limit(), extension.next_header, has_router_alert);
        packet.set_extended();
        packet.set_transport_at(at + (usize::from(extension.len) + 1) * 8);
        return follow::<R, { MAX_EXTENSION_HEADERS - 1 }>(reader, packet);
    }
    follow::<R, MAX_EXTENSION_HEADERS>(reader, packet)
}

/// Follows up to `MOST` headers.
#[inline(always)]
fn follow<R, const MOST: usize>(reader: &R, packet: &Packet) -> Result<(), ParseError>
where
    R: PacketReader + ?Sized,
{
    for _ in 0..MOST {
        // The turns look alike to the verifier, which then follows one of them.
        R::forget_words();
        if !is_extension(packet.protocol()) {
            return Ok(());
        }
        step(reader, packet)?;
        if let Fragment::Later(_) = packet.fragment() {
            return Ok(());
        }
    }
    if is_extension(packet.protocol()) {
        return Err(ParseError::TooManyExtensions);
    }
    Ok(())
}

#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
    )
}

/// Steps over one extension header.
#[inline(always)]
fn step<R: PacketReader + ?Sized>(reader: &R, packet: &Packet) -> Result<(), ParseError> {
    let at = packet.transport_at() as usize;
    let Some(extension) = read_within::<R, Extension>(reader, at, packet.end() as usize) else {
        // RFC 7112: the first fragment holds the whole chain.
        return Err(if packet.has_fragment_header() {
            ParseError::TinyFragment
        } else {
            ParseError::Truncated
        });
    };
    let len = usize::from(extension.len);
    let len = match packet.protocol() {
        protocol::HOP_BY_HOP => return Err(ParseError::BadExtensionChain),
        protocol::FRAGMENT => {
            if packet.has_fragment_header() {
                return Err(ParseError::BadExtensionChain);
            }
            packet.set_fragment(fragment(extension.body));
            packet.set_fragment_header();
            EXTENSION_LEN
        }
        protocol::AUTHENTICATION => (len + 2) * 4,
        protocol::ROUTING if extension.body[0] == 0 => return Err(ParseError::RoutingHeader0),
        _ => (len + 1) * 8,
    };
    packet.set_protocol(extension.next_header);
    packet.set_extended();
    if at + len > MAX_OFFSET {
        return Err(ParseError::BadExtensionChain);
    }
    packet.set_transport_at(at + len);
    Ok(())
}

/// What a fragment header says behind its first two bytes.
#[inline(always)]
fn fragment(body: [u8; 6]) -> Fragment {
    let field = u16::from_be_bytes([body[0], body[1]]);
    let id = u32::from_be_bytes([body[2], body[3], body[4], body[5]]);
    if field & OFFSET != 0 {
        Fragment::Later(id)
    } else if field & MORE_FRAGMENTS != 0 {
        Fragment::First(id)
    } else {
        Fragment::Whole
    }
}
