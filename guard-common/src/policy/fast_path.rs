//! The fast path: what floods are made of, TCP or UDP without options, extensions or fragments, is read in one piece,
//! and most of it gets its verdict before anything is called: what comes from sources that are banned by their address,
//! and from those that no rule names, where neither a limit nor a flow has a say. For the rest rules, limits and flows
//! are asked without the full path's search for headers. What is decided here is what the full path decides (tests hold
//! the two against each other), but for the number of the rule; where it is not so simple, nothing is.

use super::{
    Admission, CeilingQuery, Decision, Found, NewConnection, RulesAnswer, Scratch, Searches, Slot,
    SocketState, Subject, ban, classify, datagram, discovery, flow, in_mode, is_ceiling_exceeded,
    limit,
    plain::{Form, PlainPacket, ServiceRequest},
    rules::{self, ServiceEntry},
    session, slot,
};
use crate::{
    abi::{flow::Tuple, hit::Hit, image::BY_SOURCE, reason::Reason, switch::SlotState},
    packet::PacketReader,
};

/// What the fast path says of a frame. The kernel makes `O`, its record, of a decision where most of that is a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPath<O> {
    /// What becomes of the frame.
    Decided(O),
    /// It is part of a session or nothing, and comes from a stranger to a port that no limit counts: [`fast_path_open`].
    OpenPort(LookupArgs),
    /// It is a stranger's, whom no rule lets in, and may be an answer: [`fast_path_lookups`].
    NeedsFlows(LookupArgs),
    /// A rule may name its source, or a limit counts it: the same.
    NeedsRules(LookupArgs),
    /// It takes the full path.
    FullPath,
    /// It is IPv6: [`fast_path_others`].
    OtherForm,
}

/// What is known of a plain packet of nobody banned that needs look-ups.
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
    let packet = match Form::of(reader) {
        Some(Form { is_v4: false, .. }) => return FastPath::OtherForm,
        Some(Form { tags: 0, .. }) => Form::v4(0).read_v4(reader),
        Some(_) => Form::v4(1).read_v4(reader),
        None => None,
    };
    let Some(packet) = packet else {
        return FastPath::FullPath;
    };
    // Hidden, else the compiler keeps the word that it is made of.
    let state = slot::hidden::<T>(slot::in_force(tables));
    decide(tables, state, true, packet)
}

/// The rest of it for a segment to an open port: what vouches for it?
#[inline(always)]
pub fn fast_path_open<T: Searches>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
    args: LookupArgs,
) -> Option<Decision> {
    let request = args.request.of_segment();
    let args = LookupArgs { request, ..args };
    let (ends, answer) = (|| request.ends_v4(reader), of_stranger(tables, args));
    let decision = by_flows(tables, ends, (args, answer), true, || None)?;
    // The last word on it reads its headers again.
    Some(decision.with(decision.admission.plain_v4(request), decision.hit))
}

/// The rest of it for what needs rules, limits or flows. The scratch is asked for where it is needed, which is seldom.
#[inline(always)]
pub fn fast_path_lookups<'s, T: Searches>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
    scratch: impl Fn() -> Option<&'s Scratch>,
    args: LookupArgs,
) -> Option<Decision> {
    let (request, policy) = (args.request, &Slot::of(tables, args.state));
    let (flags, entry) = (args.state.flags(), args.entry);
    let ends = || request.ends_v4(reader);
    let answer = if request.0 & ServiceRequest::IS_NAMED != 0 {
        rules::of_source_v4(policy, flags, entry, ends()?.remote)
    } else {
        of_stranger(tables, args)
    };
    if !answer.lets_in() {
        let is_own = answer.is_own_source();
        // The flows are asked before a source is called one of our own.
        return if is_own && entry.is_closed(flags) {
            None
        } else if is_own || request.opens() || !flow::may_have_any(tables, request) {
            Some(by_rules(args, answer, Admission::NONE))
        } else {
            let noted = || Form::v4(request.tags()).note(reader, scratch()?);
            by_flows(tables, ends, (args, answer), false, noted)
        };
    }
    let rule = answer.verdict().rule;
    let is_segment = !request.opens() && !request.is_udp();
    if is_segment && limit::counts_packets(policy, rule) {
        // The full path asks first whether a segment that is charged is part of a session.
        return None;
    } else if !is_segment && rule.is_limited() {
        let connection = NewConnection::of(policy.base(), rule, &ends()?, request.opens());
        // Here, and not behind a call.
        if !limit::is_within_limit(tables, connection) {
            return Some(dropped(args.state, request, Reason::Limited));
        }
    }
    let admission = Admission::plain(tables, true, request, answer);
    Some(by_rules(args, answer, admission))
}

/// The whole fast path of IPv6: the same decision with other readers. `None`: it takes the full path.
#[inline(always)]
pub fn fast_path_others<'s, T: Searches, O: From<Decision>>(
    reader: &(impl PacketReader + ?Sized),
    tables: &T,
    scratch: impl Fn() -> Option<&'s Scratch>,
) -> Option<O> {
    let state = slot::in_force(tables);
    // Hidden, so that what has a tag and what has none is one way to the verifier.
    let tags = T::hide(Form::of(reader)?.tags.into()) as u8 & 1;
    let form = Form { is_v4: false, tags };
    let args = match decide(tables, state, false, form.read_v6(reader)?) {
        FastPath::Decided(decided) => return Some(decided),
        FastPath::OpenPort(args) | FastPath::NeedsFlows(args) => args,
        FastPath::NeedsRules(_) | FastPath::FullPath | FastPath::OtherForm => return None,
    };
    // First, so that the verifier follows one packet behind it, whatever its form was.
    let packet = &Form::of(reader)?.note(reader, scratch()?)?.packet;
    let ends = || Some(packet.ends(args.request.protocol()));
    let answer = of_stranger(tables, args);
    // Sockets are asked on the full path.
    by_flows(tables, ends, (args, answer), answer.lets_in(), || None).map(O::from)
}

/// Decides about a plain packet, as far as that takes no search.
#[inline(always)]
fn decide<T: Searches, O: From<Decision>>(
    tables: &T,
    state: SlotState,
    is_v4: bool,
    packet: PlainPacket,
) -> FastPath<O> {
    let (source, flags) = (packet.source, state.flags());
    let request = packet.request.hidden::<T>();
    let dropped = |reason| FastPath::Decided(O::from(dropped(state, request, reason)));
    if request.opens() {
        let policy = &Slot::of(tables, state);
        let query = CeilingQuery::of(policy, flags, request.port(), packet.local);
        if ServiceEntry::of(policy, request.service()).is_closed(flags) {
            return dropped(Reason::DefaultDrop);
        } else if is_ceiling_exceeded(tables, query, source) {
            return dropped(Reason::Ceiling);
        }
    }
    if ban::is_dropped_here(tables, state, source) {
        return dropped(Reason::Banned);
    }
    // Made here, because a packet of a banned source needs none of it.
    let policy = &Slot::of(tables, slot::hidden::<T>(state));
    // Of a SYN read a second time, which costs less than keeping it past the bans.
    let entry = ServiceEntry::of(policy, request.hidden::<T>().service());
    let args = LookupArgs {
        request,
        state,
        entry,
    };
    if flags & rules::NOT_SIMPLE != 0 {
        return FastPath::FullPath;
    } else if flags & BY_SOURCE != 0 && classify::may_be_named(policy, source) {
        let request = ServiceRequest(request.0 | ServiceRequest::IS_NAMED);
        return FastPath::NeedsRules(LookupArgs { request, ..args });
    }
    // The last word on a datagram reads IPv4 again, and IPv6 from the scratch.
    let is_decided = request.opens() || is_v4 && request.is_udp();
    let answer = rules::of_stranger(policy, flags, entry, is_decided);
    if answer.lets_in() {
        if answer.is_limited() {
            return FastPath::NeedsRules(args);
        } else if !is_decided {
            return FastPath::OpenPort(args);
        }
    } else if !request.opens() && flow::may_have_any(tables, request) {
        return FastPath::NeedsFlows(args);
    }
    let admission = Admission::plain(tables, is_v4, request, answer);
    FastPath::Decided(O::from(by_rules(args, answer, admission)))
}

/// What is dropped without a rule, for this reason.
#[inline(always)]
fn dropped(state: SlotState, request: ServiceRequest, reason: Reason) -> Decision {
    in_mode(state, Decision::of(reason, Some(request.service())))
}

/// Decides about a plain packet by what the rules say of it, and by this ceiling.
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

/// What the rules say of a stranger's segment or datagram.
#[inline(always)]
fn of_stranger<T: Searches>(tables: &T, args: LookupArgs) -> RulesAnswer {
    let (flags, with_rule) = (args.state.flags(), args.request.is_udp());
    rules::of_stranger(&Slot::of(tables, args.state), flags, args.entry, with_rule)
}

/// Decides about a segment or datagram, to an open port or else of which the rules say to drop it: what is it part of?
/// `noted` is the scratch with the packet in it, for the socket table.
#[inline(always)]
fn by_flows<'s, T: Searches>(
    tables: &T,
    ends: impl Fn() -> Option<Tuple>,
    (args, answer): (LookupArgs, RulesAnswer),
    is_open: bool,
    noted: impl Fn() -> Option<&'s Scratch>,
) -> Option<Decision> {
    let (request, policy) = (args.request, &Slot::of(tables, args.state));
    let by_rules = |admission| Some(by_rules(args, answer, admission));
    if is_open && request.is_udp() {
        return by_rules(datagram::admission(policy));
    } else if is_open && session::ceiling_of(policy).is_none() {
        return by_rules(Admission::NONE);
    }
    let (protocol, marks) = (request.protocol(), tables.port_marks(request.port()));
    let tag = ends()?.tag(|index| tables.flow_key(index));
    let found = flow::find_here(tables, tag, protocol, marks);
    if is_open {
        return by_rules(session::voucher(tables, tag, found).admission());
    } else if matches!(found, Found::Living) {
        return Some(Decision::of(Reason::Reply, None));
    } else if !matches!(found, Found::Session) {
        let may_have_session = flow::may_have_session(protocol, marks, found);
        let socket = || Some(tables.socket(noted()?, Subject::Packet));
        if discovery::may_have_asked(protocol, marks) {
            return None;
        } else if !may_have_session || matches!(socket()?, SocketState::None) {
            return by_rules(Admission::NONE);
        }
    }
    Some(Decision::of(Reason::LiveSession, Some(request.service())))
}
