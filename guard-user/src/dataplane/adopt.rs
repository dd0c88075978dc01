//! Sessions that began before guard, or before a policy that would not let them in: put into the
//! flow table, so that they go on.
//!
//! Only those that no rule lets in: nothing evicts them, and whoever may open connections to a
//! service could fill the table with his own otherwise.

use crate::{
    failure::{Exit, Failure, from_io},
    host::{Live, Network},
    layout::Layout,
    ruleset::{compile::Image, probe::Model},
};

use super::{FlowTable, clock, pins};

/// Puts what goes on at this moment, and what no rule of this policy lets in, into a flow table; the
/// number that found no room.
///
/// # Errors
/// When the kernel does not say what goes on.
pub(super) fn adopt(
    flows: &FlowTable,
    tick: u32,
    network: &Network,
    image: &Image,
) -> Result<usize, Failure> {
    let live = Live::read(network)
        .map_err(|error| from_io("cannot read the kernel's connection table", &error))?;
    for port in live.session_ports {
        flows.mark_sessions(port);
    }
    let model = Model::new(image);
    let without_room = live
        .flows
        .iter()
        .filter(|flow| !model.lets_in(&flow.tuple))
        .filter(|flow| !flows.knows(&flow.tuple, tick) && !flows.adopt(flow, tick))
        .count();
    Ok(without_room)
}

/// The same for the running firewall, before another policy comes into force.
///
/// # Errors
/// As [`adopt`], and when the pins cannot be opened.
pub fn adopt_before(layout: &Layout, network: &Network, image: &Image) -> Result<usize, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(0);
    };
    match clock::pinned_ticks(&layout.clock()) {
        Ok(tick) => adopt(&running.flows, tick, network, image),
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
pub fn adopt_running(layout: &Layout, network: &Network) -> Result<usize, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(0);
    };
    let image = Image {
        words: running.slots.active_image(),
    };
    adopt_before(layout, network, &image)
}
