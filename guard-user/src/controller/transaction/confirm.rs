//! Changes with a deadline: what is pending, keeping it, and returning at once.

use std::time::Duration;

use super::recover::Recovered;
use crate::{
    controller::{
        Consent, Controller, Lock,
        state::{
            history::ChangeOutcome,
            journal::{ChangeJournal, Stage},
            policy_files::{StagedFiles, stage_failure},
        },
    },
    dataplane::{
        installation,
        pins::{self, Running},
        tables::slots::PolicySlots,
    },
    failure::{Exit, Failure},
    host::clock,
};
use guard_common::abi::switch::SwitchWord;

/// Shortest time to answer in.
pub const SHORTEST: Duration = Duration::from_secs(5);
/// Longest time to answer in.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// How long a change stays without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// For good.
    #[default]
    NotNeeded,
    /// So long; the operator asked for it.
    Within(Duration),
    /// So long, because the command could cut the session that it came by. Where guard is off,
    /// nothing can be cut.
    OverSsh(Duration),
}

impl Confirm {
    /// The time to answer in, when guard is active.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::NotNeeded => None,
            Self::Within(limit) | Self::OverSsh(limit) => Some(limit),
        }
    }
}

/// A change that waits for its confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Generation in force until then.
    pub generation: u32,
    /// Generation that returns; 0 = guard goes off again.
    pub previous_generation: u32,
    /// Time left.
    pub left: Duration,
}

impl Pending {
    /// What these slots wait for; `None` when nothing, or when the time is over.
    pub(in crate::controller) fn of(slots: &PolicySlots) -> Option<Self> {
        let switch = slots.switch();
        let now = clock::boot_time_ns();
        let deadline = switch.deadline_ns()?;
        if switch.is_expired(now) {
            return None;
        }
        Some(Self {
            generation: slots.generation_in(switch.active()),
            previous_generation: slots.generation_in(switch.previous()),
            left: Duration::from_nanos(deadline.saturating_sub(now)),
        })
    }

    /// Seconds left, as people count them.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.left.as_millis().div_ceil(1000) as u64
    }

    /// `generation 3 returns`.
    #[must_use]
    pub fn then(&self) -> String {
        match self.previous_generation {
            0 => "guard goes off again".to_owned(),
            generation => format!("generation {generation} returns"),
        }
    }
}

/// What `confirm` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Generation that stays.
    pub generation: u32,
    /// The command that had made it.
    pub command: String,
}

impl Controller {
    /// What waits for its confirmation at this moment.
    ///
    /// # Errors
    /// When the pins cannot be opened, exit 4 or 11.
    pub fn pending(&self) -> Result<Option<Pending>, Failure> {
        Ok(pins::open(&self.layout)?.and_then(|running| Pending::of(&running.slots)))
    }

    /// Makes the pending change permanent: the new texts onto the disk, the switch, then the texts
    /// into place. If the last step fails, the change is pending as before.
    ///
    /// # Errors
    /// Exit 6 when nothing is pending, 1 when it is too late or a policy file was written meanwhile.
    pub fn confirm(&self, consent: Consent) -> Result<Confirmed, Failure> {
        self.confirm_command(None, consent)
    }

    /// The same, if it is this command's change that waits.
    pub(in crate::controller) fn confirm_command(
        &self,
        command: Option<&str>,
        consent: Consent,
    ) -> Result<Confirmed, Failure> {
        let lock = Lock::unless_dry_run(&self.layout, consent)?;
        let recovered = match &lock {
            Some(_) => self.recover()?,
            None => Recovered::Nothing,
        };
        let running = pins::open(&self.layout)?;
        let Some((running, pending)) = running.and_then(|running| {
            let pending = Pending::of(&running.slots)?;
            Some((running, pending))
        }) else {
            return Err(self.nothing_to_confirm(&recovered)?);
        };
        let journal = ChangeJournal::read(&self.layout)
            .filter(|journal| journal.generation() == pending.generation)
            .filter(|journal| journal.stage == Stage::AwaitingConfirmation)
            .filter(|journal| command.is_none_or(|command| journal.command == command))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Failed,
                    format!(
                        "{}: the files of the pending change are lost",
                        self.layout.journal().display()
                    ),
                )
                .help("`guardctl rollback` takes the change back; then make it again")
            })?;
        if let Some(change) = journal.changes.iter().find(|change| change.is_foreign()) {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "{}: the file was written while the change was pending",
                    change.path.display()
                ),
            )
            .help("`guardctl rollback` takes the change back and leaves the file alone"));
        }
        if lock.is_some() {
            self.keep(&running, &journal)?;
        }
        Ok(Confirmed {
            generation: pending.generation,
            command: journal.command,
        })
    }

    /// The candidate's texts onto the disk, the switch, the texts into place.
    fn keep(&self, running: &Running, journal: &ChangeJournal) -> Result<(), Failure> {
        let files = StagedFiles::write(&journal.changes)?;
        let applied = journal.applied.stage(&self.layout)?;
        let before = running.slots.switch();
        self.settle_in_time(running, before)?;
        if let Err(failure) = files.commit() {
            installation::undo(&self.layout, before)?;
            return Err(failure.help("the change is pending as before"));
        }
        applied.commit().map_err(|error| stage_failure(&error))?;
        self.forget(ChangeOutcome::Confirmed)?;
        self.remember_for_boot(&self.load()?)
    }

    /// Staging takes time too; what has expired meanwhile stays expired.
    fn settle_in_time(&self, running: &Running, pending: SwitchWord) -> Result<(), Failure> {
        if pending.is_expired(clock::boot_time_ns()) {
            let failure = self.nothing_to_confirm(&self.recover()?)?;
            return Err(failure);
        }
        let settled = SwitchWord::settled(pending.active(), pending.previous());
        running.slots.switch_to(settled);
        Ok(())
    }

    fn nothing_to_confirm(&self, recovered: &Recovered) -> Result<Failure, Failure> {
        let in_force = self.in_force_words()?;
        let newest = self.history().into_iter().next();
        let late = match recovered {
            Recovered::Expired { command } => Some(command.clone()),
            Recovered::Nothing | Recovered::Interrupted => newest
                .filter(|entry| entry.outcome == ChangeOutcome::NotConfirmed)
                .map(|entry| entry.command),
        };
        Ok(match late {
            Some(command) => Failure::new(
                Exit::Failed,
                format!("too late: `{command}` was not confirmed in time; {in_force}"),
            )
            .help("make the change again, with a longer --confirm if need be"),
            None => Failure::new(
                Exit::NotFound,
                format!("no change is waiting for confirmation; {in_force}"),
            )
            .help("`guardctl history` shows what was changed"),
        })
    }

    /// `generation 3 is in force`, or that guard is off.
    pub(in crate::controller) fn in_force_words(&self) -> Result<String, Failure> {
        Ok(match self.generation()? {
            Some(generation) => format!("generation {generation} is in force"),
            None => "guard is off".to_owned(),
        })
    }
}
