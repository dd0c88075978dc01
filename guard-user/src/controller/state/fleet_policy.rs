//! The policy of the fleet that this host took last, over restarts: none that is older is taken again.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    control::fleet::{PolicyState, PolicyStep},
    failure::{Failure, from_io},
    layout::Layout,
    state_file,
    text::staged,
};

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::controller) struct TakenPolicy {
    /// Public key of who signed it: another signer begins to count anew.
    pub(in crate::controller) signer: String,
    pub(in crate::controller) generation: u64,
    /// SHA-256 of its text.
    pub(in crate::controller) digest: String,
    pub(in crate::controller) step: PolicyStep,
    pub(in crate::controller) why: String,
}

impl TakenPolicy {
    /// The last of this signer; a file that makes no sense is an error, for to forget it would be to take an older one.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub(in crate::controller) fn read(layout: &Layout, signer: &str) -> Result<Self, Failure> {
        let path = layout.fleet_policy();
        let none = || Self {
            signer: signer.to_owned(),
            ..Self::default()
        };
        let text = match state_file::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none()),
            Err(error) => return Err(from_io(path.display(), &error)),
        };
        let found: Self = serde_json::from_str(&text).map_err(|error| {
            from_io(
                path.display(),
                &io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            )
            .help("remove it; the policy that is published now is then taken, whatever its generation")
        })?;
        Ok(if found.signer == signer {
            found
        } else {
            none()
        })
    }

    /// Replaces it.
    ///
    /// # Errors
    /// When the disk says so.
    pub(in crate::controller) fn write(&self, layout: &Layout) -> Result<(), Failure> {
        let path = layout.fleet_policy();
        let text = serde_json::to_string(self)
            .map_err(|error| from_io(path.display(), &io::Error::other(error)))?;
        staged::write_state(&path, &text).map_err(|error| error.failure())
    }

    /// The same for whoever asks.
    pub(in crate::controller) fn state(&self) -> PolicyState {
        PolicyState {
            generation: self.generation,
            step: self.step,
            why: self.why.clone(),
        }
    }
}
