//! The short way of a plain packet behind a [`Glance`](super::Glance): rules, limits and flows without the
//! whole way's search for headers. What is said here is what the whole way says (tests hold the two
//! against each other: the kernel takes this way, the model that one); where the answer is not so
//! simple, nothing is said.

use super::{
    Found, Judgement, Newcomer, Place, Slot, Tables, flow,
    glance::{Asked, ETHERNET_LEN, Ends, Plain, judgement},
    limit,
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
pub(super) fn judge<R, T>(reader: &R, tables: &T, plain: Plain) -> Option<Judgement>
where
    R: PacketReader + ?Sized,
    T: Tables,
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
            by_flow(reader, tables, source, asked, verdict.reason)
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
        opening: asked.opening(tables),
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
fn ask_rules<T: Tables>(
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
fn by_flow<R, T>(
    reader: &R,
    tables: &T,
    source: Addr,
    asked: Asked,
    else_for: Reason,
) -> Option<Judgement>
where
    R: PacketReader + ?Sized,
    T: Tables,
{
    let ends = Ends::read(reader)?;
    let tuple = Tuple {
        remote: source,
        local: Addr::from_v4(ends.destination),
        remote_port: ends.source_port,
        local_port: asked.port(),
        protocol: asked.protocol(),
    };
    let service = Some(asked.service());
    let marks = tables.port_marks(tuple.local_port);
    let headers = flow::Headers {
        at: ETHERNET_LEN as u32,
        is_quoted: false,
    };
    let found = flow::find_here(tables, &tuple, marks, Event::Arrives);
    Some(if let Found::Living = found {
        judgement(Reason::Reply, None)
    } else if flow::has_session(tables, &tuple, headers, marks, found) {
        judgement(Reason::LiveSession, service)
    } else {
        judgement(else_for, service)
    })
}
