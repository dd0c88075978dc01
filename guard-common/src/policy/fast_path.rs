//! The fast path: what floods are made of, TCP or UDP without options, extensions or fragments, is read in
//! one piece, and most of it gets its verdict before anything is called: what comes from sources that are
//! banned by their address, and from those that no rule names, where neither a limit nor a flow has a say.

use super::{
    Admission, CeilingQuery, Decision, Searches, Slot, classify, flow, is_ceiling_exceeded,
    plain::{self, PlainPacket, ServiceRequest, SourceAddr, Untagged},
    rules::{self, ServiceEntry},
    rules_answer::RulesAnswer,
};
use crate::{
    abi::{
        ceiling,
        hit::Hit,
        image::{ANY_ALLOWS, BY_SOURCE, DEFAULT_ALLOW, MONITOR},
        reason::{Action, Reason, Verdict},
        service::Service,
        switch::SlotState,
    },
    packet::PacketReader,
};

/// What is made of a reason. The kernel makes its record at the place where the reason is known, where most
/// of it is a constant.
pub trait FromReason: Sized {
    /// Of a packet with this reason, without the number of a rule; in monitor mode it passes.
    fn from_reason(
        reason: Reason,
        service: Service,
        admission: Admission,
        hit: Hit,
        is_monitor: bool,
    ) -> Self;
}

impl FromReason for Decision {
    #[inline(always)]
    fn from_reason(
        reason: Reason,
        service: Service,
        admission: Admission,
        hit: Hit,
        is_monitor: bool,
    ) -> Self {
        let mut verdict = Verdict::of(reason);
        if is_monitor {
            verdict.action = Action::Pass;
        }
        Self {
            verdict,
            service: Some(service),
            admission,
            hit,
        }
    }
}

/// What the fast path says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPath<O> {
    /// What becomes of the frame.
    Decided(O),
    /// It is a plain packet, and nobody banned sent it.
    NeedsLookups(LookupArgs),
    /// It is a segment or a datagram that the rules let in, and it is asked what it is part of.
    OpenPort(LookupArgs),
    /// No rule lets it in, but it may be part of a flow or a session.
    MayBeReply(LookupArgs),
    /// It takes the full path.
    FullPath,
    /// It is none of untagged IPv4: [`super::fast_path_others`].
    OtherHeaders,
}

/// What is known of a plain packet that needs look-ups, in numbers that fit a call between BPF functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupArgs {
    /// Its source.
    pub source: u32,
    /// [`ServiceRequest`].
    pub request: u32,
    /// The policy in force (12 bits), whether some prefix of its rules may hold the source (1), whether the default
    /// lets it in (1), entry of the service (the upper half).
    pub policy: u32,
}

impl LookupArgs {
    const NAMED: u32 = 1 << SlotState::BITS;
    const BY_DEFAULT: u32 = Self::NAMED << 1;
    const ENTRY_SHIFT: u32 = 16;
    const STATE: u32 = Self::NAMED - 1;

    #[inline(always)]
    pub(super) fn state(self) -> SlotState {
        SlotState::from_bits(self.policy & Self::STATE)
    }

    #[inline(always)]
    pub(super) const fn entry(self) -> ServiceEntry {
        ServiceEntry::from_bits(self.policy >> Self::ENTRY_SHIFT)
    }

    #[inline(always)]
    pub(super) const fn may_be_named(self) -> bool {
        self.policy & Self::NAMED != 0
    }

    /// Why what the rules let in passes.
    #[inline(always)]
    pub(super) const fn reason(self) -> Reason {
        if self.policy & Self::BY_DEFAULT != 0 {
            Reason::DefaultAllow
        } else {
            Reason::RuleAllow
        }
    }

    #[inline(always)]
    pub(super) const fn request(self) -> ServiceRequest {
        ServiceRequest(self.request)
    }
}

/// Looks at a frame whose EtherType is that of IPv4.
#[inline(always)]
pub(super) fn fast_path<R, T, O>(reader: &R, tables: &T, state: SlotState) -> FastPath<O>
where
    R: PacketReader + ?Sized,
    T: Searches,
    O: FromReason,
{
    match plain::read_v4::<R, Untagged>(reader) {
        Some(packet) => decide(tables, state, packet),
        None => FastPath::FullPath,
    }
}

/// What becomes of a stranger's packet that no rule lets in.
#[inline(always)]
pub(super) fn drop_stranger<T: Searches>(tables: &T, args: LookupArgs) -> Decision {
    let policy = &Slot::of(tables, args.state());
    let answer = rules::of_stranger(policy, args.state().flags(), args.entry());
    by_rules(args, answer)
}

/// What becomes of a packet for which the rules have the last word.
#[inline(always)]
pub(super) fn by_rules(args: LookupArgs, answer: RulesAnswer) -> Decision {
    let verdict = answer.verdict();
    Decision {
        hit: Hit::of(args.state(), verdict.rule),
        ..decision(verdict.reason, Some(args.request().service()))
    }
}

/// The rule that a datagram of a stranger is counted for, which goes to an open port.
#[inline(always)]
pub(super) fn hit_of_datagram<T: Searches>(policy: &Slot<'_, T>, args: LookupArgs) -> Hit {
    Hit::of(args.state(), rules::rule_of_stranger(policy, args.entry()))
}

/// Decides about a plain packet, as far as that takes no search.
#[inline(always)]
pub(super) fn decide<T, S, O>(tables: &T, state: SlotState, packet: PlainPacket<S>) -> FastPath<O>
where
    T: Searches,
    S: SourceAddr,
    O: FromReason,
{
    let source = packet.source;
    // Behind the hiding the compiler keeps this one and nothing that it is made of.
    let request = hidden::<T>(packet.request);
    let flags = state.flags();
    if request.opens() {
        let policy = &Slot::of(tables, state);
        if flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
            && ServiceEntry::of(policy, request.service()).is_none()
        {
            return drop_packet(Reason::DefaultDrop, request, Hit::NONE, flags);
        }
        let query = CeilingQuery {
            base: policy.base(),
            flags,
            port: request.port(),
            local: ceiling::fold(packet.local),
        };
        if is_ceiling_exceeded(tables, query, source.addr()) {
            return drop_packet(Reason::Ceiling, request, Hit::NONE, flags);
        }
    }
    if source.is_banned(tables, state) {
        return drop_packet(Reason::Banned, request, Hit::NONE, flags);
    }
    // Made here, because a packet of a banned source needs none of it.
    let policy = &Slot::of(
        tables,
        SlotState::from_bits(T::hide(u64::from(state.bits())) as u32),
    );
    let request = hidden::<T>(request);
    // Of a SYN read a second time, which costs less than keeping it past the bans.
    let entry = ServiceEntry::of(policy, request.service());
    if flags & rules::NOT_SIMPLE != 0 {
        return FastPath::FullPath;
    }
    let may_be_named = flags & BY_SOURCE != 0 && classify::may_be_named(policy, source.addr());
    let plain = LookupArgs {
        source: source.number(),
        request: request.0,
        policy: state.bits() | entry.bits() << LookupArgs::ENTRY_SHIFT,
    };
    if may_be_named {
        return FastPath::NeedsLookups(LookupArgs {
            policy: plain.policy | LookupArgs::NAMED,
            ..plain
        });
    }
    let answer = rules::of_stranger(policy, flags, entry);
    let reason = answer.verdict().reason;
    if answer.lets_in() {
        if answer.is_limited() {
            return FastPath::NeedsLookups(plain);
        }
        // A segment must be part of a session, and who sends a datagram may have been answered.
        if !request.opens() {
            let by_default = if let Reason::DefaultAllow = reason {
                LookupArgs::BY_DEFAULT
            } else {
                0
            };
            return FastPath::OpenPort(LookupArgs {
                policy: plain.policy | by_default,
                ..plain
            });
        }
        let (service, admission) = (request.service(), packet.form.admission(tables, request));
        let hit = Hit::of(state, rules::rule_of_stranger(policy, entry));
        return FastPath::Decided(O::from_reason(
            reason,
            service,
            admission,
            hit,
            is_monitor(flags),
        ));
    }
    let hit = Hit::of(state, answer.verdict().rule);
    if request.opens() {
        return drop_packet(reason, request, hit, flags);
    }
    let marks = tables.port_marks(request.port());
    if flow::may_have_any(request.protocol(), marks) {
        return FastPath::MayBeReply(plain);
    }
    drop_packet(reason, request, hit, flags)
}

#[inline(always)]
fn hidden<T: Searches>(request: ServiceRequest) -> ServiceRequest {
    ServiceRequest(T::hide(u64::from(request.0)) as u32)
}

#[inline(always)]
fn drop_packet<O: FromReason>(
    reason: Reason,
    request: ServiceRequest,
    hit: Hit,
    flags: u32,
) -> FastPath<O> {
    let service = request.service();
    FastPath::Decided(O::from_reason(
        reason,
        service,
        Admission::NONE,
        hit,
        is_monitor(flags),
    ))
}

#[inline(always)]
const fn is_monitor(flags: u32) -> bool {
    flags & MONITOR != 0
}

#[inline(always)]
pub(super) const fn decision(reason: Reason, service: Option<Service>) -> Decision {
    Decision {
        verdict: Verdict::of(reason),
        service,
        admission: Admission::NONE,
        hit: Hit::NONE,
    }
}
