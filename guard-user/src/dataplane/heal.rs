//! Putting the program back onto interfaces that have lost it, or have just come, under the policy
//! that is in force. Changes no policy and touches no interface that has its program.

use std::collections::BTreeSet;

use guard_common::abi::names;

use super::{
    adopt, bpffs,
    enlarge::is_enlarging,
    interface::{
        attach::attach, attached::Attached, attachments::Attachments, attempt::AttachTarget,
        closed, egress, reattach,
    },
    object::load_error::load_failure,
    pins::{self, files::is_interrupted},
    preflight,
    removal::{forget, forget_index},
    spare::{Spare, map_numbers},
    tables::exempt::SessionWatch,
};
use crate::{
    failure::{Exit, Failure},
    host::{Interface, Network},
    layout::Layout,
};

/// What was done.
#[derive(Debug, Default)]
pub struct Healed {
    /// Interfaces that have the program again, or for the first time.
    pub attached: Vec<Attached>,
    /// Interfaces on whose way out the program was missing, and is again.
    pub way_out: Vec<String>,
    /// Interfaces that could not have it, and why.
    pub failed: Vec<(String, Failure)>,
    /// Sessions that go on could not be looked up.
    pub problem: Option<Failure>,
}

/// What tells the tables in place from others; `None` while a command exchanges them, or when there
/// are none.
///
/// # Errors
/// When the pins cannot be read.
pub fn tables_in_place(layout: &Layout) -> Result<Option<Vec<u64>>, Failure> {
    let maps = layout.maps();
    if !maps.join(names::POLICY).exists() || is_interrupted(&maps) || is_enlarging(&maps) {
        return Ok(None);
    }
    map_numbers(layout).map(Some)
}

/// Takes the program off an interface again.
///
/// # Errors
/// When a pin cannot be removed.
pub fn let_go(layout: &Layout, ifindex: u32) -> Result<(), Failure> {
    forget_index(layout, ifindex)
}

/// Indices of the interfaces that run the program of one of our links.
///
/// # Errors
/// When the pins cannot be read.
pub fn protected(layout: &Layout, network: &Network) -> Result<BTreeSet<u32>, Failure> {
    Ok(pins::links(layout)?
        .iter()
        .filter(|pin| runs_on(pin, network))
        .map(|pin| pin.ifindex)
        .collect())
}

/// Does an interface lack the program on its way out? Then replies are not recognised.
#[must_use]
pub fn lacks_way_out(layout: &Layout, interface: &Interface) -> bool {
    !egress::is_attached(layout, interface.index)
}

/// Does the interface that a pin is named after run the link's program? A number can be given to
/// another interface when the first is gone.
fn runs_on(pin: &pins::LinkPin, network: &Network) -> bool {
    network
        .by_index(pin.ifindex)
        .and_then(|interface| interface.xdp)
        .is_some_and(|xdp| pin.runs(xdp.program))
}

/// Attaches the program, with the maps that are pinned, to those of the interfaces that do not run
/// it, and removes pins of links whose interface is gone.
///
/// # Errors
/// When nothing is installed, or the program cannot be loaded. What is wrong with one interface is
/// part of the answer and does not keep the others from being protected.
pub fn heal(
    layout: &Layout,
    targets: &[AttachTarget<'_>],
    network: &Network,
    spare: &mut Option<Spare>,
) -> Result<Healed, Failure> {
    preflight::may_load()?;
    let maps = layout.maps();
    if is_interrupted(&maps) {
        return Err(Failure::new(
            Exit::Failed,
            "a command was killed while it made larger tables",
        )
        .help("`guardctl reload` completes it"));
    }
    let mut alive = BTreeSet::new();
    for pin in pins::links(layout)? {
        if runs_on(&pin, network) {
            alive.insert(pin.ifindex);
        } else {
            forget(layout, pin)?;
        }
    }
    let mut healed = Healed::default();
    // Somebody may have removed the folder, and the links with it.
    bpffs::prepare(layout)?;
    let known = Attachments::read(layout);
    for target in targets {
        let interface = target.interface;
        let is_alive = alive.contains(&interface.index);
        let must_change = is_alive && reattach::is_needed(target, &known);
        if is_alive && !must_change && egress::is_attached(layout, interface.index) {
            continue;
        }
        // Unlike at the first installation, the way in comes first: what somebody began while the
        // interface was open must not be taken for a conversation of ours.
        let way_in = if must_change {
            let object = &mut Spare::ready(layout, spare)?.object;
            reattach::reattach(layout, object, target, &known).map(Some)
        } else if is_alive {
            Ok(None)
        } else {
            close(layout, target, spare).map(Some)
        };
        let result = way_in.and_then(|attached| {
            let is_new = attached.is_some();
            healed.attached.extend(attached);
            let object = &mut Spare::ready(layout, spare)?.object;
            let program = object.egress().map_err(load_failure)?;
            egress::attach(program, interface, &layout.links())?;
            Ok(is_new)
        });
        match result {
            Ok(true) => {}
            Ok(false) => healed.way_out.push(interface.name.clone()),
            Err(failure) => healed.failed.push((interface.name.clone(), failure)),
        }
    }
    closed::open_all(layout)?;
    if !healed.attached.is_empty() {
        // Only `status` and the next boot want to know it.
        Attachments::record(layout, &healed.attached).ok();
        // Protection comes first; what goes on behind NAT is sent again until it is known.
        healed.problem = adopt::adopt_running(layout, network, &mut SessionWatch::default()).err();
    }
    Ok(healed)
}

/// From here on nothing comes in that the policy does not allow.
fn close(
    layout: &Layout,
    target: &AttachTarget<'_>,
    spare: &mut Option<Spare>,
) -> Result<Attached, Failure> {
    may_carry(target.interface)?;
    let object = &mut Spare::ready(layout, spare)?.object;
    attach(object, target, layout)
}

fn may_carry(interface: &Interface) -> Result<(), Failure> {
    if !interface.is_ethernet {
        return Err(Failure::new(
            Exit::Unsupported,
            format!(
                "{}: frames on this interface have no Ethernet header",
                interface.name
            ),
        ));
    }
    match interface.xdp {
        Some(xdp) => Err(preflight::foreign(interface, xdp.program)),
        None => Ok(()),
    }
}
