//! IPv6: header and a bounded chain of extension headers.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Fragment, MAX_OFFSET, Packet, PacketReader, ParseError, places, read_within, transport,
};
use crate::abi::{addr::Addr, service::protocol};

#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
/// The fixed part of the header.
pub(super) struct Header {
    pub(super) version_class_flow: [u8; 4],
    pub(super) payload_len: [u8; 2],
    pub(super) next_header: u8,
    pub(super) hop_limit: u8,
    pub(super) source_hi: [u8; 8],
    pub(super) source_lo: [u8; 8],
    pub(super) destination_hi: [u8; 8],
    pub(super) destination_lo: [u8; 8],
}

const HEADER_LEN: usize = 40;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// The first eight bytes of every extension header that guard walks over.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct Extension {
    next_header: u8,
    len: u8,
    body: [u8; 6],
}

/// Extension headers that guard walks over behind hop-by-hop options; RFC 8200 knows no use for more
/// than six.
pub(super) const MAX_EXTENSION_HEADERS: usize = 8;

const ROUTER_ALERT: [u8; 2] = [5, 2];
const PAD_TWO: [u8; 2] = [1, 0];

/// What the chain says about the packet.
struct Chain {
    protocol: u8,
    at: usize,
    fragment: FragmentField,
    router_alert: bool,
}

/// The fragment header, if there was one: its offset and flags, its identification.
#[derive(Clone, Copy)]
struct FragmentField(u64);

impl FragmentField {
    const NONE: Self = Self(0);
    const SEEN: u64 = 1 << 63;
    const OFFSET: u64 = 0xfff8;
    const MORE: u64 = 1;

    #[inline(always)]
    fn new(body: [u8; 6]) -> Self {
        let field = u64::from(u16::from_be_bytes([body[0], body[1]]));
        let id = u64::from(u32::from_be_bytes([body[2], body[3], body[4], body[5]]));
        Self(Self::SEEN | id << 16 | field)
    }

    #[inline(always)]
    fn is_seen(self) -> bool {
        self.0 & Self::SEEN != 0
    }

    #[inline(always)]
    fn is_later(self) -> bool {
        self.0 & Self::OFFSET != 0
    }

    #[inline(always)]
    fn fragment(self) -> Fragment {
        let id = (self.0 >> 16) as u32;
        if self.is_later() {
            Fragment::Later(id)
        } else if self.0 & Self::MORE != 0 {
            Fragment::First(id)
        } else {
            Fragment::Whole
        }
    }
}

#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(reader: &R, at: usize) -> Result<Packet, ParseError> {
    let header: Header = reader.read(at).ok_or(ParseError::Truncated)?;
    if header.version_class_flow[0] >> 4 != 6 {
        return Err(ParseError::BadIpv6Header);
    }
    let end = at + HEADER_LEN + usize::from(u16::from_be_bytes(header.payload_len));
    // A jumbogram (length 0 behind hop-by-hop options) fails here or at the first extension.
    if end > reader.len() {
        return Err(ParseError::BadLength);
    }
    let source = Addr::from_v6(header.source_hi, header.source_lo);
    let destination = Addr::from_v6(header.destination_hi, header.destination_lo);
    if source.is_v4() || destination.is_v4() {
        return Err(ParseError::MappedAddress);
    }

    let start = at + HEADER_LEN;
    let chain = walk(reader, header.next_header, start, end)?;
    let fragment = chain.fragment.fragment();
    let transport = transport::parse(reader, chain.protocol, chain.at, end, fragment)?;
    Ok(Packet {
        source,
        destination,
        header: super::Header {
            hop_limit: header.hop_limit,
            protocol: chain.protocol,
            extended: chain.at != start,
            router_alert: chain.router_alert,
        }
        .to_word(),
        fragment: fragment.to_word(),
        transport,
        places: places(at, chain.at, end),
    })
}

/// Follows the chain to the transport header. ESP, no-next-header and unknown headers end it: they
/// are protocols, and nothing behind them is looked at.
#[inline(always)]
fn walk<R: PacketReader + ?Sized>(
    reader: &R,
    first: u8,
    at: usize,
    end: usize,
) -> Result<Chain, ParseError> {
    let mut chain = Chain {
        protocol: first,
        at,
        fragment: FragmentField::NONE,
        router_alert: false,
    };
    // Hop-by-hop options stand first or nowhere (RFC 8200, 4.1).
    if chain.protocol == protocol::HOP_BY_HOP {
        let extension: Extension = read_within(reader, at, end).ok_or(ParseError::Truncated)?;
        let body = extension.body;
        chain.router_alert = extension.len == 0
            && ([body[0], body[1]] == ROUTER_ALERT
                || [body[0], body[1]] == PAD_TWO && [body[2], body[3]] == ROUTER_ALERT);
        chain.protocol = extension.next_header;
        chain.at += (usize::from(extension.len) + 1) * 8;
    }
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(chain.protocol) {
            return Ok(chain);
        }
        step(reader, &mut chain, end)?;
        if chain.fragment.is_later() {
            return Ok(chain);
        }
    }
    if is_extension(chain.protocol) {
        return Err(ParseError::BadExtensionChain);
    }
    Ok(chain)
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
fn step<R: PacketReader + ?Sized>(
    reader: &R,
    chain: &mut Chain,
    end: usize,
) -> Result<(), ParseError> {
    let Some(extension) = read_within::<R, Extension>(reader, chain.at, end) else {
        // RFC 7112: the first fragment holds the whole chain.
        return Err(if chain.fragment.is_seen() {
            ParseError::TinyFragment
        } else {
            ParseError::Truncated
        });
    };
    let len = usize::from(extension.len);
    let len = match chain.protocol {
        protocol::HOP_BY_HOP => return Err(ParseError::BadExtensionChain),
        protocol::FRAGMENT => {
            if chain.fragment.is_seen() {
                return Err(ParseError::BadExtensionChain);
            }
            chain.fragment = FragmentField::new(extension.body);
            size_of::<Extension>()
        }
        protocol::AUTHENTICATION => (len + 2) * 4,
        protocol::ROUTING if extension.body[0] == 0 => return Err(ParseError::RoutingHeader0),
        _ => (len + 1) * 8,
    };
    chain.protocol = extension.next_header;
    chain.at = R::forget((chain.at + len) as u64) as usize;
    chain.fragment = FragmentField(R::forget(chain.fragment.0));
    if chain.at > MAX_OFFSET {
        return Err(ParseError::BadExtensionChain);
    }
    Ok(())
}
