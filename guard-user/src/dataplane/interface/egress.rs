//! Putting the tc program on the way out of an interface: as a tcx link where the kernel has them
//! (6.6), which outlives this process and which nobody removes by accident; else as a filter of the
//! clsact qdisc, which goes when somebody deletes the qdisc and is then put back.

use std::{env, path::Path};

use aya::programs::{
    LinkOrder, SchedClassifier, TcAttachType,
    links::{FdLink, PinnedLink},
    tc::{
        NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact,
        qdisc_detach_program,
    },
};
use guard_common::abi::names;
use nix::net::if_::if_indextoname;

use super::tc_error::TcRefusal;
use crate::{
    failure::{Exit, Failure},
    host::{Interface, filters},
    layout::Layout,
};

/// Where our filter stands among those of the clsact qdisc: fixed, so that there is never a second
/// one. The number is "gu".
const PRIORITY: u16 = 0x6775;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Name of the pin of an interface's link.
#[must_use]
pub fn link_name(ifindex: u32) -> String {
    format!("tc-{ifindex}")
}

/// Attaches the loaded program to an interface, or exchanges the one that is there.
///
/// # Errors
/// Exit 9 when the kernel refuses both kinds of attachment.
pub fn attach(
    program: &mut SchedClassifier,
    interface: &Interface,
    links: &Path,
) -> Result<(), Failure> {
    let pin = links.join(link_name(interface.index));
    if pin.exists() && exchange(program, &pin).is_ok() {
        return Ok(());
    }
    let tcx = if prefers_clsact() {
        Err(TcRefusal::NotWanted)
    } else {
        attach_link(program, interface, &pin, TcAttachType::Egress)
    };
    let Err(tcx) = tcx else { return Ok(()) };
    attach_filter(program, interface, TcAttachType::Egress).map_err(|clsact| {
        Failure::new(
            Exit::Unsupported,
            format!(
                "{}: the kernel refuses the egress program (tcx: {tcx}; clsact: {clsact})",
                interface.name
            ),
        )
        .help(
            "guard needs it to recognise replies; the kernel needs NET_CLS_BPF or tcx (Linux 6.6)",
        )
    })
}

/// For trying the older way on a kernel that has both.
pub(in crate::dataplane) fn prefers_clsact() -> bool {
    env::var_os("GUARD_TC").is_some_and(|value| value == "clsact")
}

fn exchange(program: &mut SchedClassifier, pin: &Path) -> Result<(), TcRefusal> {
    let link = FdLink::from(PinnedLink::from_pin(pin)?);
    let id = program.attach_to_link(SchedClassifierLink::try_from(link)?)?;
    // The pin holds the link; only our handle of it ends here.
    let link = program.take_link(id)?;
    drop(link);
    Ok(())
}

/// A tcx link on one way of an interface, with this pin.
pub(in crate::dataplane) fn attach_link(
    program: &mut SchedClassifier,
    interface: &Interface,
    pin: &Path,
    way: TcAttachType,
) -> Result<(), TcRefusal> {
    let order = match way {
        // Whoever stands before could let something in.
        TcAttachType::Ingress => LinkOrder::first(),
        TcAttachType::Egress | TcAttachType::Custom(_) => LinkOrder::default(),
    };
    let options = TcAttachOptions::TcxOrder(order);
    let id = program.attach_with_options(&interface.name, way, options)?;
    let link = FdLink::try_from(program.take_link(id)?)?;
    if pin.exists() {
        // Of an interface that had this number before.
        std::fs::remove_file(pin)?;
    }
    link.pin(pin)?;
    Ok(())
}

/// A filter of the clsact qdisc on one way of an interface.
pub(in crate::dataplane) fn attach_filter(
    program: &mut SchedClassifier,
    interface: &Interface,
    way: TcAttachType,
) -> Result<(), TcRefusal> {
    // It may be there already, of somebody else's making; if it is not, attaching says so.
    let qdisc = qdisc_add_clsact(&interface.name);
    let is_there = way == TcAttachType::Egress
        && filters::has_egress_filter(interface.index, names::EGRESS).unwrap_or(false);
    let id = if is_there {
        let there = SchedClassifierLink::attached(&interface.name, way, PRIORITY, HANDLE, None);
        program.attach_to_link(there?)
    } else {
        let options = TcAttachOptions::Netlink(NlOptions {
            priority: PRIORITY,
            handle: HANDLE,
            classid: None,
        });
        program.attach_with_options(&interface.name, way, options)
    };
    let id = id.map_err(|filter| match qdisc {
        Ok(()) => TcRefusal::Program(filter),
        Err(qdisc) => TcRefusal::Qdisc { filter, qdisc },
    })?;
    let link = program.take_link(id)?;
    // Its end would remove the filter, which shall stay when this process has ended.
    std::mem::forget(link);
    Ok(())
}

/// Is the egress program of this interface?
#[must_use]
pub fn is_attached(layout: &Layout, ifindex: u32) -> bool {
    let pin = layout.links().join(link_name(ifindex));
    // A link whose interface is gone stays as a pin, and says so.
    let has_link = PinnedLink::from_pin(pin)
        .ok()
        .and_then(|pin| FdLink::from(pin).info().ok())
        .is_some_and(|info| info.program_id() != 0);
    has_link || filters::has_egress_filter(ifindex, names::EGRESS).unwrap_or(false)
}

/// Takes our filter off the clsact qdisc of an interface; the qdisc may be used by others and stays.
pub(in crate::dataplane) fn detach_filter(ifindex: u32) {
    detach(ifindex, TcAttachType::Egress, names::EGRESS);
}

/// Takes a filter of this name off one way of an interface.
pub(in crate::dataplane) fn detach(ifindex: u32, way: TcAttachType, program: &str) {
    let Some(name) = name_of(ifindex) else { return };
    // Nothing there is as good.
    qdisc_detach_program(&name, way, program).ok();
}

fn name_of(ifindex: u32) -> Option<String> {
    let name = if_indextoname(ifindex).ok()?;
    name.to_str().ok().map(str::to_owned)
}
