//! Sessions that began before guard, or before a policy that would not let them in: put into the
//! flow table, so that they go on.

use crate::{
    failure::{Failure, from_io},
    host::{Live, Network},
    layout::Layout,
};

use super::{FlowTable, clock, pins};

/// Puts what goes on at this moment into a flow table; the number that found no room.
///
/// # Errors
/// When the kernel does not say what goes on.
pub(super) fn adopt(flows: &FlowTable, tick: u32, network: &Network) -> Result<usize, Failure> {
    let live = Live::read(network)
        .map_err(|error| from_io("cannot read the kernel's connection table", &error))?;
    for port in live.session_ports {
        flows.mark_sessions(port);
    }
    let without_room = live
        .flows
        .iter()
        .filter(|flow| !flows.knows(&flow.tuple, tick) && !flows.adopt(flow, tick))
        .count();
    Ok(without_room)
}

/// The same for the running firewall: before a policy that closes something, and from time to time.
///
/// # Errors
/// As [`adopt`], and when the pins cannot be opened.
pub fn adopt_running(layout: &Layout, network: &Network) -> Result<usize, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(0);
    };
    match clock::pinned_ticks(&layout.clock()) {
        Ok(tick) => adopt(&running.flows, tick, network),
        Err(error) => Err(Failure::new(
            crate::failure::Exit::Failed,
            format!("{}: {error}", layout.clock().display()),
        )),
    }
}
