//! The fast path of IPv6 and of frames with one tag: the decision is that of untagged IPv4, the readers differ. What
//! is asked about flows is asked of the scratch, where an address of either family has its place.

use super::{
    Admission, Decision, FastPath, Found, FromReason, Scratch, Searches, Slot, datagram, discovery,
    fast_path::{self, LookupArgs},
    fast_path_lookups::by_voucher,
    find_flow, flow,
    plain::{self, Form, Tagged},
    session, slot,
};
use crate::{
    abi::{
        flow::{Event, flow_mark},
        reason::Reason,
    },
    packet::PacketReader,
};

/// What the fast path says of such a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherPath<O> {
    /// What becomes of it.
    Decided(O),
    /// It comes from a source that no rule names, and flows are asked about it.
    NeedsFlows(OtherArgs),
    /// It takes the full path.
    FullPath,
}

/// What is known of a plain packet of another form that comes from a stranger, in numbers that fit a call between BPF
/// functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherArgs {
    /// As [`LookupArgs::request`], and above that whether the rules let it in.
    pub request: u32,
    /// As [`LookupArgs::policy`].
    pub policy: u32,
    /// [`Form`].
    pub form: u32,
}

impl OtherArgs {
    const OPEN: u32 = 1 << 31;

    #[inline(always)]
    const fn is_open(self) -> bool {
        self.request & Self::OPEN != 0
    }

    #[inline(always)]
    const fn lookups(self) -> LookupArgs {
        LookupArgs {
            // It stands in the scratch.
            source: 0,
            request: self.request & !Self::OPEN,
            policy: self.policy,
        }
    }
}

/// Looks at a frame of IPv6, or with one tag.
#[inline(always)]
pub fn fast_path_others<R, T, O>(reader: &R, tables: &T) -> OtherPath<O>
where
    R: PacketReader + ?Sized,
    T: Searches,
    O: FromReason,
{
    let state = slot::in_force(tables);
    let Some(form) = plain::other(reader) else {
        return OtherPath::FullPath;
    };
    let found = match form {
        Form::TAGGED_V4 => plain::read_v4::<R, Tagged>(reader)
            .map(|packet| fast_path::decide(tables, state, packet)),
        _ => plain::read_v6(
            reader,
            form,
            T::hide(form.network_at() as u64) as usize & 31,
        )
        .map(|packet| fast_path::decide(tables, state, packet)),
    };
    let (args, open) = match found {
        Some(FastPath::Decided(outcome)) => return OtherPath::Decided(outcome),
        Some(FastPath::OpenPort(args)) => (args, OtherArgs::OPEN),
        Some(FastPath::MayBeReply(args)) => (args, 0),
        Some(FastPath::NeedsLookups(_) | FastPath::FullPath | FastPath::OtherHeaders) | None => {
            return OtherPath::FullPath;
        }
    };
    OtherPath::NeedsFlows(OtherArgs {
        request: args.request | open,
        policy: args.policy,
        form: form.bits(),
    })
}

/// The rest of it: what is the packet part of?
#[inline(always)]
pub fn fast_path_flows<R, T>(
    reader: &R,
    tables: &T,
    scratch: &Scratch,
    args: OtherArgs,
) -> Option<Decision>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    // First, so that the verifier follows one packet behind it, whatever its form was.
    Form::from_bits(args.form).read_again(reader, &scratch.packet)?;
    let lookups = args.lookups();
    let request = lookups.request();
    let mut passes = fast_path::decision(lookups.reason(), Some(request.service()));
    let in_mode = |decision| super::in_mode(lookups.state(), decision);
    if args.is_open() {
        let policy = &Slot::of(tables, lookups.state());
        if request.is_udp() {
            passes.hit = fast_path::hit_of_datagram(policy, lookups);
        }
        let ceiling = if request.is_udp() {
            datagram::ceiling_of(policy)
        } else {
            session::ceiling_of(policy)
        };
        if ceiling.is_none() {
            return Some(in_mode(passes));
        }
    }
    if args.is_open() && request.is_udp() {
        return Some(in_mode(Decision {
            admission: Admission::DATAGRAM,
            ..passes
        }));
    }
    let tuple = &scratch.packet.ends(request.protocol());
    let tag = tuple.tag(|index| tables.flow_key(index));
    let marks = tables.port_marks(tuple.local_port);
    let found = if marks & flow_mark(tuple.protocol) == 0 {
        Found::Nothing
    } else {
        // Here, and not behind a call.
        find_flow(tables, tag, Event::Arrives)
    };
    if args.is_open() {
        let voucher = session::voucher_of(tables, tag, found);
        return Some(in_mode(by_voucher(voucher, Admission::SEGMENT, passes)));
    }
    match found {
        Found::Living => Some(in_mode(fast_path::decision(Reason::Reply, None))),
        Found::Session => Some(in_mode(fast_path::decision(
            Reason::LiveSession,
            Some(request.service()),
        ))),
        // What may still be an answer takes the full path.
        Found::Nothing | Found::Expired
            if discovery::may_have_asked(tuple.protocol, marks)
                || flow::may_have_session(tuple.protocol, marks, found) =>
        {
            None
        }
        Found::Nothing | Found::Expired => Some(in_mode(fast_path::drop_stranger(tables, lookups))),
    }
}
