//! The short way of what floods are made of: an IPv4 packet without tags, options or fragments, TCP or
//! UDP, read in one piece. What is said here is what the whole way says (every packet test holds the
//! two against each other); where that would take more than a look into a table, nothing is said.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Judgement, Opening, Slot, Tables, ban,
    rules::{self, Stranger},
    tcp,
};
use crate::{
    abi::{
        addr::Addr,
        flow::{HAS_SESSIONS, flow_mark},
        image::{ANY_ALLOWS, DEFAULT_ALLOW},
        reason::{Reason, Verdict},
        service::{Service, protocol},
        switch::SlotState,
    },
    packet::{PacketReader, TcpFlags},
};

/// Ethernet, IPv4 without options, and what of TCP must be read.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct Headers {
    hardware: [u8; 12],
    ether_type: [u8; 2],
    version_ihl: u8,
    service: u8,
    total_len: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    source: [u8; 4],
    destination: [u8; 4],
    source_port: [u8; 2],
    destination_port: [u8; 2],
    /// Of UDP; of TCP half a sequence number.
    udp_len: [u8; 2],
    between: [u8; 6],
    data_offset: u8,
    flags: u8,
}

const ETHERNET_LEN: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const VERSION_IHL: u8 = 0x45;
const IPV4_LEN: usize = 20;
const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
/// More fragments, and the offset.
const FRAGMENT: u16 = 0x3fff;
const _: () = assert!(size_of::<Headers>() == ETHERNET_LEN + IPV4_LEN + 14);

/// What becomes of a frame, if that is told at once.
#[inline(always)]
pub(super) fn judge<R, T>(reader: &R, tables: &T, state: SlotState) -> Option<Judgement>
where
    R: PacketReader + ?Sized,
    T: Tables,
{
    let headers: Headers = reader.read(0)?;
    if headers.ether_type != IPV4
        || headers.version_ihl != VERSION_IHL
        || u16::from_be_bytes(headers.fragment) & FRAGMENT != 0
    {
        return None;
    }
    let total_len = usize::from(u16::from_be_bytes(headers.total_len));
    if ETHERNET_LEN + total_len > reader.len() {
        return None;
    }
    let source = Addr::from_v4(u32::from_be_bytes(headers.source));
    // Martians, or nearly.
    if !matches!(headers.source[0], 1..=126 | 128..=223) {
        return None;
    }
    let port = u16::from_be_bytes(headers.destination_port);
    let (service, opens, marks) = match headers.protocol {
        protocol::TCP => {
            let header_len = usize::from(headers.data_offset >> 4) * 4;
            let flags = TcpFlags(headers.flags);
            if header_len < TCP_LEN
                || IPV4_LEN + header_len > total_len
                || tcp::impossible(flags).is_some()
            {
                return None;
            }
            let marks = flow_mark(protocol::TCP) | HAS_SESSIONS;
            (Service::tcp(port), flags.opens(), marks)
        }
        protocol::UDP => {
            const DHCP_CLIENT: u16 = 68;
            let len = usize::from(u16::from_be_bytes(headers.udp_len));
            if len < UDP_LEN || IPV4_LEN + len > total_len || port == DHCP_CLIENT {
                return None;
            }
            (Service::udp(port), false, flow_mark(protocol::UDP))
        }
        _ => return None,
    };
    let flags = state.flags();
    let policy = &Slot::of(tables, state);
    let group = rules::group_number(policy, service);
    let is_closed = group == 0 && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0;
    let verdict = if is_closed && opens {
        Verdict::of(Reason::DefaultDrop)
    } else if ban::cuts(tables, state, source) {
        Verdict::of(Reason::Banned)
    } else {
        let stranger = rules::stranger(policy, flags, group, source);
        match stranger {
            Stranger::Allowed(verdict) if !opens => verdict,
            Stranger::Unnamed if is_closed && tables.port_marks(port) & marks == 0 => {
                Verdict::of(Reason::DefaultDrop)
            }
            Stranger::Allowed(_) | Stranger::Unnamed | Stranger::Other => return None,
        }
    };
    Some(Judgement {
        verdict,
        service: Some(service),
        opening: Opening::NONE,
    })
}
