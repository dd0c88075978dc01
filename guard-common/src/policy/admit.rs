//! The last word on a packet that needs an admission.

use super::{
    Decision, ListenerState, Scratch, Searches,
    ceiling::{Headroom, is_under_ceiling},
    datagram, session, slot,
};
use crate::{
    abi::{
        ceiling,
        ceiling_map::LAST_COOKIE,
        hit::Hit,
        image::MONITOR,
        reason::{Action, Reason, Verdict},
        service::{Service, ServiceKind},
    },
    packet::PacketReader,
};

/// Does everything pass?
#[inline(always)]
pub fn is_monitor<T: Searches>(tables: &T) -> bool {
    slot::in_force(tables).flags() & MONITOR != 0
}

/// The last word on a packet that needs an admission. In the kernel a program of its own has it.
#[inline(always)]
pub(super) fn admit<R, T>(reader: &R, tables: &T, scratch: &Scratch, decision: Decision) -> Decision
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let admission = decision.admission;
    let port = port_of(decision.service);
    if admission.is_by_state() {
        let headroom = if admission.is_segment() {
            session::is_in_state(reader, tables, scratch, admission, port)
        } else {
            datagram::is_admitted(reader, tables, scratch, admission, port)
        };
        return under(decision, headroom);
    }
    let listener = if admission.is_answerable() {
        tables.listener(reader)
    } else {
        ListenerState::None
    };
    let is_monitor = is_monitor(tables);
    match listener {
        ListenerState::Ready => decision,
        ListenerState::Full if is_monitor => decision,
        ListenerState::Full => {
            note_cookie(tables, port);
            Decision {
                verdict: Verdict::of(Reason::SynCookie),
                service: None,
                admission,
                hit: Hit::NONE,
            }
        }
        ListenerState::None => {
            let headroom = is_under_ceiling(reader, tables, || Some(scratch), admission, port);
            under(decision, headroom)
        }
    }
}

/// Takes note of a cookie that goes out to whoever asked for a port, and may come back.
#[inline(always)]
pub fn note_cookie<T: Searches>(tables: &T, port: u16) {
    tables.add_to_ceiling(ceiling::answered(port), 1);
    let tick = u64::from(tables.ticks());
    // Once in a tick: a word that every CPU writes is in no cache.
    if tables.ceiling(LAST_COOKIE) != tick {
        tables.set_ceiling(LAST_COOKIE, tick);
    }
}

/// What a ceiling makes of a decision.
#[inline(always)]
fn under(decision: Decision, headroom: Headroom) -> Decision {
    let (Headroom::Above(reason) | Headroom::Monitored(reason)) = headroom else {
        return decision;
    };
    let mut verdict = Verdict::of(reason);
    if let Headroom::Monitored(_) = headroom {
        verdict.action = Action::Pass;
    }
    Decision {
        verdict,
        hit: Hit::NONE,
        ..decision
    }
}

/// The port that a service is asked for at; 0 where there is none.
#[inline(always)]
fn port_of(service: Option<Service>) -> u16 {
    match service.map(|service| service.kind()) {
        Some(ServiceKind::Tcp(port) | ServiceKind::Udp(port)) => port,
        _ => 0,
    }
}
