//! The change that is under way, on disk before the kernel hears of it: a command that is killed is
//! completed or forgotten by the next one, and a change with a deadline waits here for its
//! confirmation. One file, so that it is there as a whole or not at all.

use serde::{Deserialize, Serialize};

use super::policy_files::{FileChange, PolicyText, remove, stage_failure};
use crate::{
    controller::Applied,
    failure::{Exit, Failure},
    layout::Layout,
    state_file,
    text::staged::write_state,
};

/// A change that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::controller) struct ChangeJournal {
    /// Does it wait for a confirmation?
    pub(in crate::controller) stage: Stage,
    /// What the operator typed.
    pub(in crate::controller) command: String,
    /// What will be in force, in words.
    pub(in crate::controller) applied: Applied,
    /// Digest of the new policy.
    pub(in crate::controller) digest: u64,
    /// What becomes of the files.
    pub(in crate::controller) changes: Vec<FileChange>,
    /// Every policy file of the new policy.
    pub(in crate::controller) files: Vec<PolicyText>,
}

/// How far a change shall go by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::controller) enum Stage {
    /// To its end: the next command completes what was put into the kernel.
    Settling,
    /// Into the kernel only, until somebody confirms it.
    AwaitingConfirmation,
}

impl ChangeJournal {
    /// What was written last; `None` when there is nothing or it cannot be read.
    pub(in crate::controller) fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&state_file::read(&layout.journal()).ok()?).ok()
    }

    /// Generation of the new policy.
    pub(in crate::controller) fn generation(&self) -> u32 {
        self.applied.generation
    }

    /// Onto the disk.
    pub(in crate::controller) fn write(&self, layout: &Layout) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        write_state(&layout.journal(), &text).map_err(|error| stage_failure(&error))
    }

    /// Nothing is under way any more.
    pub(in crate::controller) fn remove(layout: &Layout) -> Result<(), Failure> {
        remove(&layout.journal())
    }
}
