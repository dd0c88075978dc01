//! The short way of what floods are made of: an IPv4 packet without tags, options or fragments, TCP or
//! UDP, read in one piece. What is said here is what the whole way says (tests hold the two against
//! each other: the kernel takes this way, the model that one); where the answer is not so simple,
//! nothing is said.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Found, Judgement, Newcomer, Opening, Slot, Tables, ban, flow, limit,
    rules::{self, ServiceEntry, Stranger},
    tcp,
};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, Tuple},
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

/// What becomes of a frame, if that is told at once; without the number of a rule.
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
    let source = u32::from_be_bytes(headers.source);
    // Martians, or nearly.
    let network = source >> 24;
    if network == 0 || network == 127 || network > 223 {
        return None;
    }
    let source = Addr::from_v4(source);
    let port = u16::from_be_bytes(headers.destination_port);
    let (service, opens) = match headers.protocol {
        protocol::TCP => {
            let header_len = usize::from(headers.data_offset >> 4) * 4;
            let flags = TcpFlags(headers.flags);
            if header_len < TCP_LEN
                || IPV4_LEN + header_len > total_len
                || tcp::impossible(flags).is_some()
            {
                return None;
            }
            (Service::tcp(port), flags.opens())
        }
        protocol::UDP => {
            const DHCP_CLIENT: u16 = 68;
            let len = usize::from(u16::from_be_bytes(headers.udp_len));
            if len < UDP_LEN || IPV4_LEN + len > total_len || port == DHCP_CLIENT {
                return None;
            }
            (Service::udp(port), false)
        }
        _ => return None,
    };
    let flags = state.flags();
    let policy = &Slot::of(tables, state);
    let entry = ServiceEntry::of(policy, service);
    let is_closed = entry.is_none() && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0;
    let (reason, opening) = if is_closed && opens {
        (Reason::DefaultDrop, Opening::NONE)
    } else if ban::cuts_v4(tables, policy, flags, source) {
        (Reason::Banned, Opening::NONE)
    } else {
        let is_charged = opens || headers.protocol == protocol::UDP;
        let mut reason = Reason::RuleAllow;
        let is_let_in = match rules::stranger(policy, flags, entry, source, is_charged) {
            Stranger::Allowed => true,
            Stranger::Limited(rule) => tables.may_enter(Newcomer {
                base: policy.base(),
                rule,
                source,
                ports: limit::pair(u16::from_be_bytes(headers.source_port), port),
                opens,
            }),
            Stranger::Unnamed if flags & DEFAULT_ALLOW != 0 => {
                reason = Reason::DefaultAllow;
                true
            }
            Stranger::Unnamed if opens => {
                return Some(judgement(Reason::DefaultDrop, Some(service)));
            }
            Stranger::Denied if opens => return Some(judgement(Reason::RuleDeny, Some(service))),
            Stranger::Unnamed => {
                return Some(by_flow(tables, &headers, service, Reason::DefaultDrop));
            }
            Stranger::Denied => {
                return Some(by_flow(tables, &headers, service, Reason::RuleDeny));
            }
            Stranger::Other => return None,
        };
        if !is_let_in {
            (Reason::Limited, Opening::NONE)
        } else if opens {
            (reason, Opening::plain_v4(tables.port_marks(port)))
        } else {
            (reason, Opening::NONE)
        }
    };
    Some(Judgement {
        opening,
        ..judgement(reason, Some(service))
    })
}

#[inline(always)]
const fn judgement(reason: Reason, service: Option<Service>) -> Judgement {
    Judgement {
        verdict: Verdict::of(reason),
        service,
        opening: Opening::NONE,
    }
}

/// Of a packet that no rule lets in: is it part of a flow or a session? `else_for` is why it is dropped if
/// not.
#[inline(always)]
fn by_flow<T: Tables>(
    tables: &T,
    headers: &Headers,
    service: Service,
    else_for: Reason,
) -> Judgement {
    let tuple = Tuple {
        remote: Addr::from_v4(u32::from_be_bytes(headers.source)),
        local: Addr::from_v4(u32::from_be_bytes(headers.destination)),
        remote_port: u16::from_be_bytes(headers.source_port),
        local_port: u16::from_be_bytes(headers.destination_port),
        protocol: headers.protocol,
    };
    let marks = tables.port_marks(tuple.local_port);
    let headers = flow::Headers {
        at: ETHERNET_LEN as u32,
        is_quoted: false,
    };
    let found = flow::find_here(tables, &tuple, marks, Event::Arrives);
    let (reason, service) = if let Found::Living = found {
        (Reason::Reply, None)
    } else if flow::has_session(tables, &tuple, headers, marks, found) {
        (Reason::LiveSession, Some(service))
    } else {
        (else_for, Some(service))
    };
    judgement(reason, service)
}
