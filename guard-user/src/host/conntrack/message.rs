//! One entry of the connection table, of what the crate has read from ctnetlink's attributes.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink's own enums, which may grow; other attributes are none of ours"
)]

use std::net::SocketAddr;

use netlink_packet_core::{DefaultNla, Nla as _, ParseableParametrized as _, parse_u16_be};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, ConntrackMessageType, IPTuple, ProtoInfo, ProtoInfoTCP,
    ProtoTuple, Status, Tuple as Part,
};

use super::{TcpPhase, Tracked, Tuple};

/// nfgenmsg: family, version, resource.
const NETFILTER_HEADER: usize = 4;

// linux/netfilter/nfnetlink_conntrack.h; the crate knows ports, and no identifiers.
const ICMP_IDENTIFIER: u16 = 4;
const ICMPV6_IDENTIFIER: u16 = 7;

/// The entry in the payload of a message; `None` when it lacks something.
pub(super) fn entry(payload: &[u8]) -> Option<Tracked> {
    let attributes = payload.get(NETFILTER_HEADER..)?;
    let message =
        ConntrackMessage::parse_with_param(attributes, ConntrackMessageType::New.into()).ok()?;
    let ConntrackMessage::New(attributes) = message else {
        return None;
    };
    let mut original = None;
    let mut reply = None;
    let mut status = Status::empty();
    let mut tcp = None;
    for attribute in &attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(parts) => original = tuple(parts),
            ConntrackAttribute::CtaTupleReply(parts) => reply = tuple(parts),
            ConntrackAttribute::CtaStatus(bits) => status = *bits,
            ConntrackAttribute::CtaProtoInfo(infos) => tcp = tcp_phase(infos),
            _ => {}
        }
    }
    let (protocol, original) = original?;
    let (_, reply) = reply?;
    Some(Tracked {
        protocol,
        original,
        reply,
        assured: status.contains(Status::Assured),
        seen_reply: status.contains(Status::SeenReply),
        tcp,
    })
}

fn tuple(parts: &[Part]) -> Option<(u8, Tuple)> {
    let (mut source, mut destination) = (None, None);
    let (mut protocol, mut ports) = (None, (0, 0));
    for part in parts {
        match part {
            Part::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => source = Some(*address),
                        IPTuple::DestinationAddress(address) => destination = Some(*address),
                        _ => {}
                    }
                }
            }
            Part::Proto(values) => {
                for value in values {
                    match value {
                        ProtoTuple::Protocol(number) => protocol = Some(u8::from(*number)),
                        ProtoTuple::SourcePort(port) => ports.0 = *port,
                        ProtoTuple::DestinationPort(port) => ports.1 = *port,
                        ProtoTuple::Other(other) => {
                            if let Some(identifier) = identifier(other) {
                                ports = (identifier, identifier);
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let tuple = Tuple {
        source: SocketAddr::new(source?, ports.0),
        destination: SocketAddr::new(destination?, ports.1),
    };
    Some((protocol?, tuple))
}

/// The identifier of echo requests and answers.
fn identifier(attribute: &DefaultNla) -> Option<u16> {
    if ![ICMP_IDENTIFIER, ICMPV6_IDENTIFIER].contains(&attribute.kind())
        || attribute.value_len() != size_of::<u16>()
    {
        return None;
    }
    let mut bytes = [0; size_of::<u16>()];
    attribute.emit_value(&mut bytes);
    parse_u16_be(&bytes).ok()
}

fn tcp_phase(infos: &[ProtoInfo]) -> Option<TcpPhase> {
    let state = infos.iter().find_map(|info| match info {
        ProtoInfo::TCP(values) => values.iter().find_map(|value| match value {
            ProtoInfoTCP::State(state) => Some(*state),
            _ => None,
        }),
        _ => None,
    })?;
    // linux/netfilter/nf_conntrack_tcp.h
    match state {
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
