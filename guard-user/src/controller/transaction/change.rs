//! Changing the policy by command: an edit of the files and what is said of it.

use std::net::IpAddr;

use super::plan::{Plan, plan};
use crate::{
    controller::{
        Consent, Controller, Delete, Edit, Pending, RuleChanges, state::policy_files::FileChange,
    },
    dataplane::pins::{self, Running},
    failure::{Exit, Failure},
    ruleset::{
        edit::{EditOutcome, Edited},
        host_names::{self, HostNames as _, NotResolved},
        sets::SetTable,
        source::Loaded,
        words,
    },
};

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Did anything change (or would it, in a dry run)?
    pub changed: bool,
    /// One line for people.
    pub message: String,
    /// The rule that was added, deleted or found to cover the new one.
    pub rule: Option<usize>,
    /// Generation in force; `None` when guard is not active.
    pub generation: Option<u32>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
    /// Nothing was done, this is what would be.
    pub dry_run: bool,
    /// How the rules differ from those before, when the files were applied as a whole.
    pub difference: Option<RuleChanges>,
    /// What must be confirmed to stay.
    pub pending: Option<Pending>,
}

impl Controller {
    /// Makes a change in the files and, when guard is active, in the kernel.
    ///
    /// # Errors
    /// Exit 2 for words that are no rule, 5 for a policy that would be wrong, 6 for a rule that is
    /// not there, 7 when an operator could not log in again, 14 while a change is pending.
    pub fn change(&self, wanted: &Edit, consent: Consent) -> Result<Changed, Failure> {
        // Before the lock: others need not wait for a resolver.
        let named = self.sets_of_names(wanted)?;
        let _lock = self.begin(consent)?;
        let source = self.source();
        let mut loaded = self.load()?;
        self.refuse_unapplied(&loaded)?;
        let mut warnings = Vec::new();
        if !consent.dry_run {
            let ended = self.remove_ended_of(&loaded)?;
            if !ended.is_empty() {
                ended.refuse_numbers(wanted)?;
                warnings.extend(ended.messages());
                loaded = self.load()?;
            }
        }
        loaded.sets.extend(named);
        let planned = plan(&source, &loaded, wanted, &self.moments(), &mut warnings)?;
        let edited = match &planned.outcome {
            EditOutcome::Edited(edited) => edited,
            EditOutcome::Covered { by } => {
                let message = format!("already covered by rule {by}");
                return self.unchanged(message, Some(*by), warnings, consent);
            }
            EditOutcome::Unchanged => {
                return self.unchanged(planned.unchanged, None, warnings, consent);
            }
        };
        warnings.extend(edited.loaded.warnings.iter().map(ToString::to_string));
        let checked = self.check_policy(&edited.loaded, consent)?;
        let (message, generation, pending) = if consent.dry_run {
            warnings.extend(checked.iter().flat_map(|checked| checked.warnings.clone()));
            (said(&planned, edited, consent), self.generation()?, None)
        } else {
            let files = FileChange::all(&edited.changes)?;
            let activated =
                self.activate(&edited.loaded, files, checked, consent, &mut warnings)?;
            let message = said(&planned, edited, consent);
            let message = match activated.generation {
                Some(generation) => format!("{message} (generation {generation})"),
                None => format!("{message} (guard is not active; `guardctl enable` turns it on)"),
            };
            (message, activated.generation, activated.pending)
        };
        Ok(Changed {
            changed: true,
            message,
            rule: edited.number,
            generation,
            warnings,
            dry_run: consent.dry_run,
            difference: None,
            pending,
        })
    }

    /// The names of hosts among the words of a rule, as sets of their addresses.
    fn sets_of_names(&self, wanted: &Edit) -> Result<SetTable, Failure> {
        let words: &[String] = match wanted {
            Edit::Add { words, .. } | Edit::Delete(Delete::Words(words)) => words,
            Edit::NeverAdd(entry) => std::slice::from_ref(entry),
            Edit::Delete(Delete::Which(_))
            | Edit::Disable(_)
            | Edit::Enable(_)
            | Edit::Default(_)
            | Edit::NeverRemove(_) => &[],
        };
        let names = words::host_names(words);
        let found = self.names.look_up(&names);
        let of_name = |(name, addresses): (String, Result<Vec<IpAddr>, NotResolved>)| {
            let addresses = addresses.map_err(|why| {
                Failure::new(Exit::Failed, format!("{name} {why}; nothing was changed"))
                    .help("correct the name, or write its addresses")
            })?;
            Ok((name, host_names::networks(&addresses).into()))
        };
        found.into_iter().map(of_name).collect()
    }

    pub(in crate::controller) fn unchanged(
        &self,
        message: String,
        rule: Option<usize>,
        warnings: Vec<String>,
        consent: Consent,
    ) -> Result<Changed, Failure> {
        Ok(Changed {
            changed: false,
            message,
            rule,
            generation: self.generation()?,
            warnings,
            dry_run: consent.dry_run,
            difference: None,
            pending: None,
        })
    }

    /// Generation in force, `None` when guard is not active, or no longer.
    pub(in crate::controller) fn generation(&self) -> Result<Option<u32>, Failure> {
        let running = pins::open(&self.layout)?;
        let generation = running.map(|running| running.slots.generation());
        Ok(generation.filter(|generation| *generation != 0))
    }

    /// An edit builds on what is in force; files that somebody changed by hand are not that.
    pub(in crate::controller) fn refuse_unapplied(&self, loaded: &Loaded) -> Result<(), Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(());
        };
        if running.slots.digest() == loaded.digest {
            return Ok(());
        }
        Err(self
            .unapplied()
            .help("`guardctl check` checks them, `guardctl reload` applies them; then try again"))
    }

    /// A policy that replaces the files as a whole would throw away what somebody wrote by hand.
    pub(in crate::controller) fn refuse_unapplied_files(
        &self,
        running: &Running,
    ) -> Result<(), Failure> {
        match self.load() {
            Ok(loaded) if loaded.digest == running.slots.digest() => Ok(()),
            Ok(_) => Err(self
                .unapplied()
                .help("`guardctl diff` shows how; --force overwrites them")),
            Err(_) => Err(self
                .unapplied()
                .help("`guardctl check` shows what is wrong with them; --force overwrites them")),
        }
    }

    fn unapplied(&self) -> Failure {
        Failure::new(
            Exit::Failed,
            format!(
                "{}: the policy files were changed since they were applied",
                self.layout.etc.display()
            ),
        )
    }
}

/// `added rule 3: allow 22/tcp`, or that it would be.
fn said(planned: &Plan, edited: &Edited, consent: Consent) -> String {
    let what = &planned.what;
    let verb = match (edited.moved_from, consent.dry_run) {
        (Some(from), true) => format!("would move rule {from} to"),
        (Some(from), false) => format!("moved rule {from} to"),
        (None, true) if edited.replaced => "would change rule".to_owned(),
        (None, false) if edited.replaced => "changed rule".to_owned(),
        (None, true) => planned.done.would.to_owned(),
        (None, false) => planned.done.did.to_owned(),
    };
    match edited.number {
        Some(number) => format!("{verb} {number}: {what}"),
        None => format!("{verb} {what}"),
    }
}
