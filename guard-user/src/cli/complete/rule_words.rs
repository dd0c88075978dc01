//! The words of a rule, half typed.

use std::ffi::OsStr;

use clap_complete::engine::{CompletionCandidate, ValueCompleter};

use super::{offered, values, word_before};

/// What may stand before the words of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleWords {
    /// The command is the action.
    Alone,
    /// `allow`, `deny` or `limit`.
    BehindAction,
    /// An action, or the number or the name of a rule.
    OrNumber,
}

/// Words that lead to another one.
const KEYWORDS: [&str; 14] = [
    "from",
    "to",
    "port",
    "proto",
    "on",
    "in",
    "any",
    "comment",
    "rate",
    "packets",
    "burst",
    "block",
    "on-excess",
    "ping",
];
const ACTIONS: [&str; 3] = ["allow", "deny", "limit"];
const PROTOCOLS: [&str; 8] = ["tcp", "udp", "gre", "esp", "ah", "igmp", "sctp", "ipv6"];

impl ValueCompleter for RuleWords {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        self.complete_at(0, current)
    }

    fn complete_at(&self, index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str() else {
            return Vec::new();
        };
        match (self, index) {
            (Self::Alone, _) | (Self::BehindAction | Self::OrNumber, 1..) => {
                behind(word_before().as_deref(), current)
            }
            (Self::BehindAction, 0) => words(current, &ACTIONS),
            (Self::OrNumber, 0) => {
                let mut all = values::rules(current);
                all.extend(words(current, &ACTIONS));
                all
            }
        }
    }
}

fn behind(before: Option<&str>, current: &str) -> Vec<CompletionCandidate> {
    match before {
        Some("on") => values::interfaces(current),
        Some("proto") => words(current, &PROTOCOLS),
        Some("on-excess") => words(current, &["ban"]),
        Some("ban" | "block") => words(current, &["60s", "5m", "1h"]),
        Some("from" | "to") => {
            let mut all = values::sets(current);
            all.extend(words(current, &["any"]));
            all
        }
        Some(_) | None => {
            let mut all = values::profiles(current);
            all.extend(values::sets(current));
            all.extend(words(current, &KEYWORDS));
            all
        }
    }
}

fn words(current: &str, all: &[&str]) -> Vec<CompletionCandidate> {
    offered(current, all.iter().map(|word| ((*word).to_owned(), None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered_behind(before: &str, current: &str) -> Vec<String> {
        let all = behind(Some(before), current);
        let text = |found: &CompletionCandidate| found.get_value().to_string_lossy().into_owned();
        all.iter().map(text).collect()
    }

    #[test]
    fn what_is_offered_follows_the_word_before() {
        assert_eq!(offered_behind("proto", "g"), ["gre"]);
        assert_eq!(offered_behind("from", "an"), ["any"]);
        assert_eq!(offered_behind("on-excess", "ba"), ["ban"]);
        assert_eq!(offered_behind("ban", "6"), ["60s"]);
        assert_eq!(offered_behind("5000/s", "on-"), ["on-excess"]);
        assert_eq!(offered_behind("allow", "Open"), ["OpenSSH"]);
        assert!(offered_behind("22", "fr").contains(&"from".to_owned()));
        assert!(offered_behind("on", "l").contains(&"lo".to_owned()));
    }
}
