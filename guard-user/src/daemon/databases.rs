//! Sets whose databases change: what a new version holds is put into force, and a version that cannot be used is reported.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::event_log::EventLog;
use crate::{
    bans::feed::Fingerprint,
    control::Level,
    controller::{ActivePolicy, Controller, Refreshed},
    failure::Failure,
};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);
/// Between two attempts at what has failed, or waits for an operator.
const RETRY: Duration = Duration::from_secs(10);

/// The databases of the policy in force, as they were when they were read.
#[derive(Debug)]
pub(super) struct DatabaseWatch {
    next_look: Instant,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    of: ActivePolicy,
    files: Vec<(PathBuf, Option<Fingerprint>)>,
    retry: Option<Instant>,
}

impl Default for DatabaseWatch {
    fn default() -> Self {
        Self {
            next_look: Instant::now(),
            known: None,
        }
    }
}

impl DatabaseWatch {
    /// Looks when it is time, and puts into force what has changed; `None` when nothing is due.
    pub(super) fn round(
        &mut self,
        controller: &Controller,
        in_force: ActivePolicy,
    ) -> Option<DatabaseRound> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let known = self.known.as_ref().filter(|known| known.of == in_force);
        let paths = match known {
            Some(known) => known.files.iter().map(|(file, _)| file.clone()).collect(),
            None => controller.database_files(in_force)?,
        };
        // Of before they are read: a change meanwhile is seen the next time.
        let versions = paths.into_iter().map(|file: PathBuf| {
            let version = Fingerprint::of(&file).ok();
            (file, version)
        });
        let files: Vec<_> = versions.collect();
        let is_due = known.is_none_or(|known| {
            known.files != files || known.retry.is_some_and(|retry| now >= retry)
        });
        if !is_due {
            return None;
        }
        let round = match files.is_empty() {
            true => DatabaseRound::default(),
            false => DatabaseRound::of(controller.refresh_extracts()),
        };
        self.known = Some(Known {
            of: in_force,
            files,
            retry: round.problem.is_some().then(|| now + RETRY),
        });
        Some(round)
    }
}

/// What a round has to say.
#[derive(Debug, Default)]
pub(super) struct DatabaseRound {
    lines: Vec<(Level, String)>,
    problem: Option<(Level, String)>,
}

impl DatabaseRound {
    pub(super) fn log(self, events: &mut EventLog) {
        for (level, line) in self.lines {
            events.log(level, line);
        }
        events.standing("databases", self.problem);
    }

    fn of(outcome: Result<Refreshed, Failure>) -> Self {
        let mut lines = Vec::new();
        let problem = match outcome {
            Ok(Refreshed::Unchanged) => None,
            Ok(Refreshed::Applied {
                sets,
                generation,
                warnings,
            }) => {
                lines.extend(sets.iter().map(|set| (Level::Info, format!("set {set}"))));
                let message = format!("the databases of sets have changed (generation {generation})");
                lines.push((Level::Info, message));
                lines.extend(warnings.into_iter().map(|warning| (Level::Warning, warning)));
                None
            }
            Ok(Refreshed::FilesChanged) => Some((
                Level::Warning,
                "the databases of sets have changed, and so have the policy files: `guardctl reload` applies both"
                    .to_owned(),
            )),
            Err(failure) => Some((
                Level::Error,
                format!(
                    "databases of sets: {}; the prefixes in force stay",
                    failure.in_brackets()
                ),
            )),
        };
        Self { lines, problem }
    }
}
