//! `reload`: the files are put into force as they are.

use super::replace_policy::{Act, Replacement};
use crate::{
    controller::{Applied, Changed, Consent, Controller},
    failure::{Exit, Failure},
};

impl Controller {
    /// Puts the files into force as they are.
    ///
    /// # Errors
    /// As [`Controller::change`]; exit 3 when guard is not active.
    pub fn reload(&self, consent: Consent) -> Result<Changed, Failure> {
        let _lock = self.begin(consent)?;
        let loaded = self.load()?;
        let Some(checked) = self.check_policy(&loaded, consent)? else {
            return Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on"));
        };
        let before = Applied::read(&self.layout)
            .filter(|applied| applied.generation == checked.generation_before)
            .map(|applied| applied.rules);
        let replacement = Replacement {
            loaded: &loaded,
            changes: Vec::new(),
            checked: Some(checked),
            before,
            act: Act::Apply,
            name: self.layout.etc.display().to_string(),
        };
        self.replace_policy(replacement, consent)
    }
}
