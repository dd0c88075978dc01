//! A program that takes over from the one that runs, interface by interface: by exchanging what a link
//! holds, without a gap, and where that cannot be, by taking it off and putting it back.

use std::collections::BTreeSet;

use super::{
    Object,
    attach::{AttachTarget, Attached, Attempt, attach, replace},
    attachments::Attachments,
    detach::detach,
    egress,
    installation::{Change, load_failure, pin_of_link, remove_if_there},
    pins::{self, LinkPin, TakenOff},
    reattach,
};
use crate::{
    failure::Failure,
    host::{Interface, Network},
    layout::Layout,
};

/// Puts the programs of this object on the targets, and takes what runs off all other interfaces; without
/// targets, every interface that has a link keeps one.
///
/// # Errors
/// When the kernel refuses an exchange: the old program then stays there, and on all interfaces after it.
pub(super) fn take_over(
    layout: &Layout,
    object: &mut Object,
    targets: Option<&[AttachTarget<'_>]>,
    network: &Network,
) -> Result<Vec<Change>, Failure> {
    let known = Attachments::read(layout);
    let mut changes = Vec::new();
    let mut covered = BTreeSet::new();
    for link in pins::links(layout)? {
        let Some(interface) = network.by_index(link.ifindex) else {
            forget(layout, link)?;
            continue;
        };
        let wanted = match targets {
            None => Some(AttachTarget {
                interface,
                attempt: Attempt::Best,
            }),
            Some(targets) => {
                let mut targets = targets.iter();
                targets
                    .find(|target| target.interface.index == link.ifindex)
                    .cloned()
            }
        };
        let Some(target) = wanted else {
            take_off(layout, link, interface, &known)?;
            changes.push(Change::Detached(interface.name.clone()));
            continue;
        };
        let runs = interface.xdp.is_some_and(|xdp| link.runs(xdp.program));
        if !runs {
            // A command was killed while it took the program off: only the pin is left.
            drop(link);
            remove_if_there(&pin_of_link(layout, interface.index))?;
            let program = object.ingress().map_err(load_failure)?;
            let attached = attach(program, &target, &layout.links())?;
            covered.insert(interface.index);
            changes.push(Change::Attached(attached));
            continue;
        }
        covered.insert(link.ifindex);
        if reattach::is_needed(&target, &known) {
            drop(link);
            let attached = reattach::reattach(layout, object, &target, &known)?;
            changes.push(Change::Attached(attached));
        } else {
            replace(object.ingress().map_err(load_failure)?, link)?;
            changes.push(Change::Replaced(interface.name.clone()));
        }
    }
    for target in targets.unwrap_or_default() {
        if !covered.contains(&target.interface.index) {
            let program = object.ingress().map_err(load_failure)?;
            changes.push(Change::Attached(attach(program, target, &layout.links())?));
        }
    }
    let attached: Vec<Attached> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Attached(attached) => Some(attached.clone()),
            Change::Replaced(_) | Change::Detached(_) => None,
        })
        .collect();
    Attachments::record(layout, &attached).ok();
    Ok(changes)
}

/// The interface is gone, and its link with it; only the pins are left.
fn forget(layout: &Layout, link: LinkPin) -> Result<(), Failure> {
    let ifindex = link.ifindex;
    drop(link);
    remove_if_there(&pin_of_link(layout, ifindex))?;
    remove_if_there(&layout.links().join(egress::link_name(ifindex)))
}

fn take_off(
    layout: &Layout,
    link: LinkPin,
    interface: &Interface,
    known: &Attachments,
) -> Result<(), Failure> {
    let ifindex = link.ifindex;
    drop(link);
    let taken_at = known.of(&interface.name).map(|known| known.mtu);
    detach(&pin_of_link(layout, ifindex), interface, taken_at)?;
    remove_if_there(&layout.links().join(egress::link_name(ifindex)))?;
    egress::detach_filter(ifindex);
    Ok(())
}

/// Takes the programs off every interface. Those that drivers had, with the name of the interface: they
/// must be gone as soon as no pin is left.
///
/// # Errors
/// When an interface keeps one. The others are off then all the same.
pub(super) fn take_off_all(layout: &Layout) -> Result<TakenOff, Failure> {
    let network = Network::read_without_routes().unwrap_or_default();
    let known = Attachments::read(layout);
    let mut outcome = Ok(());
    let mut programs = Vec::new();
    for link in pins::links(layout)? {
        let taken = match network.by_index(link.ifindex) {
            None => forget(layout, link),
            Some(interface) => {
                // A native program is the driver's to let go of.
                if interface.is_native()
                    && let Ok(info) = link.link.info()
                {
                    programs.push((info.program_id(), interface.name.clone()));
                }
                take_off(layout, link, interface, &known)
            }
        };
        outcome = outcome.and(taken);
    }
    outcome.map(|()| programs)
}
