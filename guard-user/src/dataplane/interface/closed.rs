//! An interface that lets nothing in, for the moment in which the XDP program is taken off and put back
//! in another mode: both modes at once is what the kernel refuses, and in between everything would
//! pass. What is lost in that moment is sent again.
//!
//! Its pin stays when the command is killed in that moment: the interface is then closed, not open, until
//! the next command, or the daemon within a second, has put the program back.

use std::{fs, path::Path};

use aya::programs::{SchedClassifier, TcAttachType};
use guard_common::abi::names;

use super::{egress, tc_error::TcRefusal};
use crate::{
    dataplane::pins::files::remove_if_there,
    failure::{Exit, Failure},
    host::Interface,
    layout::Layout,
};

const PREFIX: &str = "closed-";

fn pin_name(ifindex: u32) -> String {
    format!("{PREFIX}{ifindex}")
}

/// From here on nothing comes in.
///
/// # Errors
/// Exit 9 when the kernel refuses it.
pub(in crate::dataplane) fn close(
    program: &mut SchedClassifier,
    interface: &Interface,
    links: &Path,
) -> Result<(), Failure> {
    let pin = links.join(pin_name(interface.index));
    if pin.exists() {
        return Ok(());
    }
    let link = if egress::prefers_clsact() {
        Err(TcRefusal::NotWanted)
    } else {
        egress::attach_link(program, interface, &pin, TcAttachType::Ingress)
    };
    let Err(tcx) = link else { return Ok(()) };
    let filter = program
        .pin(&pin)
        .map_err(TcRefusal::from)
        .and_then(|()| egress::attach_filter(program, interface, TcAttachType::Ingress));
    filter.map_err(|clsact| {
        fs::remove_file(&pin).ok();
        Failure::new(
            Exit::Unsupported,
            format!(
                "{}: cannot close it while the program changes its mode (tcx: {tcx}; clsact: {clsact})",
                interface.name
            ),
        )
    })
}

/// What the XDP program lets in comes in again.
///
/// # Errors
/// When the pin cannot be removed.
pub(in crate::dataplane) fn open(layout: &Layout, ifindex: u32) -> Result<(), Failure> {
    let pin = layout.links().join(pin_name(ifindex));
    if !pin.exists() {
        return Ok(());
    }
    egress::detach(ifindex, TcAttachType::Ingress, names::CLOSED);
    remove_if_there(&pin)
}

/// Opens what a killed command has left closed.
///
/// # Errors
/// As [`open`].
pub(in crate::dataplane) fn open_all(layout: &Layout) -> Result<(), Failure> {
    for ifindex in left(layout) {
        open(layout, ifindex)?;
    }
    Ok(())
}

/// Indices of interfaces that are closed: unless a command is at work, one was killed.
#[must_use]
pub fn left(layout: &Layout) -> Vec<u32> {
    let entries = fs::read_dir(layout.links()).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix(PREFIX)?.parse().ok()
        })
        .collect()
}
