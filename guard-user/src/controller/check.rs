//! `check`: everything that `reload` would find wrong, touching nothing.

use std::path::Path;

use super::{
    Controller,
    force::{image, loaded_or_failure},
};
use crate::{
    failure::Failure,
    host::Network,
    ruleset::{compile::Stamp, source},
};

/// A policy that could be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Number of rules.
    pub rules: usize,
    /// Files that were read.
    pub files: Vec<String>,
    /// What their author should look at.
    pub warnings: Vec<String>,
}

impl Controller {
    /// Checks one file as a policy of its own, or the policy on disk. Needs neither root nor a
    /// running guard.
    ///
    /// # Errors
    /// Exit 5 with every problem.
    pub fn check(&self, file: Option<&Path>) -> Result<Checked, Failure> {
        let loaded = match file {
            Some(file) => loaded_or_failure(source::check(file))?,
            None => self.load()?,
        };
        // Sizes do not depend on the host's addresses; without netlink none are known.
        let network = Network::read().unwrap_or_default();
        image(&loaded.policy, &network, Stamp::default())?;
        Ok(Checked {
            rules: loaded.policy.rules.len(),
            files: loaded
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
        })
    }
}
