//! Asks again and again what the names of the policy resolve to, in threads that may hang, and puts into force what
//! has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{cause::Cause, event_log::EventLog};
use crate::{
    control::Level,
    controller::{Controller, KnownName, KnownNames, Refreshed},
    failure::Failure,
    host::{asking::Asking, lookup::Answer},
};

/// Between two questions about a name. The resolver's cache answers most of them, and follows the time that the
/// publisher of a name allows.
const ASK: Duration = Duration::from_secs(60);
/// The names of the policy in force.
#[derive(Debug)]
pub(super) struct NameWatch {
    next: Instant,
    asking: Asking,
    /// When a name resolved last, in seconds since 1970.
    confirmed: BTreeMap<String, u64>,
    /// What is wrong with which name, as it was reported.
    problems: BTreeMap<String, String>,
}

impl Default for NameWatch {
    fn default() -> Self {
        Self {
            next: Instant::now(),
            asking: Asking::default(),
            confirmed: BTreeMap::new(),
            problems: BTreeMap::new(),
        }
    }
}

impl NameWatch {
    /// Does what is due, and waits for nobody; `None` when there is nothing to say.
    pub(super) fn round(&mut self, controller: &Controller, cause: Cause) -> Option<NameRound> {
        let now = Instant::now();
        if cause == Cause::Requested {
            self.next = now;
        }
        if now >= self.next && !self.asking.is_under_way() {
            self.next = now + ASK;
            let names: BTreeSet<String> = controller.host_names().into_keys().collect();
            self.problems.retain(|name, _| names.contains(name));
            self.confirmed.retain(|name, _| names.contains(name));
            let service = controller.layout().resolver();
            self.asking.begin(names, &service, now);
        }
        let answers = self.asking.finish(now)?;
        Some(self.use_answers(controller, answers))
    }

    fn use_answers(
        &mut self,
        controller: &Controller,
        mut answers: BTreeMap<String, Answer>,
    ) -> NameRound {
        let mut round = NameRound::default();
        let known = controller.host_names();
        // Who is gone from the policy meanwhile is nobody's business.
        answers.retain(|name, _| known.contains_key(name));
        let mut learnt = KnownNames::new();
        for (name, answer) in answers {
            let Some(before) = known.get(&name) else {
                continue;
            };
            match answer {
                Ok(addresses) => {
                    let answer = KnownName::now(addresses);
                    self.confirmed.insert(name.clone(), answer.answered);
                    if self.problems.remove(&name).is_some() {
                        round
                            .lines
                            .push((Level::Info, format!("{name} resolves again")));
                    }
                    let is_news = answer.addresses != before.addresses || before.problem.is_some();
                    if is_news {
                        learnt.insert(name, answer);
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    if self.problems.get(&name) != Some(&why) {
                        let line = format!("{name} {why}; its addresses of before stay");
                        round.lines.push((Level::Warning, line));
                        let confirmed = self.confirmed.get(&name).copied();
                        let kept = KnownName {
                            addresses: before.addresses.clone(),
                            answered: confirmed.unwrap_or(before.answered),
                            problem: Some(why.clone()),
                        };
                        learnt.insert(name.clone(), kept);
                        self.problems.insert(name, why);
                    }
                }
            }
        }
        if learnt.is_empty() {
            return round;
        }
        let news: Vec<String> = learnt
            .iter()
            .filter(|(name, answer)| {
                known
                    .get(*name)
                    .is_some_and(|before| before.addresses != answer.addresses)
            })
            .map(|(name, answer)| format!("{name} is {} now", listed(answer)))
            .collect();
        round.report(controller.refresh_host_names(learnt), news);
        round
    }
}

/// The addresses, separated by commas.
fn listed(answer: &KnownName) -> String {
    let texts: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// What a round has to say.
#[derive(Debug, Default)]
pub(super) struct NameRound {
    lines: Vec<(Level, String)>,
    problem: Option<(Level, String)>,
}

impl NameRound {
    pub(super) fn log(self, events: &mut EventLog) {
        for (level, line) in self.lines {
            events.log(level, line);
        }
        events.standing("names", self.problem);
    }

    fn report(&mut self, outcome: Result<Refreshed, Failure>, news: Vec<String>) {
        match outcome {
            Ok(Refreshed::Unchanged) => {}
            Ok(Refreshed::Applied {
                generation,
                warnings,
                ..
            }) => {
                let news = news
                    .into_iter()
                    .map(|line| (Level::Info, format!("{line} (generation {generation})")));
                self.lines.extend(news);
                let warnings = warnings.into_iter();
                self.lines
                    .extend(warnings.map(|line| (Level::Warning, line)));
            }
            Ok(Refreshed::FilesChanged) => {
                let message = "the policy files have changed, too: `guardctl reload` applies both";
                self.problem = Some((Level::Warning, format!("{}; {message}", news.join("; "))));
            }
            Err(failure) => {
                let failure = failure.in_brackets();
                let message = format!("{}: {failure}; what is in force stays", news.join("; "));
                self.problem = Some((Level::Error, message));
            }
        }
    }
}
