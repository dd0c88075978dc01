//! What the daemon tells: on stderr with levels, and the last of it to whoever asks.

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    io::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::control::{Event, Level};

/// Events that are kept for `guardctl daemon --status`.
const KEPT: usize = 50;
/// Longest message that is kept; fifty of them must fit an answer.
const LONGEST: usize = 500;

/// Events, the last of them kept.
#[derive(Debug)]
pub(super) struct EventLog {
    events: VecDeque<Event>,
    /// Last message about each subject that repeats itself.
    standing: BTreeMap<String, String>,
    is_journald: bool,
}

impl EventLog {
    pub(super) fn new() -> Self {
        Self {
            events: VecDeque::new(),
            standing: BTreeMap::new(),
            // systemd reads the level from a number in front of the line.
            is_journald: env::var_os("JOURNAL_STREAM").is_some(),
        }
    }

    /// The last events, oldest first.
    pub(super) fn recent(&self) -> Vec<Event> {
        self.events.iter().cloned().collect()
    }

    /// Something happened.
    pub(super) fn log(&mut self, level: Level, message: impl Into<String>) {
        let mut message: String = message.into();
        for line in message.lines() {
            // A log that nobody takes must not stop the daemon.
            writeln!(io::stderr(), "{}{line}", self.prefix(level)).unwrap_or_default();
        }
        let cut = message.floor_char_boundary(LONGEST);
        message.truncate(cut);
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            at: now(),
            level,
            message,
        });
    }

    /// A state that lasts: reported when it begins or changes, `None` when it is over.
    pub(super) fn standing(
        &mut self,
        subject: impl Into<String>,
        problem: Option<(Level, String)>,
    ) {
        let subject = subject.into();
        let Some((level, message)) = problem else {
            self.standing.remove(&subject);
            return;
        };
        if self.standing.get(&subject) != Some(&message) {
            self.standing.insert(subject, message.clone());
            self.log(level, message);
        }
    }

    fn prefix(&self, level: Level) -> String {
        if self.is_journald {
            let number = match level {
                Level::Error => 3,
                Level::Warning => 4,
                Level::Info => 6,
            };
            format!("<{number}>")
        } else {
            format!("guardctl daemon: {}: ", level.label())
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_problem_is_told_once_and_again_when_it_returns() {
        let mut events = EventLog::new();
        let problem = || Some((Level::Error, "no room".to_owned()));
        for _ in 0..3 {
            events.standing("disk", problem());
        }
        assert_eq!(events.recent().len(), 1);
        events.standing("disk", Some((Level::Error, "no disk".to_owned())));
        events.standing("disk", None);
        events.standing("disk", problem());
        assert_eq!(events.recent().len(), 3);
    }

    #[test]
    fn what_is_kept_fits_an_answer() {
        let mut events = EventLog::new();
        for number in 0..1000 {
            events.log(Level::Info, format!("{number} {}", "é".repeat(1000)));
        }
        let events = events.recent();
        assert_eq!(events.len(), KEPT);
        assert!(events[0].message.starts_with("950 "));
        let bytes = serde_json::to_vec(&events).unwrap().len();
        assert!(bytes < crate::control::MOST_BYTES / 2 + 10_000, "{bytes}");
    }
}
