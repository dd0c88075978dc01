//! The short way of a plain packet behind a [`Glance`](super::Glance): rules, limits and flows without the
//! whole way's search for headers. What is said here is what the whole way says (tests hold the two
//! against each other: the kernel takes this way, the model that one); where the answer is not so
//! simple, nothing is said.

use super::{
    Found, Judgement, Newcomer, Place, Scratch, Searches, Slot, Subject, discovery, flow,
    glance::{Plain, judgement},
    limit,
    plain::{Ends, Form},
    rules::{self, RulesAnswer},
};
use crate::{
    abi::{
        addr::Addr,
        flow::{Event, Tuple},
        image::{ANY_ALLOWS, DEFAULT_ALLOW, Tree},
        reason::Reason,
    },
    packet::PacketReader,
};

/// What becomes of a plain packet, if that is told at once; without the number of a rule.
#[inline(always)]
pub(super) fn judge<'s, R, T>(
    reader: &R,
    tables: &T,
    scratch: impl FnOnce() -> Option<&'s Scratch>,
    plain: Plain,
) -> Option<Judgement>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let policy = &Slot::of(tables, plain.state());
    let source = Addr::from_v4(plain.source);
    let asked = plain.asked();
    let answer = ask_rules(tables, policy, plain, source);
    let verdict = answer.verdict();
    let service = Some(asked.service());
    if answer.is_own_source() {
        // Of a port that no rule names the flows are asked first.
        return if is_closed(plain) {
            None
        } else {
            Some(judgement(verdict.reason, service))
        };
    }
    if !answer.lets_in() {
        return if asked.opens() {
            Some(judgement(verdict.reason, service))
        } else {
            by_flow(reader, tables, scratch, plain, verdict.reason)
        };
    }
    if answer.is_limited() && asked.is_charged() {
        let newcomer = Newcomer {
            base: policy.base(),
            rule: verdict.rule,
            source,
            ports: limit::pair(Ends::read(reader)?.source_port, asked.port()),
            opens: asked.opens(),
        };
        // Here, and not behind a call.
        if !limit::may_enter(tables, newcomer) {
            return Some(judgement(Reason::Limited, service));
        }
    }
    Some(Judgement {
        opening: Form::V4.opening(tables, asked),
        ..judgement(verdict.reason, service)
    })
}

/// Does no rule name the service, nor let anything in?
#[inline(always)]
fn is_closed(plain: Plain) -> bool {
    plain.entry().is_none() && plain.state().flags() & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
}

/// What the rules say, where none names an interface or a destination.
#[inline(always)]
fn ask_rules<T: Searches>(
    tables: &T,
    policy: &Slot<'_, T>,
    plain: Plain,
    source: Addr,
) -> RulesAnswer {
    let class = if plain.may_be_named() {
        policy.longest_prefix(source, Tree::SourceV4, 0)
    } else {
        0
    };
    let place = Place {
        base: policy.base(),
        flags: plain.state().flags(),
        group: plain.entry().group(),
        class,
        scopes: 1,
        scope: 0,
    };
    // Here, and not behind a call.
    rules::weigh_rules(tables, place)
}

/// Of a packet that no rule lets in: is it part of a flow or a session? `else_for` is why it is dropped if
/// not.
#[inline(always)]
fn by_flow<'s, R, T>(
    reader: &R,
    tables: &T,
    scratch: impl FnOnce() -> Option<&'s Scratch>,
    plain: Plain,
    else_for: Reason,
) -> Option<Judgement>
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let ends = Ends::read(reader)?;
    let asked = plain.asked();
    let tuple = Tuple {
        remote: Addr::from_v4(plain.source),
        local: Addr::from_v4(ends.destination),
        remote_port: ends.source_port,
        local_port: asked.port(),
        protocol: asked.protocol(),
    };
    let service = Some(asked.service());
    let marks = tables.port_marks(tuple.local_port);
    let found = flow::find_here(tables, &tuple, marks, Event::Arrives);
    if let Found::Living = found {
        return Some(judgement(Reason::Reply, None));
    }
    if discovery::may_have_asked(tuple.protocol, marks) {
        return None;
    }
    if flow::may_have_session(tuple.protocol, marks, found) {
        let scratch = scratch()?;
        scratch.packet.set_tuple(&tuple);
        if tables.has_socket(scratch, Subject::Packet) {
            return Some(judgement(Reason::LiveSession, service));
        }
    }
    Some(judgement(else_for, service))
}
