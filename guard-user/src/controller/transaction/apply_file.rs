//! `apply FILE`: one file becomes the policy as a whole.

use std::{fs, path::Path};

use super::replace_policy::{Act, Replacement};
use crate::{
    controller::{
        Changed, Consent, Controller, RuleView,
        state::policy_files::{FileChange, PolicyText},
    },
    dataplane::pins,
    failure::{Exit, Failure, from_io},
    ruleset::source::{Loaded, MAIN_FILE},
};

impl Controller {
    /// Makes the text of `file` the text of guard.toml and puts it in force. Files of sets are looked
    /// for where guard.toml is.
    ///
    /// # Errors
    /// Exit 5 when the file is no policy, or when guard.d has files: the policy would be more than
    /// the one file; 7 when an operator could not log in again, 14 while a change is pending.
    pub fn apply_file(&self, file: &Path, consent: Consent) -> Result<Changed, Failure> {
        let text = || {
            let text = fs::read(file).map_err(|error| unreadable(file, &error))?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        self.apply_text(file, text, consent)
    }

    /// The same of a text; `file` is what it is called.
    pub(in crate::controller) fn apply_text(
        &self,
        file: &Path,
        text: impl FnOnce() -> Result<String, Failure>,
        consent: Consent,
    ) -> Result<Changed, Failure> {
        let _lock = self.begin(consent)?;
        if let Some(first) = self.drop_ins().first() {
            return Err(Failure::new(
                Exit::BadConfiguration,
                format!(
                    "{}: `apply FILE` replaces guard.toml, and this file would go on applying \
                     beside it",
                    first.display()
                ),
            )
            .help(
                "move the files of guard.d away first, or edit guard.toml and `guardctl reload`",
            ));
        }
        if let Some(running) = pins::open(&self.layout)?
            && !consent.force
        {
            self.refuse_unapplied_files(&running)?;
        }
        let text = text()?;
        let loaded = self.load_as_main(file, &text)?;
        let text = loaded.documents[0].text.clone();
        let checked = self.check_policy(&loaded, consent)?;
        let before = match pins::open(&self.layout)? {
            Some(running) => self.rules_in_force(&running),
            None => self.load().ok().map(|loaded| RuleView::all(&loaded.policy)),
        };
        let change = FileChange::new(self.source().main_file(), Some(text))?;
        let replacement = Replacement {
            loaded: &loaded,
            changes: vec![change],
            checked,
            before,
            act: Act::Apply,
            name: file.display().to_string(),
        };
        self.replace_policy(replacement, consent)
    }

    /// What the text means as guard.toml; its problems are reported of the file that was named.
    pub(in crate::controller) fn load_as_main(
        &self,
        file: &Path,
        text: &str,
    ) -> Result<Loaded, Failure> {
        let main = PolicyText {
            name: MAIN_FILE.to_owned(),
            text: text.to_owned(),
        };
        self.load_texts(&[main]).map_err(|mut failure| {
            let main = self.source().main_file().display().to_string();
            failure.message = failure.message.replace(&main, &file.display().to_string());
            failure
        })
    }
}

/// A file that the operator named.
pub(in crate::controller) fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let failure = from_io(file.display(), error);
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure {
            exit: Exit::NotFound,
            ..failure
        };
    }
    failure
}
