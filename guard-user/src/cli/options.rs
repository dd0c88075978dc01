//! Options that many commands have.

use std::time::Duration;

use clap::Args as Group;
use thiserror::Error;

use crate::{
    controller::{LONGEST, SHORTEST},
    text::duration,
};

/// What commands call a rule.
#[derive(Debug, Group)]
pub(super) struct LabelWords {
    /// A name for the rule, to be used instead of its number
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tag, which rules share; repeat for several
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

impl LabelWords {
    /// The words of a rule with these before them.
    pub(super) fn before(&self, words: &[String]) -> Vec<String> {
        let name = self.name.iter().map(|name| ("--name", name));
        let tags = self.tags.iter().map(|tag| ("--tag", tag));
        let labels = name.chain(tags);
        labels
            .flat_map(|(keyword, value)| [keyword.to_owned(), value.clone()])
            .chain(words.iter().cloned())
            .collect()
    }

    /// The same where the first word is an action.
    pub(super) fn after_first(&self, words: &[String]) -> Vec<String> {
        let (first, rest) = words.split_at(words.len().min(1));
        first.iter().cloned().chain(self.before(rest)).collect()
    }
}

/// When a rule ends.
#[derive(Debug, Group)]
pub(super) struct EndWords {
    /// The rule ends after this time: 10m, 1h, 2d
    #[arg(long = "for", value_name = "DURATION", allow_negative_numbers = true)]
    length: Option<String>,
    /// The rule ends at this time: 2026-12-01T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "length")]
    until: Option<String>,
}

impl EndWords {
    /// The words of a rule with these before them.
    pub(super) fn before(&self, words: &[String]) -> Vec<String> {
        let length = self.length.iter().map(|value| ("--for", value));
        let until = self.until.iter().map(|value| ("--until", value));
        length
            .chain(until)
            .flat_map(|(keyword, value)| [keyword.to_owned(), value.clone()])
            .chain(words.iter().cloned())
            .collect()
    }

    /// The same where the first word is an action.
    pub(super) fn after_first(&self, words: &[String]) -> Vec<String> {
        let (first, rest) = words.split_at(words.len().min(1));
        first.iter().cloned().chain(self.before(rest)).collect()
    }
}

/// Options of every command.
#[derive(Debug, Group)]
pub(super) struct Global {
    /// Print JSON: one object with "schema": 1
    #[arg(long, short = 'j', global = true)]
    pub(super) json: bool,
    /// Answer yes to questions; does not override refusals
    #[arg(long, short = 'y', global = true)]
    pub(super) yes: bool,
    /// Proceed even if an operator could not log in again
    #[arg(long, global = true)]
    pub(super) force: bool,
    /// Show what would happen, and change nothing
    #[arg(long, global = true)]
    pub(super) dry_run: bool,
    /// Print nothing when all is well
    #[arg(long, short = 'q', global = true)]
    pub(super) quiet: bool,
}

/// How long a change stays without an answer.
#[derive(Clone, Copy, Debug, Group)]
pub(super) struct Deadline {
    /// Return to the previous policy after this time (5s to 1h), unless `guardctl confirm` keeps the change
    #[arg(long, value_name = "DURATION", value_parser = parse)]
    pub(super) confirm: Option<Duration>,
    /// Make the change permanent at once, even over SSH
    #[arg(long, conflicts_with = "confirm")]
    pub(super) no_confirm: bool,
}

/// Why a text is no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum DeadlineError {
    #[error("write 60s, 5m, 1h, or a number of seconds")]
    NoTime,
    #[error("between {} s and {} s, or 0 for no deadline", SHORTEST.as_secs(), LONGEST.as_secs())]
    OutOfBounds,
}

/// `60s`, `5m`, `1h`, or plain seconds; 0 = no deadline.
fn parse(text: &str) -> Result<Duration, DeadlineError> {
    let Some(duration) = duration::parse(text) else {
        return Err(DeadlineError::NoTime);
    };
    if duration.is_zero() || (SHORTEST..=LONGEST).contains(&duration) {
        return Ok(duration);
    }
    Err(DeadlineError::OutOfBounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, seconds) in [
            ("60", 60),
            ("60s", 60),
            ("5m", 300),
            ("1m 30s", 90),
            ("1h", 3600),
            ("5", 5),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_out_of_bounds_is_refused_with_what_is_meant() {
        for text in ["", "soon", "-5", "60 x", "1.5", "allow"] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                "write 60s, 5m, 1h, or a number of seconds",
                "{text}"
            );
        }
        for text in ["4", "4s", "1", "3601", "2h", "100ms", "1d"] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                "between 5 s and 3600 s, or 0 for no deadline",
                "{text}"
            );
        }
    }
}
