//! What guard is not on although strangers can come by it, and what it is on.

use std::collections::BTreeSet;

use super::Controller;
use crate::{
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

    /// On which guarded interface the packets of another one are judged: on itself, or on one beneath it.
    ///
    /// # Errors
    /// When the links cannot be read.
    pub(super) fn judged_on(&self, network: &Network, index: u32) -> Result<Option<u32>, Failure> {
        let guarded: BTreeSet<u32> = heal::protected(&self.layout, network)?
            .into_iter()
            .collect();
        if guarded.contains(&index) {
            return Ok(Some(index));
        }
        Ok(network.stack(index).intersection(&guarded).next().copied())
    }
}
