//! IPv4: header, options, fragments.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Fragment, Packet, PacketReader, ParseError, places, transport};
use crate::abi::addr::Addr;

#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
/// The fixed part of the header.
pub(super) struct Header {
    pub(super) version_ihl: u8,
    pub(super) service: u8,
    pub(super) total_len: [u8; 2],
    pub(super) id: [u8; 2],
    pub(super) fragment: [u8; 2],
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) checksum: [u8; 2],
    pub(super) source: [u8; 4],
    pub(super) destination: [u8; 4],
}

const HEADER_LEN: usize = 20;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

const OFFSET_MASK: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;

const OPTION_LOOSE_ROUTE: u8 = 131;
const OPTION_STRICT_ROUTE: u8 = 137;
/// Fifteen words.
const MAX_HEADER_LEN: usize = 60;

#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(reader: &R, at: usize) -> Result<Packet, ParseError> {
    let header: Header = reader.read(at).ok_or(ParseError::Truncated)?;
    if header.version_ihl >> 4 != 4 {
        return Err(ParseError::BadIpv4Header);
    }
    let header_len = usize::from(header.version_ihl & 0x0f) * 4;
    if header_len < HEADER_LEN {
        return Err(ParseError::BadIpv4Header);
    }
    let total_len = usize::from(u16::from_be_bytes(header.total_len));
    if total_len < header_len || at + total_len > reader.len() {
        return Err(ParseError::BadLength);
    }
    if header_len > HEADER_LEN {
        check_options(reader, at, header_len)?;
    }

    let field = u16::from_be_bytes(header.fragment);
    let id = u32::from(u16::from_be_bytes(header.id));
    let fragment = if field & OFFSET_MASK != 0 {
        Fragment::Later(id)
    } else if field & MORE_FRAGMENTS != 0 {
        Fragment::First(id)
    } else {
        Fragment::Whole
    };
    let transport = transport::parse(
        reader,
        header.protocol,
        at + header_len,
        at + total_len,
        fragment,
    )?;
    Ok(Packet {
        source: Addr::from_v4(u32::from_be_bytes(header.source)),
        destination: Addr::from_v4(u32::from_be_bytes(header.destination)),
        header: super::Header {
            hop_limit: header.ttl,
            protocol: header.protocol,
            extended: false,
            router_alert: false,
        }
        .to_word(),
        fragment: fragment.to_word(),
        transport,
        places: places(at, at + header_len, at + total_len),
    })
}

/// Refuses source routes. Any option byte with the value of such an option counts: a timestamp that
/// happens to hold it is dropped too, and the walk stays short enough for the verifier.
#[inline(always)]
fn check_options<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    header_len: usize,
) -> Result<(), ParseError> {
    for word in HEADER_LEN / 4..MAX_HEADER_LEN / 4 {
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
