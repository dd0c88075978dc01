//! A glance at a frame: what floods are made of, TCP or UDP without options, extensions or fragments,
//! is read in one piece, and most of what becomes of those is told before anything is called: of
//! sources that are banned by their address, and of those that no rule names, where neither a limit
//! nor a flow has a say.

use super::{
    Judgement, Opening, Searches, Slot, SpentPlace, classify, flow, is_spent,
    plain::{self, Asked, Other, Seen, Sender, Tagged, Untagged},
    rules::{self, ServiceEntry},
};
use crate::{
    abi::{
        ceiling,
        image::{ANY_ALLOWS, BY_SOURCE, DEFAULT_ALLOW, MONITOR},
        reason::{Action, Reason, Verdict},
        service::Service,
        switch::SlotState,
    },
    packet::PacketReader,
};

/// What is made of an outcome. The kernel makes its record of each at the place where it is known, where most
/// of it is a constant.
pub trait Outcome: Sized {
    /// Of a packet with this reason, without the number of a rule; in monitor mode it passes.
    fn told(reason: Reason, service: Service, opening: Opening, is_monitor: bool) -> Self;
}

impl Outcome for Judgement {
    #[inline(always)]
    fn told(reason: Reason, service: Service, opening: Opening, is_monitor: bool) -> Self {
        let mut verdict = Verdict::of(reason);
        if is_monitor {
            verdict.action = Action::Pass;
        }
        Self {
            verdict,
            service: Some(service),
            opening,
        }
    }
}

/// What a glance tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance<O> {
    /// What becomes of the frame.
    Told(O),
    /// It is a plain packet, and nobody banned sent it.
    Plain(Plain),
    /// It takes the whole way.
    Nothing,
    /// It is none of untagged IPv4: [`super::glance_at_others`].
    Other,
}

/// What is known of a plain packet behind a glance, in numbers that fit a call between BPF functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its source.
    pub source: u32,
    /// [`Asked`].
    pub asked: u32,
    /// The policy in force (11 bits), whether some prefix of its rules may hold the source (1), entry of
    /// the service (the upper half).
    pub policy: u32,
}

impl Plain {
    const NAMED: u32 = 1 << SlotState::BITS;
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

    #[inline(always)]
    pub(super) const fn asked(self) -> Asked {
        Asked(self.asked)
    }
}

/// Looks at a frame of untagged IPv4.
#[inline(always)]
pub(super) fn glance<R, T, O>(reader: &R, tables: &T, state: SlotState) -> Glance<O>
where
    R: PacketReader + ?Sized,
    T: Searches,
    O: Outcome,
{
    if !plain::is_v4(reader) {
        return Glance::Other;
    }
    match plain::read_v4::<R, Untagged>(reader) {
        Some(seen) => tell(tables, state, seen),
        None => Glance::Nothing,
    }
}

/// Looks at a frame of IPv6, or with one tag. What takes more than a glance takes the whole way.
#[inline(always)]
pub(super) fn glance_at_others<R, T, O>(reader: &R, tables: &T, state: SlotState) -> Option<O>
where
    R: PacketReader + ?Sized,
    T: Searches,
    O: Outcome,
{
    let glance = match plain::other(reader)? {
        Other::V6 => tell(tables, state, plain::read_v6::<R, Untagged>(reader)?),
        Other::TaggedV4 => tell(tables, state, plain::read_v4::<R, Tagged>(reader)?),
        Other::TaggedV6 => tell(tables, state, plain::read_v6::<R, Tagged>(reader)?),
    };
    match glance {
        Glance::Told(outcome) => Some(outcome),
        Glance::Plain(_) | Glance::Nothing | Glance::Other => None,
    }
}

/// What becomes of a plain packet, as far as that is told without a search.
#[inline(always)]
fn tell<T, S, O>(tables: &T, state: SlotState, seen: Seen<S>) -> Glance<O>
where
    T: Searches,
    S: Sender,
    O: Outcome,
{
    let source = seen.source;
    // Behind the hiding the compiler keeps this one and nothing that it is made of.
    let asked = hidden::<T>(seen.asked);
    let flags = state.flags();
    if asked.opens() {
        let policy = &Slot::of(tables, state);
        if flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
            && ServiceEntry::of(policy, asked.service()).is_none()
        {
            return told(Reason::DefaultDrop, asked, flags);
        }
        let place = SpentPlace {
            base: policy.base(),
            flags,
            port: asked.port(),
            local: ceiling::fold(seen.local),
        };
        if is_spent(tables, place, source.addr()) {
            return told(Reason::Ceiling, asked, flags);
        }
    }
    if source.is_cut(tables, state) {
        return told(Reason::Banned, asked, flags);
    }
    // Made here, because a packet of a banned source needs none of it.
    let policy = &Slot::of(
        tables,
        SlotState::from_bits(T::hide(u64::from(state.bits())) as u32),
    );
    let asked = hidden::<T>(asked);
    // Of a SYN read a second time, which costs less than keeping it past the bans.
    let entry = ServiceEntry::of(policy, asked.service());
    if flags & rules::NOT_SIMPLE != 0 {
        return Glance::Nothing;
    }
    let may_be_named = flags & BY_SOURCE != 0 && classify::may_be_named(policy, source.addr());
    let plain = Plain {
        source: source.number(),
        asked: asked.0,
        policy: state.bits() | entry.bits() << Plain::ENTRY_SHIFT,
    };
    if may_be_named {
        return Glance::Plain(Plain {
            policy: plain.policy | Plain::NAMED,
            ..plain
        });
    }
    let answer = rules::of_stranger(policy, flags, entry);
    let reason = answer.verdict().reason;
    if answer.lets_in() {
        if answer.is_limited() && asked.is_charged() {
            return Glance::Plain(plain);
        }
        let (service, opening) = (asked.service(), seen.form.opening(tables, asked));
        return Glance::Told(O::told(reason, service, opening, is_monitor(flags)));
    }
    if asked.opens() {
        return told(reason, asked, flags);
    }
    let marks = tables.port_marks(asked.port());
    if flow::may_have_any(asked.protocol(), marks) {
        return Glance::Plain(plain);
    }
    told(reason, asked, flags)
}

#[inline(always)]
fn hidden<T: Searches>(asked: Asked) -> Asked {
    Asked(T::hide(u64::from(asked.0)) as u32)
}

#[inline(always)]
fn told<O: Outcome>(reason: Reason, asked: Asked, flags: u32) -> Glance<O> {
    let service = asked.service();
    Glance::Told(O::told(reason, service, Opening::NONE, is_monitor(flags)))
}

#[inline(always)]
const fn is_monitor(flags: u32) -> bool {
    flags & MONITOR != 0
}

#[inline(always)]
pub(super) const fn judgement(reason: Reason, service: Option<Service>) -> Judgement {
    Judgement {
        verdict: Verdict::of(reason),
        service,
        opening: Opening::NONE,
    }
}
