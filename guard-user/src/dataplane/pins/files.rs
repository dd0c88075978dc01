//! Where what outlives a command is pinned, and under which names.

use std::path::{Path, PathBuf};

use guard_common::abi::names;

use crate::{
    dataplane::object::{Object, load_error::load_failure},
    failure::{Exit, Failure, from_io},
    layout::Layout,
    state_file,
};

/// Name of the pin of an interface's link.
#[must_use]
pub(in crate::dataplane) fn link_name(ifindex: u32) -> String {
    format!("xdp-{ifindex}")
}

/// Was a command killed between making larger maps and putting all of them in place? The program
/// may use either of them then, so none can be written to.
pub(in crate::dataplane) fn is_interrupted(maps: &Path) -> bool {
    [names::POLICY, names::SWITCH, names::FLOWS]
        .into_iter()
        .any(|name| maps.join(next_name(name)).exists())
}

/// Where the link of an interface is pinned.
pub(in crate::dataplane) fn pin_of_link(layout: &Layout, ifindex: u32) -> PathBuf {
    layout.links().join(link_name(ifindex))
}

/// Pin of a map that is about to take the place of another. (bpffs reserves names with a dot.)
pub(in crate::dataplane) fn next_name(name: &str) -> String {
    format!("{name}_next")
}

/// Pin of the programs that the program on an interface hands frames of other forms to.
pub(in crate::dataplane) fn pin_of_forms(layout: &Layout, ifindex: u32) -> PathBuf {
    layout.maps().join(format!("forms-{ifindex}"))
}

/// The same while it is about to take the place of another.
pub(in crate::dataplane) fn pin_of_next_forms(layout: &Layout, ifindex: u32) -> PathBuf {
    layout.maps().join(next_name(&format!("forms-{ifindex}")))
}

/// Removes both: a command that was killed between an exchange and the new name leaves the second.
pub(in crate::dataplane) fn remove_forms(layout: &Layout, ifindex: u32) -> Result<(), Failure> {
    remove_if_there(&pin_of_forms(layout, ifindex))?;
    remove_if_there(&pin_of_next_forms(layout, ifindex))
}

pub(in crate::dataplane) fn remove_if_there(path: &Path) -> Result<(), Failure> {
    state_file::remove(path).map_err(|error| from_io(path.display(), &error))
}

pub(in crate::dataplane) fn pin(
    object: &Object,
    name: &'static str,
    path: &Path,
) -> Result<(), Failure> {
    object
        .map(name)
        .map_err(load_failure)?
        .pin(path)
        .map_err(|error| {
            // The kernel's answer is below aya's.
            let error = anyhow::Error::new(error);
            let (step, cause) = (error.to_string(), error.root_cause().to_string());
            let shown = path.display();
            Failure::new(
                Exit::NoBpffs,
                format!("{shown}: cannot pin the map: {step}: {cause}"),
            )
        })
}
