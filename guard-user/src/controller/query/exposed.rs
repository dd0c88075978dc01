//! What guard is not on although strangers can come by it, and what it is on.

use std::collections::BTreeSet;

use crate::{
    controller::Controller,
    dataplane::heal,
    failure::Failure,
    host::{
        Network,
        exposure::{self, Exposure},
    },
};

impl Controller {
    /// Interfaces without guard by which strangers can come.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub fn exposures(&self, network: &Network) -> Result<BTreeSet<Exposure>, Failure> {
        let guarded: BTreeSet<u32> = heal::protected(&self.layout, network)?
            .into_iter()
            .collect();
        Ok(exposure::exposures(network, &guarded))
    }

    /// Those of them that the policy does not leave without guard on purpose.
    ///
    /// # Errors
    /// As [`Controller::exposures`].
    pub(in crate::controller) fn unwanted_exposures(
        &self,
        network: &Network,
        unguarded: &[String],
    ) -> Result<BTreeSet<Exposure>, Failure> {
        let mut found = self.exposures(network)?;
        found.retain(|exposure| !unguarded.contains(&exposure.interface));
        Ok(found)
    }

    /// The same of the network and the policy as they are.
    ///
    /// # Errors
    /// When the links or the policy files cannot be read.
    pub fn unwanted_exposures_now(&self) -> Result<BTreeSet<Exposure>, Failure> {
        let unguarded = self.load()?.policy.unguarded;
        self.unwanted_exposures(&self.network()?, &unguarded)
    }

    /// On which guarded interface the packets of another one are filtered: on itself, or on one beneath it.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub(in crate::controller) fn evaluated_on(
        &self,
        network: &Network,
        index: u32,
    ) -> Result<Option<u32>, Failure> {
        let guarded: BTreeSet<u32> = heal::protected(&self.layout, network)?
            .into_iter()
            .collect();
        if guarded.contains(&index) {
            return Ok(Some(index));
        }
        Ok(network.stack(index).intersection(&guarded).next().copied())
    }
}
