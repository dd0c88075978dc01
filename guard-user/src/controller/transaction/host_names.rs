//! Names whose addresses have changed: what they resolve to now is put into force, and nothing else that stands in
//! the files.

use std::collections::BTreeSet;

use crate::{
    controller::{Controller, KnownNames, Refreshed},
    failure::Failure,
    ruleset::source::Loaded,
};

impl Controller {
    /// The names of the policy files, and what is known of them; none when the files are wrong.
    #[must_use]
    pub fn host_names(&self) -> KnownNames {
        let Ok(loaded) = self.load() else {
            return KnownNames::new();
        };
        self.known_of(&loaded)
    }

    pub(in crate::controller) fn known_of(&self, loaded: &Loaded) -> KnownNames {
        if loaded.host_names.is_empty() {
            return KnownNames::new();
        }
        let mut known = self.names.known();
        known.retain(|name, _| loaded.host_names.contains(name));
        known
    }

    /// What is known of the names that jails never count.
    #[must_use]
    pub fn ignored_names(&self, names: &BTreeSet<String>) -> KnownNames {
        let mut known = match names.is_empty() {
            true => KnownNames::new(),
            false => self.ignored.known(),
        };
        known.retain(|name, _| names.contains(name));
        known
    }

    /// Keeps what those names resolve to.
    ///
    /// # Errors
    /// When the state folder is not writable; it is known until the process ends all the same.
    pub fn remember_ignored_names(
        &self,
        known: KnownNames,
        names: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        drop(self.ignored.learn(known));
        self.ignored.save(names)
    }

    /// Puts into force what names resolve to now, and keeps it.
    ///
    /// # Errors
    /// Those of [`Self::refresh_extracts`]; what is in force stays, and so does what was known.
    pub fn refresh_host_names(&self, answers: KnownNames) -> Result<Refreshed, Failure> {
        let before = self.names.learn(answers);
        let refreshed = self.refresh_extracts();
        match &refreshed {
            Ok(Refreshed::Unchanged | Refreshed::Applied { .. }) => {
                let named: BTreeSet<String> = self.load()?.host_names;
                self.names.save(&named)?;
            }
            Ok(Refreshed::FilesChanged) | Err(_) => self.names.unlearn(before),
        }
        refreshed
    }
}
