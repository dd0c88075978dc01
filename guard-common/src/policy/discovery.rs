//! Questions to a group: whoever asks all hosts on the link over multicast DNS or SSDP is answered by any of them,
//! from an address that no flow knows. The answers pass when a rule opens the port of the protocol to the one who
//! answers: it is there to hear of the same services.

use super::{Arrival, Question, Searches, Slot, ask_rules, flow::Found, rules::group_number};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, HAS_QUESTIONS, Tuple},
        service::{Service, protocol},
        switch::SlotState,
    },
    packet::{Packet, Transport},
};

/// Ports of multicast DNS (RFC 6762) and of SSDP (UPnP).
const PORTS: [u16; 2] = [5353, 1900];

/// The flow of a question from one of our ends to all hosts that listen to this port.
#[inline(always)]
fn flow(local: Addr, local_port: u16, port: u16) -> Tuple {
    Tuple {
        remote: if local.is_v4() {
            Addr::from_v4(0)
        } else {
            Addr::from_halves(0, 0)
        },
        local,
        remote_port: port,
        local_port,
        protocol: protocol::UDP,
    }
}

/// Takes note of a datagram to a group. `tuple` is that of its answer.
#[inline(always)]
pub(super) fn note<T: Searches>(tables: &T, tuple: &Tuple) {
    let (port, local_port) = (tuple.remote_port, tuple.local_port);
    // What is asked from the port itself is answered to the group.
    if tuple.protocol != protocol::UDP
        || local_port == port
        || (port != PORTS[0] && port != PORTS[1])
    {
        return;
    }
    let question = flow(tuple.local, local_port, port);
    let tag = question.tag(|index| tables.flow_key(index));
    if !matches!(tables.find_flow(tag, Event::Datagram), Found::Living) {
        tables.begin_flow(tag, Event::Datagram, local_port);
    }
    tables.mark_port(local_port, HAS_QUESTIONS);
}

/// May a port with these marks have asked a group?
#[inline(always)]
pub(super) const fn may_have_asked(protocol: u8, marks: u8) -> bool {
    protocol == protocol::UDP && marks & HAS_QUESTIONS != 0
}

/// The port of the protocol that a datagram from this port would be an answer of. Answers of multicast DNS come
/// from its own port (RFC 6762, 6), those of SSDP from any.
#[inline(always)]
const fn protocol_of(source_port: u16) -> u16 {
    if source_port == PORTS[0] {
        PORTS[0]
    } else {
        PORTS[1]
    }
}

/// Does a datagram answer a question of ours to a group?
#[inline(always)]
pub(super) fn is_answer<T: Searches>(tables: &T, packet: &Packet) -> bool {
    let Transport::Udp {
        source_port,
        destination_port,
    } = packet.transport()
    else {
        return false;
    };
    let asked = flow(
        packet.destination(),
        destination_port,
        protocol_of(source_port),
    );
    let tag = asked.tag(|index| tables.flow_key(index));
    // What arrives does not make the question younger.
    matches!(tables.find_flow(tag, Event::Quoted), Found::Living)
}

/// Does a rule open the port of its protocol to the source of such an answer?
#[inline(always)]
pub(super) fn is_wanted<T: Searches>(
    tables: &T,
    state: SlotState,
    arrival: Arrival,
    packet: &Packet,
) -> bool {
    let Transport::Udp { source_port, .. } = packet.transport() else {
        return false;
    };
    let question = Question {
        packet,
        ifindex: arrival.ifindex,
        opens: false,
        state,
    };
    let policy = &Slot::of(tables, state);
    let group = group_number(policy, Service::udp(protocol_of(source_port)));
    ask_rules(policy, question, group).is_allowed_by_rule()
}
