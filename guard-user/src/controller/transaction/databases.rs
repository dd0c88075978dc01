//! Sets whose databases have changed: what they hold now is put into force, and nothing else that stands in the files.

use std::path::PathBuf;

use super::replace_policy::{Act, Replacement};
use crate::{
    controller::{
        ActivePolicy, Applied, Consent, Controller,
        state::{history::OF_REFRESH, last_good},
    },
    failure::Failure,
    ruleset::mmdb::DatabaseSet,
};

/// What came of a look at what stands outside of the policy files: databases, and addresses of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// They say what is in force.
    Unchanged,
    /// What they say is in force from now on.
    Applied {
        /// The sets.
        sets: Vec<DatabaseSet>,
        /// Its generation.
        generation: u32,
        /// What the operator should look at.
        warnings: Vec<String>,
    },
    /// The policy files have been changed, too, and nobody has applied that.
    FilesChanged,
}

impl Controller {
    /// The files of the databases of the policy in force; `None` when its words are not known, as in the middle of a
    /// change.
    #[must_use]
    pub fn database_files(&self, in_force: ActivePolicy) -> Option<Vec<PathBuf>> {
        let applied = Applied::read(&self.layout);
        let sets = match applied.filter(|applied| applied.generation == in_force.generation) {
            Some(applied) => applied.databases,
            // Where the state folder could not be written.
            None => {
                let files = self.load().ok();
                let files = files.filter(|files| files.digest == in_force.digest);
                files?.policy.databases
            }
        };
        let files = sets.into_iter();
        let mut files: Vec<PathBuf> = files.map(|set| self.layout.etc.join(set.file)).collect();
        files.sort_unstable();
        files.dedup();
        Some(files)
    }

    /// Puts into force what databases hold and names resolve to, if that is all in which files and kernel differ.
    ///
    /// # Errors
    /// Exit 5 when a database cannot be used, 7 when an operator could not log in again, 14 while a change waits for
    /// its confirmation. What is in force stays.
    pub fn refresh_extracts(&self) -> Result<Refreshed, Failure> {
        let is_current = |digest: u64| {
            let in_force = self.in_force()?;
            Ok::<_, Failure>(in_force.is_none_or(|in_force| in_force.digest == digest))
        };
        // Most looks end here, without the lock.
        if is_current(self.load()?.digest)? {
            return Ok(Refreshed::Unchanged);
        }
        let consent = Consent::default();
        let _lock = self.begin(consent)?;
        let loaded = self.load()?;
        let Some(in_force) = self.in_force()? else {
            return Ok(Refreshed::Unchanged);
        };
        if in_force.digest == loaded.digest {
            return Ok(Refreshed::Unchanged);
        }
        if !last_good::differs_in_extracts_alone(&self.layout, &loaded, in_force.digest) {
            return Ok(Refreshed::FilesChanged);
        }
        let checked = self.check_policy(&loaded, consent)?;
        let replacement = Replacement {
            loaded: &loaded,
            changes: Vec::new(),
            checked,
            before: None,
            act: Act::Apply,
            name: self.layout.etc.display().to_string(),
        };
        let daemon = self.clone().for_command(OF_REFRESH.to_owned());
        let changed = daemon.replace_policy(replacement, consent)?;
        Ok(Refreshed::Applied {
            generation: changed.generation.unwrap_or_default(),
            warnings: changed.warnings,
            sets: loaded.policy.databases,
        })
    }
}
