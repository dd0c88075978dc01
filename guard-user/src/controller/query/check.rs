//! `check`: everything that `reload` would find wrong, touching nothing.

use std::path::Path;

use crate::{
    controller::{
        Controller,
        transaction::activate::{image, loaded_or_failure},
    },
    failure::{Exit, Failure},
    host::Network,
    jails,
    ruleset::{compile::Stamp, mmdb::DatabaseSet, source},
};

/// A policy that could be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Number of rules.
    pub rules: usize,
    /// Sets that come from databases.
    pub databases: Vec<DatabaseSet>,
    /// Files that were read.
    pub files: Vec<String>,
    /// What their author should look at.
    pub warnings: Vec<String>,
}

impl Controller {
    /// Checks one file as a policy of its own, or the policy on disk and the jails. Needs neither root nor a
    /// running guard.
    ///
    /// # Errors
    /// Exit 5 with every problem.
    pub fn check(&self, file: Option<&Path>) -> Result<Checked, Failure> {
        let loaded = match file {
            Some(file) => loaded_or_failure(source::check(file))?,
            None => {
                let loaded = self.load()?;
                self.check_jails()?;
                loaded
            }
        };
        // Sizes do not depend on the host's addresses; without netlink none are known.
        let network = Network::read().unwrap_or_default();
        image(&loaded.policy, &network, Stamp::default(), &self.moments())?;
        Ok(Checked {
            rules: loaded.policy.rules.len(),
            databases: loaded.policy.databases,
            files: loaded
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
        })
    }

    /// The files of jails, and the filters of those that are enabled.
    fn check_jails(&self) -> Result<(), Failure> {
        let found = self.jails();
        let mut wrong: Vec<String> = Vec::new();
        let problems = found.problems.to_string();
        wrong.extend(Some(problems.trim_end().to_owned()).filter(|text| !text.is_empty()));
        for settings in found.jails.values().filter(|jail| jail.is_enabled) {
            if let Err(problem) = jails::check(&self.layout, settings) {
                wrong.push(format!("jail {}: {}", settings.name, problem.failure()));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::new(Exit::BadConfiguration, wrong.join("\n")))
    }
}
