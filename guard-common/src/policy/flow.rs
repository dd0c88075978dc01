//! Known flows: answers to what this host or its containers started, and TCP sessions that somebody else began
//! or that the kernel's own socket table vouches for. Nothing that arrives makes an entry, unless the socket table
//! knows the session.

use super::{Bucket, Scratch, Searches, SocketState, Subject, plain::ServiceRequest};
use crate::{
    abi::{
        counters,
        flow::{
            Event, FlowState, HAS_SESSIONS, LOST_SESSIONS, OWN_WAYS, Phase, Tag, Tuple, WAYS,
            flow_mark,
        },
        service::protocol,
    },
    packet::{Packet, Transport},
};

const ECHO_REPLY: u8 = 0;
const ECHO_REPLY_V6: u8 = 129;

/// What the table has of a tuple.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing = 0,
    /// A living flow.
    Living = 1,
    /// A flow that has been silent for longer than its lifetime.
    Expired = 2,
    /// A living session that somebody else began.
    Session = 3,
}

impl Found {
    /// The inverse of `as u32`; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Living,
            2 => Self::Expired,
            3 => Self::Session,
            _ => Self::Nothing,
        }
    }
}

/// May the port that a plain packet goes to have a flow or a session of its protocol?
#[inline(always)]
pub(super) fn may_have_any<T: Searches>(tables: &T, request: ServiceRequest) -> bool {
    let marks = tables.port_marks(request.port());
    marks & (flow_mark(request.protocol()) | HAS_SESSIONS) != 0
}

/// Looks a tuple up. A port that no flow began from has none.
#[inline(always)]
pub(super) fn find<T: Searches>(tables: &T, tuple: &Tuple, marks: u8, event: Event) -> Found {
    if marks & flow_mark(tuple.protocol) == 0 {
        return Found::Nothing;
    }
    tables.find_flow(tuple.tag(|index| tables.flow_key(index)), event)
}

/// The same without a call between BPF functions, of an arriving packet with this tag.
#[inline(always)]
pub(super) fn find_here<T: Searches>(tables: &T, tag: Tag, protocol: u8, marks: u8) -> Found {
    if marks & flow_mark(protocol) == 0 {
        return Found::Nothing;
    }
    find_flow(tables, tag, Event::Arrives)
}

/// Does the kernel's socket table vouch for a packet whose flow the table does not know? It is asked only
/// about TCP, and only for ports that had sessions, so that a flood of segments to other ports does
/// not pay for it.
#[inline(always)]
pub(super) fn has_session<T: Searches>(
    tables: &T,
    scratch: &Scratch,
    subject: Subject,
    marks: u8,
    found: Found,
) -> bool {
    may_have_session(scratch.subject(subject).protocol(), marks, found)
        && !matches!(tables.socket(scratch, subject), SocketState::None)
}

/// Is the socket table asked about a packet of this protocol, to a port with these marks?
#[inline(always)]
pub(super) const fn may_have_session(protocol: u8, marks: u8, found: Found) -> bool {
    protocol == protocol::TCP && (matches!(found, Found::Expired) || marks & HAS_SESSIONS != 0)
}

/// The conversation that a packet would be part of, if it is an answer: no message of ICMP is but an echo
/// reply.
#[inline(always)]
#[must_use]
pub fn tuple_of(packet: &Packet) -> Option<Tuple> {
    let (remote_port, local_port) = match packet.transport() {
        Transport::Tcp {
            source_port,
            destination_port,
            ..
        }
        | Transport::Udp {
            source_port,
            destination_port,
        } => (source_port, destination_port),
        Transport::Icmp {
            kind: ECHO_REPLY,
            id,
        } if packet.is_v4() => (0, id),
        Transport::Icmpv6 {
            kind: ECHO_REPLY_V6,
            id,
        } if !packet.is_v4() => (0, id),
        Transport::Other => (0, 0),
        Transport::Icmp { .. } | Transport::Icmpv6 { .. } | Transport::None => return None,
    };
    Some(Tuple {
        remote: packet.source(),
        local: packet.destination(),
        remote_port,
        local_port,
        protocol: packet.protocol(),
    })
}

/// Looks a flow up and lets the event happen to it.
#[inline(always)]
pub fn find_flow<T: Searches>(tables: &T, tag: Tag, event: Event) -> Found {
    let bucket = tables.flow_bucket(tag);
    for way in 0..WAYS {
        if bucket.tag(way) != tag.bits() {
            continue;
        }
        let state = FlowState::from_word(bucket.state(way));
        let now = tables.ticks();
        if state.is_expired(now) {
            return Found::Expired;
        }
        if let Some(after) = state.after(event, now) {
            bucket.set_state(way, after.to_word());
        }
        return if way < OWN_WAYS {
            Found::Living
        } else {
            Found::Session
        };
    }
    Found::Nothing
}

/// Where a flow may go: its own old place, an empty one, that of an expired flow, or that of the
/// flow whose loss costs least. `None` when every place belongs to a session that is kept. What others
/// began has places of its own.
#[inline(always)]
pub fn find_place<B: Bucket>(bucket: &B, tag: Tag, now: u32, is_inbound: bool) -> Option<usize> {
    const OLD_PLACE: u64 = 0;
    const EMPTY: u64 = 1;
    let mut place = 0;
    let mut least = u64::MAX;
    let first = if is_inbound { OWN_WAYS } else { 0 };
    for way in 0..OWN_WAYS {
        let way = first + way;
        let held = bucket.tag(way);
        let worth = if held == tag.bits() {
            OLD_PLACE
        } else if held == 0 {
            EMPTY
        } else {
            B::worth(FlowState::from_word(bucket.state(way)), now).saturating_add(EMPTY + 1)
        };
        if worth < least {
            least = worth;
            place = way;
        }
        least = B::forget(least);
        place = B::forget(place as u64) as usize;
    }
    if least == u64::MAX { None } else { Some(place) }
}

/// Makes an entry for a flow that the table does not know as a living one. `event` is one that begins
/// flows.
#[inline(always)]
pub fn begin_flow<T: Searches>(tables: &T, tag: Tag, event: Event, local_port: u16) {
    let Some(phase) = event.begins() else { return };
    let now = tables.ticks();
    let bucket = tables.flow_bucket(tag);
    let is_inbound = event.is_inbound();
    let Some(place) = find_place(&bucket, tag, now, is_inbound) else {
        // A connection of this host has a socket that vouches for it.
        if is_inbound {
            tables.mark_port(local_port, LOST_SESSIONS);
        } else if let Phase::SynSent = phase {
            tables.mark_port(local_port, HAS_SESSIONS);
        }
        tables.count(counters::Event::FlowRefused);
        return;
    };
    let held = bucket.tag(place);
    if held != 0 && held != tag.bits() {
        let lost = FlowState::from_word(bucket.state(place));
        // A session of this host that loses its entry is still in the socket table.
        if let Phase::Open = lost.phase() {
            let mark = if is_inbound && !lost.is_expired(now) {
                HAS_SESSIONS | LOST_SESSIONS
            } else {
                HAS_SESSIONS
            };
            tables.mark_port(lost.local_port(), mark);
        }
        if !lost.is_expired(now) {
            tables.count(counters::Event::FlowEvicted);
        }
    }
    tables.count(if is_inbound {
        counters::Event::SessionNoted
    } else {
        counters::Event::FlowCreated
    });
    // State first: whoever finds the tag finds a state that belongs to it.
    let state = FlowState::new(phase, now, local_port);
    bucket.set_state(place, state.to_word());
    bucket.set_tag(place, tag.bits());
    tables.mark_port(local_port, event.mark());
}
