//! Going back: out of a pending change at once, or to a policy of the history.

use std::{fs, path::PathBuf};

use super::{
    confirm::Pending,
    recover::Recovered,
    replace_policy::{Act, Replacement},
};
use crate::{
    controller::{
        Changed, Consent, Controller, Lock,
        state::{
            history::{self, ChangeOutcome, HistoryEntry},
            policy_files::{FileChange, PolicyText},
        },
    },
    dataplane::pins,
    failure::{Exit, Failure},
    ruleset::source::{DROP_IN_FOLDER, MAIN_FILE},
};

impl Controller {
    /// Without a number: takes a pending change back at once, or, when none is pending, returns to
    /// the policy before the one in force. With a number: to that entry of the history.
    ///
    /// # Errors
    /// Exit 3 when guard is off, 6 when there is no such entry, 7 when an operator could not log in
    /// again, 14 for a number while a change is pending.
    pub fn rollback(&self, number: Option<u32>, consent: Consent) -> Result<Changed, Failure> {
        if number.is_some() {
            let _lock = self.begin(consent)?;
            return self.return_to(number, consent);
        }
        let lock = Lock::unless_dry_run(&self.layout, consent)?;
        let recovered = match &lock {
            Some(_) => self.recover()?,
            None => Recovered::Nothing,
        };
        if let Some(running) = pins::open(&self.layout)?
            && let Some(pending) = Pending::of(&running.slots)
        {
            if !consent.dry_run {
                // Noted first: a kill in between must not look like a time that ran out. A full disk
                // does not keep anybody from going back.
                history::conclude(&self.layout, ChangeOutcome::RolledBack).ok();
                self.return_to_previous(&running)?;
                self.forget(ChangeOutcome::RolledBack)?;
            }
            return self.returned(pending, consent);
        }
        let newest = self.history().into_iter().next();
        let expired = newest.filter(|entry| entry.outcome == ChangeOutcome::NotConfirmed);
        if let Some(command) = match recovered {
            Recovered::Expired { command } => Some(command),
            Recovered::Nothing | Recovered::Interrupted => expired.map(|entry| entry.command),
        } {
            // The operator means that change; to go further back than it would surprise him.
            let in_force = self.in_force_words()?;
            let message = format!(
                "`{command}` was not confirmed and has been undone already; {in_force} (`guardctl \
                 rollback NUMBER` goes further back)"
            );
            return self.unchanged(message, None, Vec::new(), consent);
        }
        self.return_to(None, consent)
    }

    fn returned(&self, pending: Pending, consent: Consent) -> Result<Changed, Failure> {
        let generation = pending.generation;
        let message = match (pending.previous_generation, consent.dry_run) {
            (0, false) => format!("rolled back generation {generation}: guard is off again"),
            (0, true) => format!("would roll back generation {generation}: guard would be off"),
            (previous, false) => {
                format!("rolled back generation {generation}: generation {previous} is in force")
            }
            (previous, true) => format!(
                "would roll back generation {generation}: generation {previous} would be in force"
            ),
        };
        let mut changed = self.unchanged(message, None, Vec::new(), consent)?;
        changed.changed = true;
        Ok(changed)
    }

    fn return_to(&self, number: Option<u32>, consent: Consent) -> Result<Changed, Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            return Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on"));
        };
        let entry = match number {
            Some(number) => self.entry(number)?,
            None => self.entry_before(running.slots.digest())?,
        };
        if !consent.force {
            self.refuse_unapplied_files(&running)?;
        }
        let loaded = self.load_texts(&entry.files)?;
        let changes = self.texts_of(&entry.files)?;
        let Some(checked) = self.check_policy(&loaded, consent)? else {
            return Err(Failure::new(
                Exit::Inactive,
                "guard was turned off meanwhile",
            ));
        };
        let replacement = Replacement {
            loaded: &loaded,
            changes,
            checked: Some(checked),
            before: self.rules_in_force(&running),
            act: Act::Return,
            name: format!("entry {} (`{}`)", entry.number, entry.command),
        };
        self.replace_policy(replacement, consent)
    }

    /// The newest policy that was settled and is not the one in force.
    fn entry_before(&self, in_force: u64) -> Result<HistoryEntry, Failure> {
        self.history()
            .into_iter()
            .find(|entry| entry.outcome.was_settled() && entry.digest != in_force)
            .ok_or_else(|| {
                Failure::new(
                    Exit::NotFound,
                    "history has no policy before the one in force",
                )
                .help("`guardctl history` lists what there is")
            })
    }

    /// What becomes of each file on disk when the policy shall be these files.
    pub(in crate::controller) fn texts_of(
        &self,
        files: &[PolicyText],
    ) -> Result<Vec<FileChange>, Failure> {
        let etc = &self.layout.etc;
        let mut changes = Vec::new();
        for file in files {
            changes.push(FileChange::new(
                etc.join(&file.name),
                Some(file.text.clone()),
            )?);
        }
        let is_kept = |path: &PathBuf| files.iter().any(|file| etc.join(&file.name) == *path);
        let on_disk = self.drop_ins().into_iter().chain([etc.join(MAIN_FILE)]);
        for path in on_disk.filter(|path| !is_kept(path) && path.exists()) {
            changes.push(FileChange::new(path, None)?);
        }
        changes.retain(|change| !change.is_idle());
        Ok(changes)
    }

    /// The policy files of guard.d.
    pub(in crate::controller) fn drop_ins(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.layout.etc.join(DROP_IN_FOLDER));
        let mut paths: Vec<PathBuf> = folder
            .into_iter()
            .flatten()
            .flatten()
            .filter(|file| !file.file_name().as_encoded_bytes().starts_with(b"."))
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .collect();
        paths.sort_unstable();
        paths
    }
}
