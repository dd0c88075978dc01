//! Which mode the program is put on each interface in.

use std::collections::BTreeMap;

use crate::{
    dataplane::interface::{
        attachments::Attachments,
        attempt::{AttachTarget, Attempt},
    },
    host::{Interface, Network},
    layout::Layout,
    ruleset::model::ModeChoice,
};

/// As the operator chose, who is there to be told what is refused.
pub(in crate::controller) fn afresh<'n>(
    interfaces: &[&'n Interface],
    modes: &BTreeMap<String, ModeChoice>,
) -> Vec<AttachTarget<'n>> {
    let target = |interface: &&'n Interface| AttachTarget {
        interface,
        attempt: Attempt::afresh(choice(modes, &interface.name)),
    };
    interfaces.iter().map(target).collect()
}

/// For those of these names that exist, with nobody there: what is known not to work is not tried again.
pub(in crate::controller) fn unattended<'n>(
    layout: &Layout,
    network: &'n Network,
    names: &[String],
    modes: &BTreeMap<String, ModeChoice>,
) -> Vec<AttachTarget<'n>> {
    let known = Attachments::read(layout);
    let interfaces = names.iter().filter_map(|name| network.interface(name));
    let target = |interface: &'n Interface| AttachTarget {
        interface,
        attempt: Attempt::unattended(choice(modes, &interface.name), interface, &known),
    };
    interfaces.map(target).collect()
}

fn choice(modes: &BTreeMap<String, ModeChoice>, name: &str) -> ModeChoice {
    modes.get(name).copied().unwrap_or_default()
}
