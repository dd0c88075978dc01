//! A program that takes over from the one that runs, interface by interface: by exchanging what a link
//! holds, without a gap, and where that cannot be, by taking it off and putting it back.

use std::collections::BTreeSet;

use super::{
    interface::{
        attach::{attach, replace},
        attached::Attached,
        attachments::Attachments,
        attempt::{AttachTarget, Attempt},
        reattach,
    },
    object::Object,
    pins::{
        self,
        files::{pin_of_link, remove_if_there},
    },
    removal::{forget, take_off},
};
use crate::{failure::Failure, host::Network, layout::Layout};

/// What an exchange did to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The program is on it for the first time.
    Attached(Attached),
    /// The program that was on it has been exchanged.
    Replaced(String),
    /// The program was taken off, because the interface is no longer named.
    Detached(String),
}

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
            let attached = attach(object, &target, layout)?;
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
            replace(object, link, layout)?;
            changes.push(Change::Replaced(interface.name.clone()));
        }
    }
    for target in targets.unwrap_or_default() {
        if !covered.contains(&target.interface.index) {
            changes.push(Change::Attached(attach(object, target, layout)?));
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
