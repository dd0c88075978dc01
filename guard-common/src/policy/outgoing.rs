//! What leaves this host: the only packets that make entries in the flow table.
//!
//! A SYN begins a flow. So does a datagram or an echo request, unless a rule lets the answers in anyway:
//! otherwise whoever talks to an open service would fill the table through our own answers. A segment that only an
//! established session sends begins an entry of that session, among those that others began; a SYN+ACK, which
//! anybody's SYN provokes, is noted as a handshake, and a reset begins nothing.

use super::{
    Arrival, Question, RulesAnswer, Scratch, Searches, Slot, ask_rules, datagram, discovery,
    flow::{Found, tuple_of},
    limit, note_question, peer,
    rules::group_number,
    service_of, session, slot,
};
use crate::{
    abi::{
        addr::Addr,
        flow::{ANSWERS, Event, HAS_SESSIONS, IS_FORWARDED, Tag, flow_mark},
        peers::Peer,
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
    T: Searches,
{
    let scratch = &Scratch::default();
    if let Ok(Frame::Ip) = packet::parse(reader, &scratch.packet) {
        note_question(reader, tables, &scratch.packet);
        note_packet(reader, tables, interface, scratch);
    }
}

/// Takes note of the packet in the scratch.
#[inline(always)]
pub fn note_packet<R, T>(reader: &R, tables: &T, interface: Arrival, scratch: &Scratch)
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let (packet, answer) = (&scratch.packet, &scratch.answer);
    let Some(event) = leaving(tables, packet) else {
        return;
    };
    packet::answered(packet, answer);
    let Some(tuple) = tuple_of(answer) else {
        return;
    };
    let tag = tuple.tag(|index| tables.flow_key(index));
    let (local_port, protocol) = (tuple.local_port, tuple.protocol);
    if let Event::Answers = event {
        session::note_syn_ack(tables, tag, acknowledged(reader, packet));
        return;
    }
    if let Event::Datagram = event {
        let policy = &Slot::of(tables, slot::in_force(tables));
        datagram::note_answer(tables, policy, answer.source(), local_port);
    }
    if let Found::Living | Found::Session = tables.find_flow(tag, event) {
        // Another CPU may have written over the mark.
        tables.mark_port(local_port, flow_mark(protocol));
        return;
    }
    if event.is_inbound() {
        if is_proof(reader, tables, packet, tag) {
            tables.begin_flow(tag, event, local_port);
        }
        return;
    }
    if is_to_many(packet.destination()) {
        discovery::note(tables, &tuple);
        return;
    }
    let state = slot::in_force(tables);
    let rules = ask_about_answer(tables, state, interface, answer);
    if rules.is_own_source() {
        return;
    }
    if protocol == protocol::UDP {
        peer::mark(tables, Peer::SentTo(answer.source()));
    }
    if rules.is_allowed_by_rule() && protocol != protocol::TCP {
        if protocol == protocol::UDP && rules.is_limited() {
            let ports = limit::pair(tuple.remote_port, local_port);
            tables.note_reply(Slot::of(tables, state).base(), answer.source(), ports);
        }
        return;
    }
    tables.begin_flow(tag, event, local_port);
}

/// Does a segment on its way out prove that a session is there?
#[inline(always)]
fn is_proof<R, T>(reader: &R, tables: &T, packet: &Packet, tag: Tag) -> bool
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let Transport::Tcp { flags, .. } = packet.transport() else {
        return false;
    };
    if flags.has_any(TcpFlags::RST) {
        return false;
    }
    packet.has_payload()
        || flags.has_any(TcpFlags::FIN)
        || session::is_proof(tables, tag, acknowledged(reader, packet))
}

/// The number of the byte that the sender of a segment expects next.
#[inline(always)]
fn acknowledged<R: PacketReader + ?Sized>(reader: &R, packet: &Packet) -> u32 {
    const ACKNOWLEDGEMENT: usize = 8;
    let at = packet.transport_at() as usize + ACKNOWLEDGEMENT;
    reader.read(at).map_or(0, u32::from_be_bytes)
}

/// What the packet does to its flow; `None` for what concerns none.
#[inline(always)]
fn leaving<T: Searches>(tables: &T, packet: &Packet) -> Option<Event> {
    match packet.transport() {
        Transport::Tcp {
            source_port, flags, ..
        } => {
            if flags.has(TcpFlags::SYN | TcpFlags::ACK) {
                tables.mark_port(source_port, HAS_SESSIONS | ANSWERS);
                if tables.is_forwarding() {
                    tables.mark_port(source_port, IS_FORWARDED);
                } else {
                    tables.unmark_port(source_port, IS_FORWARDED);
                }
                return Some(Event::Answers);
            }
            if flags.has_any(TcpFlags::RST) {
                tables.mark_port(source_port, ANSWERS);
            }
            if packet.has_payload() && tables.is_forwarding() {
                // Data proves a handshake; a bare acknowledgement does not, for a forged segment provokes one.
                peer::mark(tables, Peer::ShookHands(packet.destination()));
            }
            Some(if flags.has_any(TcpFlags::SYN) {
                Event::Opens
            } else if flags.has_any(TcpFlags::FIN | TcpFlags::RST) {
                Event::Ends
            } else {
                Event::Continues
            })
        }
        Transport::Udp { .. } => Some(Event::Datagram),
        Transport::Icmp {
            kind: ECHO_REQUEST, ..
        }
        | Transport::Icmpv6 {
            kind: ECHO_REQUEST_V6,
            ..
        } => Some(Event::Echo),
        Transport::Icmp { .. } | Transport::Icmpv6 { .. } | Transport::Other | Transport::None => {
            None
        }
    }
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

/// What the rules say of the answer to a packet of this host.
#[inline(always)]
pub(super) fn ask_about_answer<T: Searches>(
    tables: &T,
    state: SlotState,
    interface: Arrival,
    answer: &Packet,
) -> RulesAnswer {
    let service = service_of(answer).unwrap_or(Service::protocol(answer.protocol()));
    let question = Question {
        packet: answer,
        ifindex: interface.ifindex,
        opens: false,
        state,
    };
    let policy = &Slot::of(tables, state);
    let group = group_number(policy, service);
    ask_rules(policy, question, group)
}
