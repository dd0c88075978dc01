//! That the policy in force is a copy, because the files could not be used at boot: noted for `status` and the daemon
//! until something else is in force.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::{
    controller::Controller,
    failure::{Exit, Failure, from_io},
    layout::Layout,
    state_file,
};

/// The note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::controller) struct Fallback {
    digest: u64,
    why: String,
}

impl Fallback {
    /// Leaves it, where a reboot takes it away.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::controller) fn note(
        layout: &Layout,
        digest: u64,
        why: &str,
    ) -> Result<(), Failure> {
        let note = Self {
            digest,
            why: why.to_owned(),
        };
        let text = serde_json::to_string(&note)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let path = layout.fallback();
        fs::write(&path, text).map_err(|error| from_io(path.display(), &error))
    }

    fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&state_file::read(&layout.fallback()).ok()?).ok()
    }
}

impl Controller {
    /// Why the policy of this digest, which is in force, is a copy of the last one; `None` when it is what the files
    /// say, or what somebody has applied since.
    #[must_use]
    pub fn fallback(&self, in_force: u64) -> Option<String> {
        let note = Fallback::read(&self.layout)?;
        let is_in_files = || self.load().is_ok_and(|loaded| loaded.digest == in_force);
        (note.digest == in_force && !is_in_files()).then_some(note.why)
    }
}
