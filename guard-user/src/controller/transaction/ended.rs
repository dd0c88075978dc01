//! Takes rules that are over out of files and kernel. Nothing that a packet meets changes by that.

use crate::{
    controller::{
        Consent, Controller, Delete, Edit, edit_failure,
        state::{ends, policy_files::FileChange},
    },
    failure::{Exit, Failure},
    ruleset::{
        describe,
        edit::{self, Change},
        labels::Which,
        source::Loaded,
    },
};

/// Rules that were taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Their numbers, from 1, as they were before.
    pub numbers: Vec<usize>,
    /// Their words.
    pub words: Vec<String>,
}

impl Ended {
    /// Were there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// One line for each.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        let rules = self.numbers.iter().zip(&self.words);
        rules.map(|(number, words)| format!("rule {number} has ended and is removed: {words}"))
    }

    /// Numbers that were meant for the rules from before mean others afterwards.
    pub(in crate::controller) fn refuse_numbers(&self, wanted: &Edit) -> Result<(), Failure> {
        let which = match wanted {
            Edit::Delete(Delete::Which(which)) | Edit::Disable(which) | Edit::Enable(which) => {
                which
            }
            Edit::Add {
                before: Some(which),
                ..
            } => which,
            Edit::Add { before: None, .. }
            | Edit::Delete(Delete::Words(_))
            | Edit::Default(_)
            | Edit::NeverAdd(_)
            | Edit::NeverRemove(_) => return Ok(()),
        };
        let Which::Number(number) = which else {
            return Ok(());
        };
        if self.numbers.iter().all(|ended| ended > number) {
            return Ok(());
        }
        let messages: Vec<String> = self.messages().collect();
        let message = format!(
            "{}; {number} means another rule, or none, than before",
            messages.join("; ")
        );
        Err(Failure::new(Exit::Failed, message)
            .help("nothing else was changed; `guardctl status numbered` lists the rules"))
    }
}

impl Controller {
    /// Removes the rules that are over, if the files are what is in force and no change is pending.
    ///
    /// # Errors
    /// When lock, files, pins or state cannot be read or written; then nothing has changed, and the rules match
    /// nothing all the same.
    pub fn remove_ended(&self) -> Result<Ended, Failure> {
        let moments = self.moments();
        let mut known = moments.known.values();
        if known.all(|end| *end > moments.boot_ns) {
            ends::renew(&self.layout, &moments)?;
            return Ok(Ended::default());
        }
        let _lock = match self.begin(Consent::default()) {
            Ok(lock) => lock,
            Err(failure) if failure.exit == Exit::Pending => return Ok(Ended::default()),
            Err(failure) => return Err(failure),
        };
        let loaded = self.load()?;
        if self.refuse_unapplied(&loaded).is_err() {
            return Ok(Ended::default());
        }
        self.remove_ended_of(&loaded)
    }

    /// The same of a policy that was read under the lock.
    pub(in crate::controller) fn remove_ended_of(&self, loaded: &Loaded) -> Result<Ended, Failure> {
        let moments = self.moments();
        let numbers = ends::over(&loaded.policy, &moments);
        if numbers.is_empty() {
            ends::keep_what_is_to_come(&self.layout, &loaded.policy, &moments)?;
            return Ok(Ended::default());
        }
        let rules = &loaded.policy.rules;
        let words = numbers
            .iter()
            .map(|number| describe::command(&rules[number - 1]));
        let words: Vec<String> = words.collect();
        let source = self.source();
        let mut after = loaded.clone();
        let mut changes: Vec<Change> = Vec::new();
        // From the last, so that the numbers of the others stay.
        for number in numbers.iter().rev() {
            let edited =
                edit::delete(&source, &after, *number).map_err(|error| edit_failure(&error))?;
            for change in edited.changes {
                changes.retain(|before| before.path != change.path);
                changes.push(change);
            }
            after = edited.loaded;
        }
        // Whoever can log in now can do so afterwards.
        let consent = Consent {
            force: true,
            ..Consent::default()
        };
        let checked = self.check_policy(&after, consent)?;
        let remover = self
            .clone()
            .for_command(format!("ended: {}", words.join("; ")));
        let files = FileChange::all(&changes)?;
        remover.activate(&after, files, checked, consent, &mut Vec::new())?;
        Ok(Ended { numbers, words })
    }
}
