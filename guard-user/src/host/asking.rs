//! Questions about many names at once, that nobody waits for: each has a thread that may hang, and no name is asked
//! for twice at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    lookup::{Answer, ResolveError},
    resolve::Resolving,
};

/// So long after the first question of a round the others are waited for: their answers are used together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rounds of questions.
#[derive(Debug, Default)]
pub struct Asking {
    open: BTreeMap<String, Resolving>,
    /// Of this round.
    asked: BTreeSet<String>,
    answered: BTreeMap<String, Answer>,
    /// When the answers of this round are used, whoever is missing; `None` between two rounds.
    until: Option<Instant>,
}

impl Asking {
    /// Is a round under way?
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.until.is_some()
    }

    /// Begins a round.
    pub fn begin(&mut self, names: BTreeSet<String>, service: &Path, now: Instant) {
        for name in &names {
            self.open
                .entry(name.clone())
                .or_insert_with_key(|name| Resolving::begin(name, service));
        }
        self.until = (!names.is_empty()).then(|| now + PATIENCE);
        self.asked = names;
    }

    /// An answer for each name that was asked for, once all of them are there or have been waited for.
    pub fn finish(&mut self, now: Instant) -> Option<BTreeMap<String, Answer>> {
        let until = self.until?;
        let answered = &mut self.answered;
        self.open.retain(|name, question| match question.poll() {
            Some(answer) => {
                answered.insert(name.clone(), answer);
                false
            }
            None => true,
        });
        let is_whole = self.asked.iter().all(|name| answered.contains_key(name));
        if !is_whole && now < until {
            return None;
        }
        self.until = None;
        let mut answered = std::mem::take(answered);
        let late = || Err(ResolveError::Late);
        let asked = std::mem::take(&mut self.asked);
        let answers = asked.into_iter().map(|name| {
            let answer = answered.remove(&name).unwrap_or_else(late);
            (name, answer)
        });
        Some(answers.collect())
    }
}
