//! Larger tables of bans in the place of those that are full, without a gap.

use std::{fs, path::Path};

use guard_common::abi::{ban::Sizes, names};

use super::{
    interface::{attach::replace, egress},
    object::{
        Object,
        load_error::load_failure,
        parameters::{Parameters, Purpose},
    },
    pins::{
        self,
        files::{next_name, pin, remove_if_there},
    },
    preflight,
    tables::bans::Shared,
};
use crate::{
    failure::{Failure, from_io},
    host::Network,
    layout::Layout,
};

/// The arrays that grow.
const GROWING: [&str; 4] = [
    names::BAN_CHUNKS,
    names::BAN_SET,
    names::BAN_ADDRESSES,
    names::BAN_FINGERPRINTS,
];

/// Makes larger tables of bans and lets a program that uses them take over, link by link. `fill` writes
/// into them what the smaller ones say; filter and tops are shared.
///
/// # Errors
/// What the kernel refuses, or `fill`; the smaller tables then stay in place. A kill in between leaves
/// links with either, until the next change of bans repeats it.
pub(super) fn enlarge(
    layout: &Layout,
    sizes: Sizes,
    fill: impl FnOnce(Shared) -> Result<Shared, Failure>,
) -> Result<Shared, Failure> {
    preflight::may_load()?;
    let maps = layout.maps();
    let fresh = GROWING;
    let parameters = Parameters {
        bans: sizes,
        ..pins::parameters(layout, Purpose::Filter)?
    };
    let mut object = Object::load(parameters, Some((&maps, &fresh))).map_err(load_failure)?;
    let larger = fill(object.bans().map_err(load_failure)?)?;
    for name in fresh {
        let next = maps.join(next_name(name));
        remove_if_there(&next)?;
        pin(&object, name, &next)?;
    }
    let network = Network::read_without_routes()
        .map_err(|error| from_io("cannot read the interfaces", &error))?;
    let egress = object.egress().map_err(load_failure)?;
    for link in pins::links(layout)? {
        if let Some(known) = network.by_index(link.ifindex) {
            egress::attach(egress, known, &layout.links())?;
        }
    }
    for link in pins::links(layout)? {
        if network.by_index(link.ifindex).is_some() {
            replace(&mut object, link, layout)?;
        }
    }
    for name in fresh {
        let to = maps.join(name);
        fs::rename(maps.join(next_name(name)), &to)
            .map_err(|error| from_io(to.display(), &error))?;
    }
    Ok(larger)
}

/// Was a command killed while it made larger tables of bans?
pub(super) fn is_enlarging(maps: &Path) -> bool {
    GROWING
        .into_iter()
        .any(|name| maps.join(next_name(name)).exists())
}
