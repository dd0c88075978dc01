//! Rules that are over go out of the files. Whatever becomes of that, the kernel does not follow them any more.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::event_log::EventLog;
use crate::{control::Level, controller::Controller};

/// Between two attempts, when one has failed.
const RETRY: Duration = Duration::from_secs(5);

/// Looks for rules that are over.
#[derive(Debug, Default)]
pub(super) struct EndKeeper {
    /// After a failure.
    next: Option<Instant>,
    had_failed: bool,
}

impl EndKeeper {
    /// Removes what has ended since; what to say of it.
    pub(super) fn round(&mut self, controller: &Controller) -> EndRound {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return EndRound::default();
        }
        match controller.remove_ended() {
            Ok(ended) => {
                self.next = None;
                EndRound {
                    removed: ended.messages().collect(),
                    problem: mem::take(&mut self.had_failed).then_some(None),
                }
            }
            Err(failure) => {
                self.next = Some(Instant::now() + RETRY);
                self.had_failed = true;
                let problem = format!(
                    "rules that have ended cannot be removed from the files: {}; they match nothing all the same",
                    failure.in_brackets()
                );
                EndRound {
                    removed: Vec::new(),
                    problem: Some(Some(problem)),
                }
            }
        }
    }
}

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct EndRound {
    removed: Vec<String>,
    /// `None` = as it was; `Some(None)` = it is over.
    problem: Option<Option<String>>,
}

impl EndRound {
    pub(super) fn log(self, events: &mut EventLog) {
        for message in self.removed {
            events.log(Level::Info, message);
        }
        if let Some(problem) = self.problem {
            events.standing("ends", problem.map(|problem| (Level::Error, problem)));
        }
    }
}
