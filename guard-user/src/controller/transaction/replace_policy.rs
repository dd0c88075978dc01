//! A policy that takes the place of another as a whole: by `reload`, `apply FILE` and `rollback`.

use super::activate::{Activated, CheckedPolicy};
use crate::{
    controller::{
        Changed, Consent, Controller, RuleChanges, RuleView, state::policy_files::FileChange,
    },
    failure::Failure,
    ruleset::{describe, source::Loaded},
};

/// The policy, and what is said of it.
pub(in crate::controller) struct Replacement<'a> {
    pub(in crate::controller) loaded: &'a Loaded,
    /// What becomes of the files; none for a policy that is read from them.
    pub(in crate::controller) changes: Vec<FileChange>,
    /// `None` when guard is not active.
    pub(in crate::controller) checked: Option<CheckedPolicy>,
    /// The rules before, when they are known.
    pub(in crate::controller) before: Option<Vec<RuleView>>,
    pub(in crate::controller) act: Act,
    /// What it is applied from or returned to.
    pub(in crate::controller) name: String,
}

/// How the operator asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Act {
    Apply,
    Return,
}

impl Controller {
    /// Puts it into files and kernel, unless it is a dry run.
    pub(in crate::controller) fn replace_policy(
        &self,
        replacement: Replacement<'_>,
        consent: Consent,
    ) -> Result<Changed, Failure> {
        let Replacement { loaded, name, .. } = replacement;
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let difference = replacement
            .before
            .map(|before| RuleChanges::between(&before, &RuleView::all(&loaded.policy)));
        let what = match &difference {
            Some(difference) => difference.to_string(),
            None => describe::rule_count(loaded.policy.rules.len()),
        };
        let (would, did) = match replacement.act {
            Act::Apply => ("apply", "applied"),
            Act::Return => ("return to", "returned to"),
        };
        let (message, activated) = if consent.dry_run {
            let unchanged = Activated {
                generation: self.generation()?,
                pending: None,
            };
            (format!("would {would} {name}: {what}"), unchanged)
        } else {
            let (changes, checked) = (replacement.changes, replacement.checked);
            let activated = self.activate(loaded, changes, checked, consent, &mut warnings)?;
            let message = match activated.generation {
                Some(generation) => format!("{did} {name}: {what} (generation {generation})"),
                None => format!(
                    "saved {name}: {what} (guard is not active; `guardctl enable` turns it on)"
                ),
            };
            (message, activated)
        };
        Ok(Changed {
            changed: true,
            message,
            rule: None,
            generation: activated.generation,
            warnings,
            dry_run: consent.dry_run,
            difference,
            pending: activated.pending,
        })
    }
}
