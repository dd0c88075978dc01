//! Taking the program off interfaces for good, and the pins with it.

use std::{fs, io};

use super::{
    interface::{attachments::Attachments, closed, detach::detach, egress},
    pins::{
        self, LinkPin,
        files::{pin_of_link, remove_forms, remove_if_there},
    },
};
use crate::{
    failure::{Failure, from_io},
    host::{Interface, Network},
    layout::Layout,
};

/// Programs that drivers had, with the name of the interface. Nothing of ours holds them any more, but for a
/// daemon that has not looked yet.
pub type TakenOff = Vec<(u32, String)>;

/// Removes every pin, also those that another version of guard made: links first, which detaches, then maps
/// and folders.
///
/// # Errors
/// When a pin cannot be removed, or a driver keeps the program; all pins are gone then.
pub fn remove(layout: &Layout) -> Result<TakenOff, Failure> {
    let mut taken_off = TakenOff::new();
    let mut outcome = Ok(());
    for version in pins::versions(layout)? {
        match remove_of_version(&layout.of_version(version)) {
            Ok(programs) => taken_off.extend(programs),
            Err(failure) => outcome = outcome.and(Err(failure)),
        }
    }
    remove_if_there(&layout.attachments())?;
    outcome.map(|()| taken_off)
}

fn remove_of_version(layout: &Layout) -> Result<TakenOff, Failure> {
    let taken_off = take_off_all(layout);
    closed::open_all(layout)?;
    for folder in [layout.links(), layout.maps()] {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            fs::remove_file(entry.path())
                .map_err(|error| from_io(entry.path().display(), &error))?;
        }
    }
    for folder in [layout.links(), layout.maps(), layout.pins()] {
        match fs::remove_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(from_io(folder.display(), &error)),
        }
    }
    taken_off
}

/// Takes the programs off every interface. Those that drivers had, with the name of the interface: they
/// must be gone as soon as no pin is left.
///
/// # Errors
/// When an interface keeps one. The others are off then all the same.
fn take_off_all(layout: &Layout) -> Result<TakenOff, Failure> {
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

/// The interface is gone, and its link with it; only the pins are left.
pub(super) fn forget(layout: &Layout, link: LinkPin) -> Result<(), Failure> {
    let ifindex = link.ifindex;
    drop(link);
    forget_index(layout, ifindex)
}

/// The same of one that is known by its number alone.
pub(super) fn forget_index(layout: &Layout, ifindex: u32) -> Result<(), Failure> {
    remove_if_there(&pin_of_link(layout, ifindex))?;
    remove_if_there(&layout.links().join(egress::link_name(ifindex)))?;
    remove_forms(layout, ifindex)
}

pub(super) fn take_off(
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
    remove_forms(layout, ifindex)
}
