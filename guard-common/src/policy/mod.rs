//! Facts to a verdict: the one ordered list of stages.
//!
//! 1. parse errors, bad TCP flags, addresses that no sender can have
//! 2. essential traffic that a default drop must never break
//! 3. bans
//! 4. known flows: replies to what this host started
//! 5. rules, first match
//! 6. limits per source
//! 7. default
//!
//! The list is the meaning. The code decides earlier where the outcome cannot differ: a SYN to a
//! port that no rule opens can be no reply, so it is dropped straight behind the port table.
//! Likewise the rules are asked before the flows: what they let in needs no flow, and what they drop
//! passes as part of one. Limits are asked about what a rule with a limit lets in, which no flow need
//! vouch for. A SYN to a port whose ceiling was found exceeded in the same jiffy is dropped before bans:
//! nothing behind would let it in, and the flood that it is part of must cost little.
//!
//! In monitor mode everything passes, under the reason for which it would have been dropped.

mod admission;
mod admit;
mod answered;
mod ban;
mod ceiling;
mod classify;
mod datagram;
mod discovery;
mod essential;
mod fast_path;
mod flow;
mod fragment;
mod hit;
mod limit;
mod outgoing;
mod peer;
mod plain;
mod related;
mod relation;
mod rules;
mod rules_answer;
mod scratch;
mod searches;
mod session;
mod slot;
mod sockets;
mod source;
mod tables;
mod tcp;

pub use admission::{Admission, AdmissionKind};
pub use admit::{is_monitor, note_cookie};
pub use ban::{
    BanBucket, BanWords, FingerprintAnswer, ask_fingerprints, find_ban, is_banned,
    is_in_banned_prefix,
};
pub use ceiling::{
    CeilingQuery, Headroom, is_ceiling_exceeded, is_known, is_prefix_ceiling_exceeded,
    is_under_ceiling, under_ceiling,
};
pub use classify::longest_prefix;
pub use datagram::{has_sent_before, is_admitted};
pub use fast_path::{
    FastPath, LookupArgs, fast_path, fast_path_lookups, fast_path_open, fast_path_others,
};
pub use flow::{Found, begin_flow, find_flow, find_place, tuple_of};
pub use limit::{
    MeterWay, NewConnection, exempt_key, find_entry, is_within_limit, note_reply, put,
};
pub use outgoing::{note_outgoing, note_packet};
pub use peer::note_question;
pub use plain::ServiceRequest;
pub use relation::{Relation, relation};
use rules::{Question, ask_rules};
pub use rules::{
    ServiceEntry, conditions, evaluate_rules, interface_class, is_on_never_list, scope_of,
};
pub use rules_answer::{Circumstances, RuleLookup, RulesAnswer};
pub use scratch::{Scratch, Subject};
pub use searches::Searches;
pub use session::is_in_state;
use slot::Slot;
pub use sockets::{ListenerState, SocketState};
pub use tables::{Bucket, MeterBucket, Tables};

use crate::{
    abi::{
        hit::Hit,
        image::{ANY_ALLOWS, DEFAULT_ALLOW, MONITOR},
        reason::{Action, Reason, Verdict},
        service::Service,
        switch::SlotState,
    },
    packet::{self, Frame, Packet, PacketReader, Transport},
};

/// A verdict and the service that was asked for, under which the packet is counted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens and why.
    pub verdict: Verdict,
    /// The service, for packets whose transport header was read and that are no replies.
    pub service: Option<Service>,
    /// Whether it opens a connection: what lets it in may not be the last word.
    pub admission: Admission,
    /// The rule that it is counted for.
    pub hit: Hit,
}

impl Decision {
    /// Of a packet with this reason: neither admitted below a ceiling nor counted for a rule.
    #[inline(always)]
    pub(crate) const fn of(reason: Reason, service: Option<Service>) -> Self {
        Self {
            verdict: Verdict::of(reason),
            service,
            admission: Admission::NONE,
            hit: Hit::NONE,
        }
    }

    #[inline(always)]
    const fn with(self, admission: Admission, hit: Hit) -> Self {
        Self {
            admission,
            hit,
            ..self
        }
    }
}

/// Where a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Index of the network interface.
    pub ifindex: u32,
}

/// What becomes of a frame.
#[inline(always)]
pub fn evaluate<R, T>(reader: &R, tables: &T, arrival: Arrival) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    evaluate_full(reader, tables, arrival, |_| ())
}

/// What becomes of a frame the way the kernel goes: by the fast path where that leads anywhere. The same as
/// [`evaluate`], but for the number of the rule. `first` is told what is said before the admission.
#[inline(always)]
pub fn evaluate_fast_first<R, T>(
    reader: &R,
    tables: &T,
    arrival: Arrival,
    first: impl FnOnce(&Decision),
) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let scratch = &Scratch::default();
    let decision = match fast_path_in(reader, tables, scratch) {
        Some(decision) => decision,
        None => evaluate_in(reader, tables, arrival, scratch),
    };
    first(&decision);
    if decision.admission.is_none() {
        return decision;
    }
    admit::admit(reader, tables, scratch, decision)
}

/// [`evaluate`]; `first` is told what is said before the admission.
#[inline(always)]
pub fn evaluate_full<R, T>(
    reader: &R,
    tables: &T,
    arrival: Arrival,
    first: impl FnOnce(&Decision),
) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let scratch = &Scratch::default();
    let decision = evaluate_in(reader, tables, arrival, scratch);
    first(&decision);
    if decision.admission.is_none() {
        return decision;
    }
    admit::admit(reader, tables, scratch, decision)
}

/// The fast path, which the kernel tries first: what [`evaluate_full`] says first, but for the number of
/// the rule; `None` where that takes the full path.
#[inline(always)]
pub fn evaluate_fast_path<R, T>(reader: &R, tables: &T) -> Option<Decision>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    fast_path_in(reader, tables, &Scratch::default())
}

#[inline(always)]
fn fast_path_in<R, T>(reader: &R, tables: &T, scratch: &Scratch) -> Option<Decision>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    match fast_path(reader, tables) {
        FastPath::Decided(decision) => Some(decision),
        FastPath::OpenPort(args) => fast_path_open(reader, tables, args),
        FastPath::NeedsFlows(args) | FastPath::NeedsRules(args) => {
            fast_path_lookups(reader, tables, || Some(scratch), args)
        }
        FastPath::OtherForm => fast_path_others(reader, tables, || Some(scratch)),
        FastPath::FullPath => None,
    }
}

#[inline(always)]
fn evaluate_in<R, T>(reader: &R, tables: &T, arrival: Arrival, scratch: &Scratch) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    match read(reader, scratch) {
        Some(reason) => by_frame(tables, reason),
        None => decide(reader, tables, arrival, scratch),
    }
}

/// Reads a frame into the scratch. What is no IP packet, or none that can be believed, is decided by that:
/// the reason.
#[inline(always)]
pub fn read<R: PacketReader + ?Sized>(reader: &R, scratch: &Scratch) -> Option<Reason> {
    match packet::parse(reader, &scratch.packet) {
        Ok(Frame::Ip) => None,
        Ok(Frame::Arp) => Some(Reason::Arp),
        Ok(Frame::SlowProtocol) => Some(Reason::SlowProtocol),
        Ok(Frame::Lldp) => Some(Reason::Lldp),
        Ok(Frame::Eapol) => Some(Reason::Eapol),
        Ok(Frame::SpanningTree) => Some(Reason::SpanningTree),
        Err(error) => Some(error.reason()),
    }
}

/// What becomes of a frame for a reason of its own.
#[inline(always)]
pub fn by_frame<T: Searches>(tables: &T, reason: Reason) -> Decision {
    in_mode(slot::in_force(tables), Decision::of(reason, None))
}

/// In monitor mode everything passes.
#[inline(always)]
fn in_mode(state: SlotState, mut decision: Decision) -> Decision {
    if state.flags() & MONITOR != 0 {
        decision.verdict.action = Action::Pass;
    }
    decision
}

/// What becomes of the IP packet in the scratch.
#[inline(always)]
pub fn decide<R, T>(reader: &R, tables: &T, arrival: Arrival, scratch: &Scratch) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let state = slot::in_force(tables);
    let packet = &scratch.packet;
    let verdict = run_stages(reader, tables, state, arrival, scratch);
    let admission = Admission::of(tables, packet, verdict);
    // What is under a ceiling is remembered when it fits.
    if matches!(verdict.action, Action::Pass) && admission.is_none() {
        fragment::remember(tables, packet);
    }
    let decision = Decision {
        verdict,
        service: if let Reason::Reply = verdict.reason {
            // Its port is one of our own choosing and stands for no service.
            None
        } else {
            service_of(packet)
        },
        admission,
        hit: hit::of(state, packet, verdict),
    };
    in_mode(state, decision)
}

/// The stages, one by one.
#[inline(always)]
fn run_stages<R, T>(
    reader: &R,
    tables: &T,
    state: SlotState,
    arrival: Arrival,
    scratch: &Scratch,
) -> Verdict
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let packet = &scratch.packet;
    if let Some(verdict) = by_form(packet) {
        return verdict;
    }
    let Some(service) = service_of(packet) else {
        if ban::is_dropped(tables, state, packet.source()) {
            return Verdict::of(Reason::Banned);
        }
        return Verdict::of(fragment::continues(tables, packet));
    };
    let question = question(state, arrival, packet);
    let policy = &Slot::of(tables, state);
    let entry = ServiceEntry::of(policy, service);
    let group = entry.group();
    // 5. Rules, 7. default. A SYN is no reply, and what no rule names may be one: flows are asked
    // before the classes of sources.
    let is_closed = group == 0 && state.flags() & (DEFAULT_ALLOW | ANY_ALLOWS) == 0;
    if is_closed && question.opens {
        return Verdict::of(Reason::DefaultDrop);
    }
    if question.opens {
        let port = service.row() as u16;
        let query = CeilingQuery::of(policy, state.flags(), port, packet.destination());
        if tables.is_ceiling_exceeded(query, packet.source()) {
            return Verdict::of(Reason::Ceiling);
        }
    }
    // 3. Bans.
    if ban::is_dropped(tables, state, packet.source()) {
        return Verdict::of(Reason::Banned);
    }
    if !is_closed {
        let verdict = ask_rules(policy, question, group).verdict();
        if question.opens || !would_relation_matter(verdict) {
            // 6. Limits.
            return limit::within(tables, policy.base(), packet, question.opens, verdict);
        }
    }
    // 4. Known flows.
    let mut relation = tables.relation(reader, scratch);
    if let Relation::Reply = relation {
        return Verdict::of(Reason::Reply);
    }
    if let Relation::Flood = relation {
        return Verdict::of(Reason::IcmpCeiling);
    }
    if let Relation::Discovered = relation
        && discovery::is_wanted(tables, state, arrival, packet)
    {
        return Verdict::of(Reason::Reply);
    }
    if let Relation::Answer = relation {
        let rules = outgoing::ask_about_answer(tables, state, arrival, &scratch.answer);
        relation = if rules.is_allowed_by_rule() {
            Relation::Related
        } else {
            Relation::Nothing
        };
    }
    let verdict = ask_rules(policy, question, group).verdict();
    match relation {
        // No flow has an address of ours at its other end, but a socket may.
        Relation::Session | Relation::Related if !would_relation_matter(verdict) => verdict,
        Relation::Session => Verdict::of(Reason::LiveSession),
        Relation::Related => Verdict::of(Reason::IcmpRelated),
        Relation::Reply
        | Relation::Answer
        | Relation::Discovered
        | Relation::Flood
        | Relation::Nothing => {
            if matches!(verdict.reason, Reason::DefaultDrop) && related::is_error(packet) {
                Verdict::of(Reason::IcmpUnrelated)
            } else {
                verdict
            }
        }
    }
}

/// Would a known flow make a difference? A source address of our own stays a forgery.
#[inline(always)]
fn would_relation_matter(verdict: Verdict) -> bool {
    matches!(verdict.reason, Reason::DefaultDrop | Reason::RuleDeny)
}

#[inline(always)]
fn question(state: SlotState, arrival: Arrival, packet: &Packet) -> Question<'_> {
    Question {
        packet,
        ifindex: arrival.ifindex,
        opens: tcp::opens_connection(packet),
        state,
    }
}

/// The decision about an IP packet by its headers and the policy in force alone, as if there were no
/// flows: what becomes of a stranger.
#[inline(always)]
pub fn evaluate_stateless<T: Searches>(
    tables: &T,
    arrival: Arrival,
    packet: &Packet,
    service: Option<Service>,
) -> Verdict {
    let state = slot::in_force(tables);
    let mut verdict = match (by_form(packet), service) {
        (Some(verdict), _) => verdict,
        (None, None) => Verdict::of(fragment::continues(tables, packet)),
        (None, Some(service)) => {
            let policy = &Slot::of(tables, state);
            let group = rules::group_number(policy, service);
            let question = question(state, arrival, packet);
            ask_rules(policy, question, group).verdict()
        }
    };
    if state.flags() & MONITOR != 0 {
        verdict.action = Action::Pass;
    }
    verdict
}

/// Stages 1 and 2: what the packet alone decides.
#[inline(always)]
fn by_form(packet: &Packet) -> Option<Verdict> {
    // 1. What no honest sender sends.
    if let Some(reason) = tcp::bad_flags(packet) {
        return Some(Verdict::of(reason));
    }
    // 2. Essential traffic. It is recognised first, because some of it comes from 0.0.0.0 or `::`.
    let essential = essential::classify(packet);
    if let Some(reason) = source::martian(packet, essential) {
        return Some(Verdict::of(reason));
    }
    essential.map(Verdict::of)
}

/// The service that a packet asks for; none behind a later fragment. The ICMP of the other family is
/// a number like any other.
#[inline(always)]
fn service_of(packet: &Packet) -> Option<Service> {
    match packet.transport() {
        Transport::None => None,
        Transport::Tcp {
            destination_port, ..
        } => Some(Service::tcp(destination_port)),
        Transport::Udp {
            destination_port, ..
        } => Some(Service::udp(destination_port)),
        Transport::Icmp { kind, .. } if packet.is_v4() => Some(Service::icmp(kind)),
        Transport::Icmpv6 { kind, .. } if !packet.is_v4() => Some(Service::icmpv6(kind)),
        Transport::Icmp { .. } | Transport::Icmpv6 { .. } | Transport::Other => {
            Some(Service::protocol(packet.protocol()))
        }
    }
}
