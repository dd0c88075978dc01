//! A package was upgraded: the program of this guardctl takes the place of the one that runs.

use crate::{
    controller::{Consent, Controller},
    dataplane::{installation, pins},
    failure::Failure,
};

impl Controller {
    /// Puts the program of this guardctl in the place of the one that runs, without a gap. The policy that is in
    /// force stays, whatever the files say, and so do flows, bans and counters. Was there one?
    ///
    /// # Errors
    /// Exit 11 when the one that runs has other tables, 14 while a change is pending; the old program filters on.
    pub fn exchange_program(&self) -> Result<bool, Failure> {
        // Where guard is off nobody needs rights or the lock.
        if pins::open(&self.layout)?.is_none() {
            return Ok(false);
        }
        let _lock = self.begin(Consent::default())?;
        installation::renew(&self.layout, &self.network()?)
    }
}
