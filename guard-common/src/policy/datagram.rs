//! Datagrams to open ports, and echo requests: a datagram proves nothing of its sender, so in a flood those pass first
//! with whom this host has a conversation, and of the others those that repeat themselves.

use super::{
    Admission, MeterBucket as _, Scratch, Searches, Slot, answered,
    ceiling::{Charge, DATAGRAM_SALT, Headroom, REPEAT_SALT, Room, above},
    plain::Form,
    slot,
};
use crate::abi::{
    addr::Addr,
    ceiling::{self, Ceiling},
    ceiling_map::{REPEAT_FILLED, REPEAT_GENERATION},
    image::{HAS_NEVER, HEADER_CEILING, HEADER_DATAGRAMS},
    meter,
    peers::{Mark, Peer},
    reason::Reason,
    repeat::{self, Generation, Repeat},
};
use crate::packet::PacketReader;

/// The ceiling of datagrams of sources that this host has not answered; none: they all pass.
#[inline(always)]
fn ceiling_of<T: Searches>(policy: &Slot<'_, T>) -> Ceiling {
    Ceiling::from_word(policy.word(HEADER_DATAGRAMS))
}

/// What a datagram to an open port must pass besides.
#[inline(always)]
pub(super) fn admission<T: Searches>(policy: &Slot<'_, T>) -> Admission {
    if ceiling_of(policy).is_none() {
        Admission::NONE
    } else {
        Admission::DATAGRAM
    }
}

/// Has a datagram been seen to leave from this port? Where none is, the service takes and does not answer, or answers by
/// a way that guard does not see: nobody can be told apart there, and nobody is.
#[inline(always)]
fn has_answered<T: Searches>(tables: &T, port: u16) -> bool {
    let (at, bit) = ceiling::udp_answers(port);
    tables.ceiling(at) & bit != 0
}

/// Takes note of a datagram on its way out of this port, to a peer of whom [`Peer::SentTo`] is not marked anew yet. A
/// peer that was sent to some seconds ago, too, is one of a conversation; but nobody becomes one while more come and
/// repeat themselves than the ceilings let in: that is what a flood from a fixed set of sources looks like.
#[inline(always)]
pub(super) fn note_answer<T: Searches>(tables: &T, policy: &Slot<'_, T>, remote: Addr, port: u16) {
    note_port(tables, port);
    let ceiling = ceiling_of(policy);
    if !ceiling.is_none() {
        answered::credit(tables, ceiling, remote, port);
    }
    let now = tables.ticks();
    let sent_to = Peer::SentTo(remote).mark(|index| tables.flow_key(index));
    let conversed = sent_to.of_conversation();
    let word = tables.ceiling(conversed.at);
    if !conversed.is_due(word, now) {
        return;
    }
    let is_settled = sent_to.is_settled(tables.ceiling(sent_to.at), now);
    let is_calm = || {
        let is_calm = |meter| Charge::new(ceiling, meter, port).is_calm(tables);
        // In a flood from everywhere hardly anybody repeats himself; in one from a fixed set all do.
        ceiling.is_none()
            || is_calm(ceiling::datagram_meter(port))
            || is_calm(ceiling::repeat_meter(port))
    };
    if conversed.is_in(word, now) || is_settled && is_calm() {
        tables.set_ceiling(conversed.at, conversed.word(now));
    }
}

#[inline(always)]
fn note_port<T: Searches>(tables: &T, port: u16) {
    let (at, bit) = ceiling::udp_answers(port);
    let known = tables.ceiling(at);
    if known & bit == 0 {
        // Another CPU's bit that gets lost is set again by its next datagram.
        tables.set_ceiling(at, known | bit);
    }
}

/// The last word on the datagram or the echo request in the scratch, which the rules let in.
#[inline(always)]
pub fn is_admitted<R, T>(
    reader: &R,
    tables: &T,
    scratch: &Scratch,
    admission: Admission,
    port: u16,
) -> Headroom
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    if admission.is_v4() {
        // Without the headers it would not have come here.
        let _noted = Form::v4(admission.tags()).note(reader, scratch);
    }
    let state = slot::in_force(tables);
    let policy = &Slot::of(tables, state);
    let flags = state.flags();
    let source = scratch.packet.source();
    let is_protected = || flags & HAS_NEVER != 0 && policy.is_on_never_list(flags, source);
    if admission.is_echo() {
        let ceiling = Ceiling::from_word(policy.word(HEADER_CEILING));
        if ceiling.is_none() || is_protected() {
            return Headroom::Fits;
        }
        return match Charge::ECHOES.one(tables, source, DATAGRAM_SALT) {
            Room::Some => Headroom::Fits,
            Room::Part | Room::None => above(flags, Reason::IcmpCeiling),
        };
    }
    let ceiling = ceiling_of(policy);
    if ceiling.is_none() || !has_answered(tables, port) {
        return Headroom::Fits;
    }
    let sent_to = Peer::SentTo(source).mark(|index| tables.flow_key(index));
    let now = tables.ticks();
    let is_marked = |mark: Mark| mark.is_in(tables.ceiling(mark.at), now);
    let is_known = is_marked(sent_to.of_conversation());
    // Is it of a source that this host answers, and borne out by the answers?
    let is_borne_out =
        (is_known || is_marked(sent_to)) && answered::is_borne_out(tables, ceiling, source, port);
    if is_known && is_borne_out || is_protected() {
        return Headroom::Fits;
    }
    let charge = Charge::new(ceiling, ceiling::datagram_meter(port), port);
    match charge.one(tables, source, DATAGRAM_SALT) {
        Room::Some => return Headroom::Fits,
        // It is one network that has used its part, and no flood from everywhere: a new client that sends much.
        Room::Part if is_borne_out => return Headroom::Fits,
        Room::Part | Room::None => {}
    }
    if tables.has_sent_before(source, port) {
        let repeated = Charge::new(ceiling, ceiling::repeat_meter(port), port);
        if let Room::Some = repeated.one(tables, source, REPEAT_SALT) {
            return Headroom::Fits;
        }
    }
    above(flags, Reason::UdpCeiling)
}

/// Has a source sent to this port in this generation or the one before? It has now.
#[inline(always)]
pub fn has_sent_before<T: Searches>(tables: &T, source: Addr, port: u16) -> bool {
    let repeat = Repeat::of(source, port, |index| tables.flow_key(index));
    let generation = current(tables);
    let number = generation.number();
    let before = tables.meter_bucket(repeat.line(number.wrapping_sub(1)));
    let now = tables.meter_bucket(repeat.line(number));
    // In numbers alone: comparisons that jump would be a way each to the verifier.
    let mut missing_before = before.load(0) ^ u64::from(number.wrapping_sub(1));
    let mut missing_now = now.load(0) ^ u64::from(number);
    if missing_now != 0 {
        for word in 1..meter::WAYS {
            now.store(word, 0);
        }
        now.store(0, u64::from(number));
    }
    for place in 0..repeat::BITS {
        let (word, bit) = repeat.bit(place);
        // Else the compiler joins its shifts with that of an address, of which the verifier knows no bound then.
        let word = T::hide(word as u64) as usize;
        let bits = now.load(word);
        missing_before |= !before.load(word) & bit;
        missing_now |= !bits & bit;
        now.store(word, bits | bit);
    }
    if missing_now != 0 && repeat.is_counted() {
        tables.add_to_ceiling(REPEAT_FILLED, 1);
    }
    missing_before == 0 || missing_now == 0
}

/// The generation that somebody who comes now belongs to. Two CPUs that begin one at once begin the same.
#[inline(always)]
fn current<T: Searches>(tables: &T) -> Generation {
    let generation = Generation::from_word(tables.ceiling(REPEAT_GENERATION));
    let now = tables.ticks();
    if !generation.is_over(now, tables.ceiling(REPEAT_FILLED)) {
        return generation;
    }
    let next = generation.next(now);
    tables.set_ceiling(REPEAT_FILLED, 0);
    tables.set_ceiling(REPEAT_GENERATION, next.to_word());
    next
}
