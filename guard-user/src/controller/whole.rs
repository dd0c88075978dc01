//! A policy that takes the place of another as a whole: by `reload`, `apply FILE` and `rollback`.

use super::{
    Changed, Consent, Controller, Difference, RuleView,
    force::{Forced, Ready},
    texts::TextChange,
};
use crate::{
    failure::Failure,
    ruleset::{describe, source::Loaded},
};

/// The policy, and what is said of it.
pub(super) struct Whole<'a> {
    pub(super) loaded: &'a Loaded,
    /// What becomes of the files; none for a policy that is read from them.
    pub(super) changes: Vec<TextChange>,
    /// `None` when guard is not active.
    pub(super) ready: Option<Ready>,
    /// The rules before, when they are known.
    pub(super) before: Option<Vec<RuleView>>,
    pub(super) act: Act,
    /// What it is applied from or returned to.
    pub(super) name: String,
}

/// How the operator asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Apply,
    Return,
}

impl Controller {
    /// Puts it into files and kernel, unless it is a dry run.
    pub(super) fn put_whole(&self, whole: Whole<'_>, consent: Consent) -> Result<Changed, Failure> {
        let Whole { loaded, name, .. } = whole;
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let difference = whole
            .before
            .map(|before| Difference::between(&before, &RuleView::all(&loaded.policy)));
        let what = match &difference {
            Some(difference) => difference.to_string(),
            None => describe::rule_count(loaded.policy.rules.len()),
        };
        let (would, did) = match whole.act {
            Act::Apply => ("apply", "applied"),
            Act::Return => ("return to", "returned to"),
        };
        let (message, forced) = if consent.dry_run {
            let unchanged = Forced {
                generation: self.generation()?,
                pending: None,
            };
            (format!("would {would} {name}: {what}"), unchanged)
        } else {
            let (changes, ready) = (whole.changes, whole.ready);
            let forced = self.put_in_force(loaded, changes, ready, consent, &mut warnings)?;
            let message = match forced.generation {
                Some(generation) => format!("{did} {name}: {what} (generation {generation})"),
                None => format!(
                    "saved {name}: {what} (guard is not active; `guardctl enable` turns it on)"
                ),
            };
            (message, forced)
        };
        Ok(Changed {
            changed: true,
            message,
            rule: None,
            generation: forced.generation,
            warnings,
            dry_run: consent.dry_run,
            difference,
            pending: forced.pending,
        })
    }
}
