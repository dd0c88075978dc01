//! Segments to open ports: a rule that opens a port opens it for sessions, and what is part of none is a flood or a
//! scan, which the host would answer with resets. What vouches for a segment, in the order of what it costs: an
//! entry of the flow table, the handshake under way, the kernel's socket table, and a cookie that comes back.
//! What nothing vouches for passes below a ceiling only, so that whoever had a session before a reboot learns that
//! it is gone.

use super::{
    Admission, Found, Scratch, Searches, Slot, SocketState, Subject,
    ceiling::{Charge, Headroom, OUT_OF_STATE_SALT, Room, above},
    plain::Form,
    slot, tuple_of,
};
use crate::{
    abi::{
        addr::Addr,
        ceiling::{self, Ceiling},
        ceiling_map::LAST_COOKIE,
        flow::{ANSWERS, Event, LOST_SESSIONS, Tag, flow_mark},
        handshake::Handshake,
        image::{HAS_NEVER, HEADER_OUT_OF_STATE},
        reason::Reason,
    },
    packet::{PacketReader, Transport},
};

/// The ceiling of segments that nothing vouches for; none: they all pass.
#[inline(always)]
pub(super) fn ceiling_of<T: Searches>(policy: &Slot<'_, T>) -> Ceiling {
    Ceiling::from_word(policy.word(HEADER_OUT_OF_STATE))
}

/// What vouches for a segment and costs least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voucher {
    /// Nothing does.
    Nothing,
    /// An entry of the flow table.
    Flow,
    /// A handshake under way.
    Handshake,
    /// Nothing yet: a session had these ends that was silent for longer than its entry lives, and may be there still.
    Expired,
}

impl Voucher {
    /// Is that enough?
    #[inline(always)]
    pub(super) const fn is_enough(self) -> bool {
        matches!(self, Self::Flow | Self::Handshake)
    }

    /// What a segment that it vouches for, and that is not in the scratch, must pass besides.
    #[inline(always)]
    pub(super) const fn admission(self) -> Admission {
        match self {
            Self::Flow | Self::Handshake => Admission::NONE,
            Self::Expired => Admission::SEGMENT,
            Self::Nothing => Admission::SEGMENT.stray(),
        }
    }
}

/// Does an entry of the flow table, which has this, or a handshake under way vouch for a segment?
#[inline(always)]
pub(super) fn voucher<T: Searches>(tables: &T, tag: Tag, found: Found) -> Voucher {
    if matches!(found, Found::Living | Found::Session) {
        Voucher::Flow
    } else if is_in_handshake(tables, tag) {
        Voucher::Handshake
    } else if matches!(found, Found::Expired) {
        Voucher::Expired
    } else {
        Voucher::Nothing
    }
}

/// Is it one of the first few segments behind a SYN+ACK of ours?
#[inline(always)]
fn is_in_handshake<T: Searches>(tables: &T, tag: Tag) -> bool {
    let handshake = Handshake::of(tag);
    let Some(after) = handshake.after_segment(tables.ceiling(handshake.at)) else {
        return false;
    };
    tables.set_ceiling(handshake.at, after);
    true
}

/// The last word on the segment in the scratch, which the rules let in.
#[inline(always)]
pub fn is_in_state<R, T>(
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
    let ceiling = ceiling_of(policy);
    if ceiling.is_none() {
        return Headroom::Fits;
    }
    let mut had_session = false;
    if !admission.is_stray()
        && let Some(tuple) = tuple_of(&scratch.packet)
    {
        let tag = tuple.tag(|index| tables.flow_key(index));
        let has_flows = tables.port_marks(tuple.local_port) & flow_mark(tuple.protocol) != 0;
        let found = if has_flows {
            tables.find_flow(tag, Event::Arrives)
        } else {
            Found::Nothing
        };
        let voucher = voucher(tables, tag, found);
        if voucher.is_enough() {
            return Headroom::Fits;
        }
        had_session = voucher == Voucher::Expired;
    }
    let marks = tables.port_marks(port);
    // What leaves by another way begins no entries.
    if marks & ANSWERS == 0 {
        return Headroom::Fits;
    }
    // Where none may pass, sockets are looked for all the same.
    let looks = if ceiling.is_closed() {
        Ceiling::OUT_OF_STATE
    } else {
        ceiling
    };
    let charge = Charge::out_of_state(looks, port);
    let source = scratch.packet.source();
    // While the ceiling is exceeded, most of what comes is a flood, and no socket is looked for; but where one of
    // the table's sessions is missing, or a cookie may come back, or it is of ends that had a session: nobody who
    // forges packets knows such.
    let room = charge.room(tables, source, OUT_OF_STATE_SALT);
    let may_bring_cookie = ceiling::may_bring_cookie(tables.ceiling(LAST_COOKIE), tables.ticks());
    let socket = if may_bring_cookie {
        // Data behind a cookie finds the session that the cookie has made.
        tables.socket_or_cookie(reader, scratch)
    } else if had_session || matches!(room, Room::Some) || marks & LOST_SESSIONS != 0 {
        tables.socket(scratch, Subject::Packet)
    } else {
        SocketState::None
    };
    match socket {
        SocketState::Established => {
            begin(tables, scratch, port);
            return Headroom::Fits;
        }
        SocketState::Vouched => return Headroom::Fits,
        SocketState::None | SocketState::Handshake => {}
    }
    if is_exempt(policy, state.flags(), source) {
        return Headroom::Fits;
    }
    if let Room::Some = room {
        // What passes and what only has been looked for: a flood of either is looked for no more.
        charge.one(tables, source, OUT_OF_STATE_SALT);
        if may_be_lost(scratch) && !ceiling.is_closed() {
            return Headroom::Fits;
        }
    }
    tables.add_to_ceiling(ceiling::out_of_state_refused(port), 1);
    above(state.flags(), Reason::OutOfState)
}

/// May it be of a session that this host has forgotten? No such one answers a SYN, and a reset needs no answer.
#[inline(always)]
fn may_be_lost(scratch: &Scratch) -> bool {
    matches!(scratch.packet.transport(), Transport::Tcp { flags, .. } if !flags.ends_or_opens())
}

#[inline(always)]
fn is_exempt<T: Searches>(policy: &Slot<'_, T>, flags: u32, source: Addr) -> bool {
    flags & HAS_NEVER != 0 && policy.is_on_never_list(flags, source)
}

/// An entry for a session of this host that has none: it is older than guard, or only ever takes data.
#[inline(always)]
fn begin<T: Searches>(tables: &T, scratch: &Scratch, port: u16) {
    if let Some(tuple) = tuple_of(&scratch.packet) {
        let tag = tuple.tag(|index| tables.flow_key(index));
        tables.begin_flow(tag, Event::Continues, port);
    }
}

/// Takes note of a SYN+ACK on its way out, whose answer has this tuple.
#[inline(always)]
pub(super) fn note_syn_ack<T: Searches>(tables: &T, tag: Tag, acknowledged: u32) {
    let handshake = Handshake::of(tag);
    let known = tables.ceiling(handshake.at);
    let word = handshake.word(acknowledged);
    // Sent again it lets in no more than before.
    if !handshake.is_own(known) || known as u32 != acknowledged {
        tables.set_ceiling(handshake.at, word);
    }
}

/// Does a segment on its way out prove a session? Data and the end of a stream do, and so does an acknowledgement of
/// data. One that acknowledges as much as the SYN+ACK does not: a forged segment provokes it.
#[inline(always)]
pub(super) fn is_proof<T: Searches>(tables: &T, tag: Tag, acknowledged: u32) -> bool {
    let handshake = Handshake::of(tag);
    let known = tables.ceiling(handshake.at);
    if handshake.is_own(known) {
        return handshake.is_proven(known, acknowledged);
    }
    tables.set_ceiling(handshake.at, handshake.word(acknowledged));
    false
}
