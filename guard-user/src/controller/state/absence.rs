//! guard should be on and is not: that it is so, and why, for whoever asks after it happened.

use std::fs;

use super::last_good;
use crate::{
    controller::Controller,
    dataplane::pins,
    failure::{Exit, Failure, from_io},
    layout::Layout,
    state_file,
};

/// What is said where nothing else is known.
const UNKNOWN: &str = "nothing has loaded the policy since its pins disappeared, by a reboot or because somebody removed them";

impl Controller {
    /// Why no policy is in force although guard was turned on; `None` when one is, or guard is off.
    ///
    /// # Errors
    /// When the pins cannot be opened.
    pub fn absence(&self) -> Result<Option<String>, Failure> {
        if !last_good::is_enabled(&self.layout) || pins::open(&self.layout)?.is_some() {
            return Ok(None);
        }
        Ok(Some(why(&self.layout)))
    }
}

/// The reason of the last `load` that failed.
pub(in crate::controller) fn why(layout: &Layout) -> String {
    let kept = state_file::read_text(&layout.load_failure());
    kept.unwrap_or_else(|_| UNKNOWN.to_owned())
}

/// Keeps the reason for `status`.
///
/// # Errors
/// When the run folder is not writable.
pub(in crate::controller) fn remember(layout: &Layout, failure: &Failure) -> Result<(), Failure> {
    let path = layout.load_failure();
    fs::create_dir_all(&layout.run)
        .and_then(|()| fs::write(&path, failure.in_brackets()))
        .map_err(|error| from_io(path.display(), &error))
}

/// Forgets it: a policy is in force, or guard is off.
pub(in crate::controller) fn forget(layout: &Layout) {
    // What is left of it is read only while nothing is in force.
    fs::remove_file(layout.load_failure()).unwrap_or_default();
}

/// The failure that a service ends with.
pub(crate) fn failure(why: &str) -> Failure {
    Failure::new(
        Exit::Partial,
        format!("THE HOST IS UNPROTECTED: guard should be on, and no policy is in force: {why}"),
    )
}
