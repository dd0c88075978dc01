//! What every command does before it changes something: a deadline that has passed is settled, and a
//! change that a killed command left half done is completed or forgotten.

use crate::{
    controller::{
        Consent, Controller, Lock,
        state::{
            devices::forget_interfaces,
            history::{self, ChangeOutcome},
            journal::{ChangeJournal, Stage},
            policy_files::{StagedFiles, remove},
        },
    },
    dataplane::{
        installation,
        pins::{self, Running},
        removal,
    },
    failure::{Exit, Failure},
    host::clock,
};

/// What had to be put in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Recovered {
    /// Nothing.
    Nothing,
    /// A change was not confirmed in time.
    Expired {
        /// The command that made it.
        command: String,
    },
    /// A command was killed on the way.
    Interrupted,
}

impl Controller {
    /// The lock, for a command that may change the policy, with everything in order and nothing
    /// pending. A dry run takes no lock and puts nothing in order.
    ///
    /// # Errors
    /// Exit 14 while a change waits for its confirmation.
    pub fn begin(&self, consent: Consent) -> Result<Option<Lock>, Failure> {
        let lock = Lock::unless_dry_run(&self.layout, consent)?;
        if lock.is_some() {
            self.recover()?;
        }
        let Some(pending) = self.pending()? else {
            return Ok(lock);
        };
        let seconds = pending.seconds();
        let then = pending.then();
        Err(Failure::new(
            Exit::Pending,
            format!("a change is pending: in {seconds} s {then} unless it is confirmed"),
        )
        .help("`guardctl confirm` keeps it, `guardctl rollback` takes it back; then try again"))
    }

    /// Puts in order what time or a kill has left behind. The caller holds the lock.
    pub(in crate::controller) fn recover(&self) -> Result<Recovered, Failure> {
        let layout = &self.layout;
        let journal = ChangeJournal::read(layout);
        let Some(running) = pins::open(layout)? else {
            // guard is off: after a reboot, or a first `enable` that was killed early.
            let Some(journal) = journal else {
                return Ok(Recovered::Nothing);
            };
            let is_begun = journal.changes.iter().any(|change| change.is_in_place());
            if is_begun {
                self.finish_files(&journal)?;
            }
            let outcome = if is_begun {
                ChangeOutcome::Confirmed
            } else {
                ChangeOutcome::NotConfirmed
            };
            self.forget(outcome)?;
            return Ok(Recovered::Interrupted);
        };
        let switch = running.slots.switch();
        if switch.has_deadline() {
            if !switch.is_expired(clock::boot_time_ns()) {
                return Ok(Recovered::Nothing);
            }
            self.return_to_previous(&running)?;
            self.forget(ChangeOutcome::NotConfirmed)?;
            let command = journal.map(|journal| journal.command);
            return Ok(Recovered::Expired {
                command: command.unwrap_or_else(|| "the last change".to_owned()),
            });
        }
        let Some(journal) = journal else {
            return Ok(Recovered::Nothing);
        };
        if journal.generation() != running.slots.generation() {
            // The switch in place may not be the one that every program reads.
            installation::complete(layout, &self.network()?)?;
            self.forget(ChangeOutcome::NotConfirmed)?;
            return Ok(Recovered::Interrupted);
        }
        self.finish_files(&journal)?;
        self.note_settled(&journal)?;
        ChangeJournal::remove(layout)?;
        Ok(Recovered::Interrupted)
    }

    /// The kernel has returned to the policy from before, or is to do so now: that becomes the
    /// settled state.
    pub(in crate::controller) fn return_to_previous(
        &self,
        running: &Running,
    ) -> Result<(), Failure> {
        let previous = running.slots.switch().previous();
        if running.slots.generation_in(previous) != 0 {
            return installation::settle(&self.layout, previous);
        }
        // There was no policy before the first one: guard goes off, as it was.
        removal::remove(&self.layout)?;
        forget_interfaces(&self.layout)?;
        remove(&self.layout.applied())
    }

    /// Drops the candidate. A history that cannot be written holds nothing up.
    pub(in crate::controller) fn forget(&self, outcome: ChangeOutcome) -> Result<(), Failure> {
        history::conclude(&self.layout, outcome).ok();
        ChangeJournal::remove(&self.layout)
    }

    /// In words and in the history: this is the policy now.
    pub(in crate::controller) fn note_settled(
        &self,
        journal: &ChangeJournal,
    ) -> Result<(), Failure> {
        journal
            .applied
            .stage(&self.layout)?
            .commit()
            .map_err(|error| crate::controller::state::policy_files::stage_failure(&error))?;
        match journal.stage {
            Stage::Settling => history::record(&self.layout, journal, ChangeOutcome::Applied),
            Stage::AwaitingConfirmation => {
                history::conclude(&self.layout, ChangeOutcome::Confirmed)
            }
        }
    }

    /// Puts the texts in place that a killed command did not, but none over a file that somebody has
    /// written since: `status` tells of such a file.
    fn finish_files(&self, journal: &ChangeJournal) -> Result<(), Failure> {
        let missing: Vec<_> = journal
            .changes
            .iter()
            .filter(|change| !change.is_in_place() && !change.is_foreign())
            .cloned()
            .collect();
        StagedFiles::write(&missing)?.commit()
    }
}
