//! Sessions that began before guard, or before a policy that would not let them in: put into the
//! flow table, so that they go on. Sessions with services that limit new connections hold their
//! sources.
//!
//! Of those that no rule lets in nothing is evicted. Sessions with open ports give way as those do that begin
//! later: whoever may open connections to a service could fill the table with his own otherwise.

use std::{collections::BTreeSet, time::Instant};

use guard_common::abi::{
    flow::{Phase, Tuple},
    service::protocol,
};

use crate::{
    failure::{Exit, Failure, from_io},
    host::{Live, LiveFlow, Network, clock::boot_time_ns},
    layout::Layout,
    ruleset::{compile::Image, probe::Model},
};

use super::{
    clock,
    crossing::Guarded,
    pins,
    tables::{
        exempt::{self, MeterTable, SessionWatch},
        flows::FlowTable,
    },
};

/// Puts what goes on at this moment, and what no rule of this policy lets in, into a flow table; the
/// number that found no room.
///
/// # Errors
/// When the kernel does not say what goes on.
pub(super) fn adopt(
    flows: &FlowTable,
    meters: &MeterTable,
    now: u32,
    network: &Network,
    guarded: &Guarded,
    image: &Image,
    watched: Option<&mut SessionWatch>,
) -> Result<usize, Failure> {
    let tick = clock::ticks_of(now);
    let live = Live::read(network)
        .map_err(|error| from_io("cannot read the kernel's connection table", &error))?;
    for port in &live.session_ports {
        flows.mark_sessions(*port);
    }
    let model = Model::at(image, boot_time_ns());
    let limited = limited_sessions(&live, &model, network);
    // Whoever looks from time to time also lets go of what has ended.
    let looks_again = watched.is_some();
    let holding = match watched {
        Some(watched) => watched.lasting(limited, Instant::now()),
        None => limited,
    };
    for session in holding {
        meters.exempt(
            exempt::scale(image),
            session.remote,
            session.local_port,
            now,
        );
    }
    if looks_again {
        flows.let_go_but(live.flows.iter().map(|flow| &flow.tuple));
    }
    adopt_inbound(flows, &live, &model, network, guarded, tick);
    let without_room = live
        .flows
        .iter()
        .filter(|flow| guarded.sees(network, flow.tuple.remote.into()))
        .filter(|flow| !model.lets_in(&flow.tuple))
        .filter(|flow| !flows.knows(&flow.tuple, tick) && !flows.adopt(flow, tick))
        .count();
    Ok(without_room)
}

/// Puts in the TCP sessions with ports that a rule opens, of this host and of what is behind it.
fn adopt_inbound(
    flows: &FlowTable,
    live: &Live,
    model: &Model,
    network: &Network,
    guarded: &Guarded,
    tick: u32,
) {
    let of_this_host = live.sessions.iter().map(|tuple| LiveFlow {
        tuple: *tuple,
        phase: Phase::Open,
    });
    let behind = live.flows.iter().copied();
    let behind = behind.filter(|flow| flow.tuple.protocol == protocol::TCP);
    of_this_host
        .chain(behind)
        .filter(|flow| guarded.sees(network, flow.tuple.remote.into()))
        .filter(|flow| model.lets_in(&flow.tuple) && !flows.knows(&flow.tuple, tick))
        .for_each(|flow| {
            // Without room the socket table is asked.
            let _ = flows.adopt_inbound(&flow, tick);
        });
}

/// The interfaces that have a link of ours.
fn guarded(layout: &Layout) -> Result<Guarded, Failure> {
    let links = pins::links(layout)?;
    Ok(Guarded(links.iter().map(|link| link.ifindex).collect()))
}

/// TCP sessions with services whose rules limit new connections, over which data went both ways.
fn limited_sessions(live: &Live, model: &Model, network: &Network) -> BTreeSet<Tuple> {
    let behind_nat = live
        .flows
        .iter()
        .filter(|flow| flow.tuple.protocol == protocol::TCP && flow.phase == Phase::Open)
        .map(|flow| flow.tuple);
    let interfaces: Vec<u32> = network.interfaces.iter().map(|i| i.index).collect();
    let talking = live.sessions.difference(&live.silent).copied();
    talking
        .chain(behind_nat)
        .filter(|tuple| model.limits(tuple, &interfaces))
        .collect()
}

/// The same for the running firewall, before another policy comes into force.
///
/// # Errors
/// As [`adopt`], and when the pins cannot be opened.
pub fn adopt_before(layout: &Layout, network: &Network, image: &Image) -> Result<usize, Failure> {
    adopt_into(layout, network, image, None)
}

fn adopt_into(
    layout: &Layout,
    network: &Network,
    image: &Image,
    watched: Option<&mut SessionWatch>,
) -> Result<usize, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(0);
    };
    match clock::pinned_now(&layout.clock()) {
        Ok(now) => adopt(
            &running.flows,
            &running.meters,
            now,
            network,
            &guarded(layout)?,
            image,
            watched,
        ),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("{}: {error}", layout.clock().display()),
        )),
    }
}

/// The same under the policy that is in force: from time to time, for what was lost.
///
/// # Errors
/// As [`adopt_before`].
pub fn adopt_running(
    layout: &Layout,
    network: &Network,
    watched: &mut SessionWatch,
) -> Result<usize, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(0);
    };
    let image = Image {
        words: running.slots.active_image(),
    };
    adopt_into(layout, network, &image, Some(watched))
}
