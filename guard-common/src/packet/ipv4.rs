//! IPv4: header, options, fragments.

use super::{
    Fragment, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET, Ipv4, Packet, PacketReader, ParseError,
    transport,
};
use crate::abi::addr::Addr;

const OPTION_LOOSE_ROUTE: u8 = 131;
const OPTION_STRICT_ROUTE: u8 = 137;
/// Fifteen words.
const MAX_HEADER_LEN: usize = 60;

#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    packet: &Packet,
) -> Result<(), ParseError> {
    let header: Ipv4 = reader.read(at).ok_or(ParseError::Truncated)?;
    if header.version_ihl >> 4 != 4 {
        return Err(ParseError::BadIpv4Header);
    }
    let header_len = header.header_len();
    if header_len < IPV4_LEN {
        return Err(ParseError::BadIpv4Header);
    }
    let total_len = usize::from(u16::from_be_bytes(header.total_len));
    if total_len < header_len || at + total_len > reader.len() {
        return Err(ParseError::BadLength);
    }
    if header_len > IPV4_LEN {
        check_options(reader, at, header_len)?;
    }
    let field = header.fragment_field();
    let id = u32::from(u16::from_be_bytes(header.id));
    packet.set_fragment(if field & IPV4_OFFSET != 0 {
        Fragment::Later(id)
    } else if field & IPV4_MORE_FRAGMENTS != 0 {
        Fragment::First(id)
    } else {
        Fragment::Whole
    });
    packet.set_addresses(
        Addr::from_v4(u32::from_be_bytes(header.source)),
        Addr::from_v4(u32::from_be_bytes(header.destination)),
    );
    packet.set_header(header.ttl, header.protocol, false);
    packet.set_places(at, at + header_len, at + total_len);
    transport::parse(reader, packet)
}

/// Refuses source routes. Any option byte with the value of such an option counts: a timestamp that
/// happens to hold it is dropped too, and the walk stays short enough for the verifier.
#[inline(always)]
fn check_options<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    header_len: usize,
) -> Result<(), ParseError> {
    for word in IPV4_LEN / 4..MAX_HEADER_LEN / 4 {
        if word * 4 >= header_len {
            break;
        }
        let options: [u8; 4] = reader.read(at + word * 4).ok_or(ParseError::Truncated)?;
        for byte in options {
            if byte == OPTION_LOOSE_ROUTE || byte == OPTION_STRICT_ROUTE {
                return Err(ParseError::SourceRoute);
            }
        }
    }
    Ok(())
}
