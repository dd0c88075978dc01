//! What leaves this host: the only packets that make entries in the flow table.
//!
//! A SYN, a datagram or an echo request begins a flow, unless a rule lets the answers in anyway:
//! otherwise whoever talks to an open service would fill the table through our own answers. Answers
//! of TCP services only note that their port has sessions.

use super::{
    Arrival, Question, RulesAnswer, Slot, Tables, ask_rules, flow::Found, limit,
    rules::group_number, slot,
};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, HAS_SESSIONS, IS_FORWARDED, Tuple, flow_mark},
        service::{Service, protocol},
        switch::SlotState,
    },
    packet::{self, Frame, Packet, PacketReader, TcpFlags, Transport},
};

const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

/// Takes note of a frame on its way out of an interface.
#[inline(always)]
pub fn note_outgoing<R, T>(reader: &R, tables: &T, interface: Arrival)
where
    R: PacketReader + ?Sized,
    T: Tables,
{
    let Ok(Frame::Ip(packet)) = packet::parse(reader) else {
        return;
    };
    let Some((event, tuple)) = leaving(tables, &packet) else {
        return;
    };
    let tag = tuple.tag(|index| tables.flow_key(index));
    if let Found::Living = tables.find_flow(tag, event) {
        // Another CPU may have written over the mark.
        tables.mark_port(tuple.local_port, flow_mark(tuple.protocol));
        return;
    }
    if event.begins().is_none() || is_to_many(packet.destination) {
        return;
    }
    let state = slot::in_force(tables);
    let answer = ask_about_answer(tables, state, interface, &tuple);
    if answer.is_own_source() {
        return;
    }
    if answer.is_allowed_by_rule() {
        if tuple.protocol == protocol::TCP {
            tables.mark_port(tuple.local_port, HAS_SESSIONS);
        } else if tuple.protocol == protocol::UDP && answer.is_limited() {
            let ports = limit::pair(tuple.remote_port, tuple.local_port);
            tables.answer(Slot::of(tables, state).base(), tuple.remote, ports);
        }
        return;
    }
    tables.begin_flow(tag, event, tuple.local_port);
}

/// What the packet does to which flow; `None` for what concerns none.
#[inline(always)]
fn leaving<T: Tables>(tables: &T, packet: &Packet) -> Option<(Event, Tuple)> {
    let (event, local_port, remote_port) = match packet.transport() {
        Transport::Tcp {
            source_port,
            destination_port,
            flags,
        } => {
            if flags.has(TcpFlags::SYN | TcpFlags::ACK) {
                tables.mark_port(source_port, HAS_SESSIONS);
                if tables.is_forwarding() {
                    tables.mark_port(source_port, IS_FORWARDED);
                } else {
                    tables.unmark_port(source_port, IS_FORWARDED);
                }
                return None;
            }
            let event = if flags.has_any(TcpFlags::SYN) {
                Event::Opens
            } else if flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
                Event::Ends
            } else {
                Event::Continues
            };
            (event, source_port, destination_port)
        }
        Transport::Udp {
            source_port,
            destination_port,
        } => (Event::Datagram, source_port, destination_port),
        Transport::Icmp {
            kind: ECHO_REQUEST,
            id,
            ..
        }
        | Transport::Icmpv6 {
            kind: ECHO_REQUEST_V6,
            id,
            ..
        } => (Event::Echo, id, 0),
        Transport::Icmp { .. } | Transport::Icmpv6 { .. } | Transport::Other | Transport::None => {
            return None;
        }
    };
    Some((
        event,
        Tuple {
            remote: packet.destination,
            local: packet.source,
            remote_port,
            local_port,
            protocol: packet.protocol(),
        },
    ))
}

/// Multicast and limited broadcast: nobody answers from such an address.
#[inline(always)]
fn is_to_many(destination: Addr) -> bool {
    if destination.is_v4() {
        destination.v4() >> 28 == 0xe || destination.v4() == u32::MAX
    } else {
        destination.hi() >> 56 == 0xff
    }
}

/// Does a rule (not the default) let the other direction of a flow in?
#[inline(always)]
pub(super) fn admits_answer<T: Tables>(
    tables: &T,
    state: SlotState,
    interface: Arrival,
    tuple: &Tuple,
) -> bool {
    ask_about_answer(tables, state, interface, tuple).is_allowed_by_rule()
}

/// What the rules say of the other direction of a flow.
#[inline(always)]
fn ask_about_answer<T: Tables>(
    tables: &T,
    state: SlotState,
    interface: Arrival,
    tuple: &Tuple,
) -> RulesAnswer {
    let service = match tuple.protocol {
        protocol::TCP => Service::tcp(tuple.local_port),
        protocol::UDP => Service::udp(tuple.local_port),
        other => Service::protocol(other),
    };
    let question = Question {
        source: tuple.remote,
        destination: tuple.local,
        ifindex: interface.ifindex,
        service,
        opens: false,
        state,
    };
    let policy = &Slot::of(tables, state);
    let group = group_number(policy, service);
    ask_rules(policy, question, group)
}
