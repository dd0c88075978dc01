//! One entry of the connection table as ctnetlink writes it: nested attributes, of which unknown
//! ones are passed over and a broken one costs no more than its entry.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{NlasIterator, parse_ip, parse_u8, parse_u16_be, parse_u32_be};

use super::{TcpPhase, Tracked, Tuple};

/// nfgenmsg: family, version, resource.
const NETFILTER_HEADER: usize = 4;

// linux/netfilter/nfnetlink_conntrack.h
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
const ICMP_IDENTIFIER: u16 = 4;
const ICMPV6_IDENTIFIER: u16 = 7;
const INFO_TCP: u16 = 1;
const TCP_STATE: u16 = 1;
// linux/netfilter/nf_conntrack_common.h
const SEEN_REPLY: u32 = 1 << 1;
const ASSURED: u32 = 1 << 2;

/// The entry in the payload of a message; `None` when it lacks something.
pub(super) fn entry(payload: &[u8]) -> Option<Tracked> {
    let mut original = None;
    let mut reply = None;
    let mut status = 0;
    let mut tcp = None;
    for (kind, value) in attributes(payload.get(NETFILTER_HEADER..)?) {
        match kind {
            TUPLE_ORIGINAL => original = tuple(value),
            TUPLE_REPLY => reply = tuple(value),
            STATUS => status = parse_u32_be(value).ok()?,
            PROTOCOL_INFO => tcp = tcp_phase(value),
            _ => {}
        }
    }
    let (protocol, original) = original?;
    let (_, reply) = reply?;
    Some(Tracked {
        protocol,
        original,
        reply,
        assured: status & ASSURED != 0,
        seen_reply: status & SEEN_REPLY != 0,
        tcp,
    })
}

/// Type and value of each attribute, up to the first that is broken.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .map(|attribute| {
            let start = netlink_packet_core::NLA_HEADER_SIZE;
            let whole = attribute.into_inner();
            let length = usize::from(attribute.length());
            (attribute.kind(), whole.get(start..length).unwrap_or(&[]))
        })
}

fn tuple(bytes: &[u8]) -> Option<(u8, Tuple)> {
    let (mut source, mut destination) = (None, None);
    let (mut protocol, mut ports) = (None, (0, 0));
    for (kind, value) in attributes(bytes) {
        match kind {
            TUPLE_IP => (source, destination) = addresses(value),
            TUPLE_PROTOCOL => (protocol, ports) = protocol_and_ports(value)?,
            _ => {}
        }
    }
    let tuple = Tuple {
        source: SocketAddr::new(source?, ports.0),
        destination: SocketAddr::new(destination?, ports.1),
    };
    Some((protocol?, tuple))
}

fn addresses(bytes: &[u8]) -> (Option<IpAddr>, Option<IpAddr>) {
    let (mut source, mut destination) = (None, None);
    for (kind, value) in attributes(bytes) {
        match kind {
            V4_SOURCE | V6_SOURCE => source = parse_ip(value).ok(),
            V4_DESTINATION | V6_DESTINATION => destination = parse_ip(value).ok(),
            _ => {}
        }
    }
    (source, destination)
}

fn protocol_and_ports(bytes: &[u8]) -> Option<(Option<u8>, (u16, u16))> {
    let mut protocol = None;
    let mut ports = (0, 0);
    for (kind, value) in attributes(bytes) {
        match kind {
            PROTOCOL_NUMBER => protocol = Some(parse_u8(value).ok()?),
            SOURCE_PORT => ports.0 = parse_u16_be(value).ok()?,
            DESTINATION_PORT => ports.1 = parse_u16_be(value).ok()?,
            ICMP_IDENTIFIER | ICMPV6_IDENTIFIER => {
                let identifier = parse_u16_be(value).ok()?;
                ports = (identifier, identifier);
            }
            _ => {}
        }
    }
    Some((protocol, ports))
}

fn tcp_phase(bytes: &[u8]) -> Option<TcpPhase> {
    let of_tcp = |(kind, value)| (kind == INFO_TCP).then_some(value);
    let state = |(kind, value): (u16, &[u8])| {
        (kind == TCP_STATE)
            .then(|| value.first().copied())
            .flatten()
    };
    let info = attributes(bytes).find_map(of_tcp)?;
    // linux/netfilter/nf_conntrack_tcp.h
    match attributes(info).find_map(state)? {
        // 9: SYNs from both sides.
        1 | 9 => Some(TcpPhase::SynSent),
        2 => Some(TcpPhase::SynReceived),
        3 => Some(TcpPhase::Established),
        // FIN_WAIT, CLOSE_WAIT, LAST_ACK
        4..=6 => Some(TcpPhase::Closing),
        // TIME_WAIT, CLOSE
        7 | 8 => Some(TcpPhase::Closed),
        _ => None,
    }
}
