//! The fast path: what floods are made of, TCP or UDP without options, extensions or fragments, is read in
//! one piece, and most of it gets its verdict before anything is called: what comes from sources that are
//! banned by their address, and from those that no rule names, where neither a limit nor a flow has a say.
//! For the rest rules, limits and flows are asked without the full path's search for headers.
//!
//! What is decided here is what the full path decides (tests hold the two against each other: the kernel takes this
//! one, the model that one), but for the number of the rule; where it is not so simple, nothing is.

use super::{
    Admission, CeilingQuery, Decision, Found, NewConnection, RulesAnswer, Scratch, Searches, Slot,
    SocketState, Subject, ban, classify, datagram, discovery, find_flow, flow, in_mode,
    is_ceiling_exceeded, limit,
    plain::{Form, PlainPacket, ServiceRequest},
    rules::{self, ServiceEntry},
    session::{self, Voucher},
    slot,
};
use crate::{
    abi::{
        ceiling,
        flow::{Event, Tuple},
        hit::Hit,
        image::BY_SOURCE,
        reason::Reason,
        switch::SlotState,
    },
    packet::{Packet, PacketReader},
};

/// What the fast path says of a frame. The kernel makes `O`, its record, of a decision where most of that is a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPath<O> {
    /// What becomes of the frame.
    Decided(O),
    /// It is a plain packet, and nobody banned sent it.
    NeedsLookups(LookupArgs),
    /// It takes the full path.
    FullPath,
    /// It is none of untagged IPv4: [`fast_path_others`].
    OtherForm,
}

/// What is known of a plain packet that needs look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupArgs {
    /// What it asks for.
    pub request: ServiceRequest,
    /// The policy in force.
    pub state: SlotState,
    /// What the policy has of the service.
    pub entry: ServiceEntry,
}

/// The beginning of the fast path, without a call for what it decides.
#[inline(always)]
pub fn fast_path<T: Searches, O: From<Decision>>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
) -> FastPath<O> {
    // First, because frames of another form look at the policy where their own fast path is.
    if Form::of(reader) != Some(Form::V4) {
        return FastPath::OtherForm;
    }
    // Hidden, else the compiler keeps the word that it is made of.
    let state = slot::hidden::<T>(slot::in_force(tables));
    let packet = Form::V4.read_v4(reader);
    packet.map_or(FastPath::FullPath, |packet| {
        decide(tables, state, Form::V4, packet)
    })
}

/// The rest of it. The scratch is asked for where it is needed, which is seldom.
#[inline(always)]
pub fn fast_path_lookups<'s, T: Searches>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
    scratch: impl Fn() -> Option<&'s Scratch>,
    args: LookupArgs,
) -> Option<Decision> {
    let (request, policy) = (args.request, &Slot::of(tables, args.state));
    let (flags, entry, is_udp) = (args.state.flags(), args.entry, request.is_udp());
    let answer = if request.is_named() {
        let (tuple, _) = Form::V4.ends(reader)?;
        rules::of_source_v4(policy, flags, entry, tuple.remote)
    } else {
        rules::of_stranger(policy, flags, entry, is_udp)
    };
    if answer.is_own_source() && entry.is_closed(flags) {
        // The flows are asked before a source is called one of our own.
        return None;
    }
    let rule = answer.verdict().rule;
    let is_limited = request.asks_rules() && answer.lets_in() && rule.is_limited();
    if is_limited && !request.opens() && !is_udp && limit::counts_packets(policy, rule) {
        // The full path asks first whether a segment that is charged is part of a session.
        return None;
    }
    if is_limited && (request.opens() || is_udp) {
        let (tuple, _) = Form::V4.ends(reader)?;
        let connection = NewConnection {
            base: policy.base(),
            rule,
            source: tuple.remote,
            ports: limit::pair(tuple.remote_port, tuple.local_port),
            opens: request.opens(),
        };
        // Here, and not behind a call.
        if !limit::is_within_limit(tables, connection) {
            let limited = Decision::of(Reason::Limited, Some(request.service()));
            return Some(in_mode(args.state, limited));
        }
    }
    if request.opens() {
        let admission = if answer.lets_in() {
            Admission::plain(Form::V4, tables.port_marks(request.port()))
        } else {
            Admission::NONE
        };
        return Some(by_rules(args, answer, admission));
    }
    let ends = || Form::V4.ends(reader).map(|(tuple, _)| tuple);
    let note = |packet: &Packet| Form::V4.note(reader, packet);
    let decision = by_flows(tables, scratch, (ends, note), args, answer)?;
    // The last word on it reads its headers again.
    let admission = decision.admission.plain_v4();
    Some(decision.with(admission, decision.hit))
}

/// The whole fast path of a frame of IPv6 or with one tag: the same decision with other readers. `None`: it takes the
/// full path.
#[inline(always)]
pub fn fast_path_others<'s, T: Searches, O: From<Decision>>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
    scratch: impl Fn() -> Option<&'s Scratch>,
) -> Option<O> {
    let state = slot::in_force(tables);
    let form = Form::of(reader)?;
    // Twice in the program, because an address of either family costs more to ask about.
    let decided = if form.is_v4 {
        decide(tables, state, form, form.read_v4(reader)?)
    } else {
        // Hidden, so that what has a tag and what has none is one way to the verifier.
        let tags = T::hide(form.tags.into()) as u8 & 1;
        let form = Form { tags, ..form };
        decide(tables, state, form, form.read_v6(reader)?)
    };
    match decided {
        FastPath::Decided(decided) => Some(decided),
        FastPath::NeedsLookups(args) if !args.request.asks_rules() => {
            // First, so that the verifier follows one packet behind it, whatever its form was.
            let packet = &scratch()?.packet;
            Form::of(reader)?.note(reader, packet)?;
            let ends = || Some(packet.ends(args.request.protocol()));
            let (policy, is_udp) = (&Slot::of(tables, state), args.request.is_udp());
            let answer = rules::of_stranger(policy, state.flags(), args.entry, is_udp);
            // Sockets are asked on the full path.
            by_flows(tables, scratch, (ends, |_: &_| None), args, answer).map(O::from)
        }
        FastPath::NeedsLookups(_) | FastPath::FullPath | FastPath::OtherForm => None,
    }
}

/// Decides about a plain packet, as far as that takes no search.
#[inline(always)]
fn decide<T: Searches, O: From<Decision>>(
    tables: &T,
    state: SlotState,
    form: Form,
    packet: PlainPacket,
) -> FastPath<O> {
    let (source, flags) = (packet.source, state.flags());
    let request = packet.request.hidden::<T>();
    let decided = |reason, admission, hit| {
        let decision = Decision::of(reason, Some(request.service())).with(admission, hit);
        FastPath::Decided(O::from(in_mode(state, decision)))
    };
    if request.opens() {
        let policy = &Slot::of(tables, state);
        if ServiceEntry::of(policy, request.service()).is_closed(flags) {
            return decided(Reason::DefaultDrop, Admission::NONE, Hit::NONE);
        }
        let query = CeilingQuery {
            base: policy.base(),
            flags,
            port: request.port(),
            local: ceiling::fold(packet.local),
        };
        if is_ceiling_exceeded(tables, query, source) {
            return decided(Reason::Ceiling, Admission::NONE, Hit::NONE);
        }
    }
    if ban::is_dropped_here(tables, state, source) {
        return decided(Reason::Banned, Admission::NONE, Hit::NONE);
    }
    // Made here, because a packet of a banned source needs none of it.
    let policy = &Slot::of(tables, slot::hidden::<T>(state));
    // Of a SYN read a second time, which costs less than keeping it past the bans.
    let entry = ServiceEntry::of(policy, request.hidden::<T>().service());
    if flags & rules::NOT_SIMPLE != 0 {
        return FastPath::FullPath;
    }
    let lookups = |why| {
        let request = ServiceRequest(request.0 | why);
        let args = LookupArgs {
            request,
            state,
            entry,
        };
        FastPath::NeedsLookups(args)
    };
    if flags & BY_SOURCE != 0 && classify::may_be_named(policy, source) {
        return lookups(ServiceRequest::IS_NAMED);
    }
    let answer = rules::of_stranger(policy, flags, entry, false);
    let marks = || tables.port_marks(request.port());
    // A segment must be part of a session, who sends a datagram may have been answered, and what no rule lets in may be
    // an answer.
    let may_be_part = || answer.lets_in() || flow::may_have_any(request.protocol(), marks());
    if answer.lets_in() && answer.is_limited() {
        return lookups(ServiceRequest::IS_LIMITED);
    } else if !request.opens() && may_be_part() {
        return lookups(0);
    }
    let verdict = answer.verdict();
    if answer.lets_in() {
        let hit = Hit::of(state, rules::rule_of_stranger(policy, entry));
        return decided(verdict.reason, Admission::plain(form, marks()), hit);
    }
    let hit = Hit::of(state, verdict.rule);
    decided(verdict.reason, Admission::NONE, hit)
}

/// Decides about a plain packet by what the rules say of it.
#[inline(always)]
fn by_rules(args: LookupArgs, answer: RulesAnswer, admission: Admission) -> Decision {
    let (request, verdict) = (args.request, answer.verdict());
    // Segments of sessions are counted for no rule.
    let hit = if !answer.lets_in() || request.opens() || request.is_udp() {
        Hit::of(args.state, verdict.rule)
    } else {
        Hit::NONE
    };
    let decision = Decision::of(verdict.reason, Some(request.service()));
    in_mode(args.state, decision.with(admission, hit))
}

/// Decides about a segment or datagram of which the rules say this: what is it part of? `note` puts it into the scratch,
/// for the socket table.
#[inline(always)]
fn by_flows<'s, T: Searches>(
    tables: &T,
    scratch: impl Fn() -> Option<&'s Scratch>,
    (ends, note): (impl Fn() -> Option<Tuple>, impl Fn(&Packet) -> Option<()>),
    args: LookupArgs,
    answer: RulesAnswer,
) -> Option<Decision> {
    let (request, policy) = (args.request, &Slot::of(tables, args.state));
    if answer.is_own_source() {
        return Some(by_rules(args, answer, Admission::NONE));
    }
    if answer.lets_in() {
        let ceiling = if request.is_udp() {
            datagram::ceiling_of(policy)
        } else {
            session::ceiling_of(policy)
        };
        let admission = if ceiling.is_none() {
            Admission::NONE
        } else if request.is_udp() {
            Admission::DATAGRAM
        } else {
            // Here, and not behind a call.
            let find = |tag| find_flow(tables, tag, Event::Arrives);
            match session::voucher(tables, &ends()?, find) {
                Voucher::Flow | Voucher::Handshake => Admission::NONE,
                Voucher::Expired => Admission::SEGMENT,
                Voucher::Nothing => Admission::SEGMENT.stray(),
            }
        };
        return Some(by_rules(args, answer, admission));
    }
    let (tuple, marks) = (ends()?, tables.port_marks(request.port()));
    let found = flow::find_here(tables, &tuple, marks, Event::Arrives);
    let live_session = Decision::of(Reason::LiveSession, Some(request.service()));
    match found {
        Found::Living => return Some(Decision::of(Reason::Reply, None)),
        Found::Session => return Some(live_session),
        Found::Nothing | Found::Expired => {}
    }
    if discovery::may_have_asked(request.protocol(), marks) {
        return None;
    }
    if flow::may_have_session(request.protocol(), marks, found) {
        let scratch = scratch()?;
        note(&scratch.packet)?;
        if !matches!(tables.socket(scratch, Subject::Packet), SocketState::None) {
            return Some(live_session);
        }
    }
    Some(by_rules(args, answer, Admission::NONE))
}
