//! The second half of the fast path, for plain packets that need look-ups: rules, limits and flows without the
//! full path's search for headers. What is decided here is what the full path decides (tests hold the two
//! against each other: the kernel takes this one, the model that one); where it is not so simple, nothing is.

use super::{
    Admission, Decision, Found, NewConnection, RuleLookup, Scratch, Searches, Slot, SocketState,
    Subject, datagram, discovery,
    fast_path::{LookupArgs, by_rules, decision, hit_of_datagram},
    find_flow, flow, limit,
    plain::{Ends, Form, ServiceRequest},
    rules,
    rules_answer::RulesAnswer,
    session::{self, Voucher},
};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, Tuple},
        hit::Hit,
        image::{ANY_ALLOWS, DEFAULT_ALLOW, Tree},
        reason::Reason,
    },
    packet::PacketReader,
};

/// Decides about a plain packet, if that can be done here; without the number of a rule.
#[inline(always)]
pub(super) fn decide<'s, R, T>(
    reader: &R,
    tables: &T,
    scratch: impl FnOnce() -> Option<&'s Scratch>,
    args: LookupArgs,
) -> Option<Decision>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let policy = &Slot::of(tables, args.state());
    let source = Addr::from_v4(args.source);
    let request = args.request();
    let answer = ask_rules(tables, policy, args, source);
    let verdict = answer.verdict();
    let service = Some(request.service());
    if answer.is_own_source() {
        // Of a port that no rule names the flows are asked first.
        return if is_closed(args) {
            None
        } else {
            Some(decision(verdict.reason, service))
        };
    }
    if !answer.lets_in() {
        let dropped = by_rules(args, answer);
        return if request.opens() {
            Some(dropped)
        } else {
            let tuple = &tuple(reader, args)?;
            let marks = tables.port_marks(tuple.local_port);
            let found = flow::find_here(tables, tuple, marks, Event::Arrives);
            by_flow(tables, scratch, tuple, (marks, found), dropped)
        };
    }
    if !request.is_charged() && limit::counts_packets(policy, verdict.rule) {
        // A segment that is charged: the full path asks for its session first.
        return None;
    }
    if answer.is_limited() && request.is_charged() {
        let connection = NewConnection {
            base: policy.base(),
            rule: verdict.rule,
            source,
            ports: limit::pair(Ends::read(reader)?.source_port, request.port()),
            opens: request.opens(),
        };
        // Here, and not behind a call.
        if !limit::is_within_limit(tables, connection) {
            return Some(decision(Reason::Limited, service));
        }
    }
    let admission = if request.opens() {
        Form::V4.admission(tables, request)
    } else {
        // The source is known by now, and the rest is asked with everything else that is admitted.
        admission_by_state(request)
    };
    Some(Decision {
        admission,
        hit: if request.opens() || request.is_udp() {
            Hit::of(args.state(), verdict.rule)
        } else {
            Hit::NONE
        },
        ..decision(verdict.reason, service)
    })
}

/// Decides about a plain packet of a stranger to an open port, which opens no connection.
#[inline(always)]
pub(super) fn decide_open<R, T>(reader: &R, tables: &T, args: LookupArgs) -> Option<Decision>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let request = args.request();
    let policy = &Slot::of(tables, args.state());
    let mut passes = decision(args.reason(), Some(request.service()));
    if request.is_udp() {
        passes.hit = hit_of_datagram(policy, args);
    }
    let ceiling = if request.is_udp() {
        datagram::ceiling_of(policy)
    } else {
        session::ceiling_of(policy)
    };
    if ceiling.is_none() {
        return Some(passes);
    }
    let admission = admission_by_state(request);
    if request.is_udp() {
        return Some(Decision {
            admission,
            ..passes
        });
    }
    let tuple = &tuple(reader, args)?;
    // Here, and not behind a call.
    let find = |tag| find_flow(tables, tag, Event::Arrives);
    let voucher = session::voucher(tables, tuple, find);
    Some(by_voucher(voucher, admission, passes))
}

/// Of a segment that the rules let in: `admission` is asked where nothing vouches for it yet.
#[inline(always)]
pub(super) const fn by_voucher(
    voucher: Voucher,
    admission: Admission,
    passes: Decision,
) -> Decision {
    if voucher.is_enough() {
        return passes;
    }
    Decision {
        admission: if matches!(voucher, Voucher::Nothing) {
            admission.stray()
        } else {
            admission
        },
        ..passes
    }
}

/// Of a plain segment or datagram, whose headers are read again for it.
#[inline(always)]
const fn admission_by_state(request: ServiceRequest) -> Admission {
    if request.is_udp() {
        Admission::DATAGRAM.plain_v4()
    } else {
        Admission::SEGMENT.plain_v4()
    }
}

/// Does no rule name the service, nor let anything in?
#[inline(always)]
fn is_closed(args: LookupArgs) -> bool {
    args.entry().is_none() && args.state().flags() & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
}

/// What the rules say, where none names an interface or a destination.
#[inline(always)]
fn ask_rules<T: Searches>(
    tables: &T,
    policy: &Slot<'_, T>,
    args: LookupArgs,
    source: Addr,
) -> RulesAnswer {
    let class = if args.may_be_named() {
        policy.longest_prefix(source, Tree::SourceV4, 0)
    } else {
        0
    };
    let lookup = RuleLookup {
        base: policy.base(),
        flags: args.state().flags(),
        group: args.entry().group(),
        class,
        scopes: 1,
        scope: 0,
    };
    // Here, and not behind a call.
    rules::evaluate_rules(tables, lookup)
}

/// Of a packet that no rule lets in: is it part of a flow or a session? `dropped` is what becomes of it if
/// not.
#[inline(always)]
pub(super) fn by_flow<'s, T: Searches>(
    tables: &T,
    scratch: impl FnOnce() -> Option<&'s Scratch>,
    tuple: &Tuple,
    (marks, found): (u8, Found),
    dropped: Decision,
) -> Option<Decision> {
    let service = dropped.service;
    match found {
        Found::Living => Some(decision(Reason::Reply, None)),
        Found::Session => Some(decision(Reason::LiveSession, service)),
        found @ (Found::Nothing | Found::Expired) => {
            if discovery::may_have_asked(tuple.protocol, marks) {
                return None;
            }
            if flow::may_have_session(tuple.protocol, marks, found) {
                let scratch = scratch()?;
                scratch.packet.set_tuple(tuple);
                if !matches!(tables.socket(scratch, Subject::Packet), SocketState::None) {
                    return Some(decision(Reason::LiveSession, service));
                }
            }
            Some(dropped)
        }
    }
}

/// Both ends of a plain packet.
#[inline(always)]
fn tuple<R: PacketReader + ?Sized>(reader: &R, args: LookupArgs) -> Option<Tuple> {
    let ends = Ends::read(reader)?;
    let request = args.request();
    Some(Tuple {
        remote: Addr::from_v4(args.source),
        local: Addr::from_v4(ends.destination),
        remote_port: ends.source_port,
        local_port: request.port(),
        protocol: request.protocol(),
    })
}
