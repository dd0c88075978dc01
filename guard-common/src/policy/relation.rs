//! Stage 4: what a packet is part of. A flow, a session of this host, an error about either, an answer to a question of
//! ours.

use super::{Found, Scratch, Searches, Subject, ceiling, discovery, flow, peer, related, tuple_of};
use crate::{
    abi::{flow::Event, peers::Peer, service::protocol},
    packet::PacketReader,
};

/// What a packet is part of.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nothing.
    Nothing = 0,
    /// A flow.
    Reply = 1,
    /// A TCP session of this host.
    Session = 2,
    /// An error about either.
    Related = 3,
    /// An error about a packet of ours that neither vouches for: it may be an answer that a rule lets out.
    Answer = 4,
    /// One error about no flow more than can be looked into.
    Flood = 5,
    /// An answer to a question of ours to a group.
    Discovered = 6,
}

impl Relation {
    /// The inverse of `as u32`; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Reply,
            2 => Self::Session,
            3 => Self::Related,
            4 => Self::Answer,
            5 => Self::Flood,
            6 => Self::Discovered,
            _ => Self::Nothing,
        }
    }
}

/// Stage 4: what the packet in the scratch is part of. A SYN is part of nothing.
#[inline(always)]
pub fn relation<R, T>(reader: &R, tables: &T, scratch: &Scratch) -> Relation
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let is_error = related::is_error(&scratch.packet);
    let (subject, event) = if is_error {
        if scratch.packet.is_extended() {
            // Nobody has a reason to send one like that.
            return Relation::Nothing;
        }
        // Whoever is told is whoever sent it: an error to another address of ours than the quoted one is none.
        if !tables.quoted(reader, scratch)
            || scratch.answer.destination() != scratch.packet.destination()
        {
            return Relation::Nothing;
        }
        (Subject::Answer, Event::Quoted)
    } else {
        (Subject::Packet, Event::Arrives)
    };
    let packet = scratch.subject(subject);
    let Some(tuple) = tuple_of(packet) else {
        return Relation::Nothing;
    };
    let marks = tables.port_marks(tuple.local_port);
    let found = flow::find(tables, &tuple, marks, event);
    if let Found::Session = found {
        return if is_error {
            Relation::Related
        } else {
            Relation::Session
        };
    }
    if let Found::Living = found {
        return if is_error {
            Relation::Related
        } else {
            Relation::Reply
        };
    }
    if is_error {
        // A flow costs one look, and nobody may keep out what is about one; a session costs more.
        if ceiling::is_error_above(tables) {
            return Relation::Flood;
        }
    } else if discovery::may_have_asked(packet.protocol(), marks)
        && discovery::is_answer(tables, packet)
    {
        return Relation::Discovered;
    }
    if flow::has_session(tables, scratch, subject, marks, found) {
        return if is_error {
            Relation::Related
        } else {
            Relation::Session
        };
    }
    // Datagrams name no session: whoever told of one to a peer that this host never sent to would set the size of
    // packets to there.
    let is_answer = is_error
        && (packet.protocol() != protocol::UDP
            || peer::is_marked(tables, Peer::SentTo(packet.source())));
    if is_answer {
        Relation::Answer
    } else {
        Relation::Nothing
    }
}
