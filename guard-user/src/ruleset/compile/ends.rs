//! The times at which rules end. Between two of them the same rules apply, so the number of those that have passed is
//! one more part of a scope.

use guard_common::abi::image::MAX_ENDS;

use super::TooComplex;
use crate::ruleset::{
    model::{Policy, Rule},
    until::Moments,
};

/// What [`TooComplex`] calls them.
pub(super) const WHAT: &str = "different ends of rules";

/// Ascending, each once, in nanoseconds since boot.
#[derive(Debug)]
pub(super) struct Ends {
    times: Vec<u64>,
    of_rules: Vec<Option<u64>>,
}

impl Ends {
    pub(super) fn new(rules: &[Rule], moments: &Moments) -> Result<Self, TooComplex> {
        let end = |rule: &Rule| rule.until.map(|until| moments.end(until));
        let of_rules: Vec<Option<u64>> = rules.iter().map(end).collect();
        let mut times: Vec<u64> = of_rules.iter().copied().flatten().collect();
        times.sort_unstable();
        times.dedup();
        TooComplex::check(WHAT, times.len(), MAX_ENDS as usize)?;
        Ok(Self { times, of_rules })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// How many spans of time they make.
    pub(super) fn spans(&self) -> u32 {
        self.times.len() as u32 + 1
    }

    /// Does the rule of this place still act in this span?
    pub(super) fn is_acting(&self, ordinal: usize, span: u32) -> bool {
        let end = self.of_rules.get(ordinal).copied().flatten();
        let last = span
            .checked_sub(1)
            .and_then(|last| self.times.get(last as usize));
        end.is_none_or(|end| last.is_none_or(|passed| end > *passed))
    }

    /// As the image has them: the search wants something behind the last.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let words = MAX_ENDS as usize + 1;
        let times = self.times.iter().copied();
        times.chain(std::iter::repeat(u64::MAX)).take(words)
    }
}

/// Is the rule over?
pub(super) fn is_over(rule: &Rule, moments: &Moments) -> bool {
    rule.until.is_some_and(|until| moments.is_over(until))
}

/// Do all rules act, now at least?
pub(super) fn all_act(policy: &Policy, moments: &Moments) -> bool {
    let mut rules = policy.rules.iter();
    rules.all(|rule| rule.is_enabled && !is_over(rule, moments))
}
