//! What a key can do to a source: the command that would do it, and the same by the same way.

use crate::{
    cli::{ban, deadline, options::Global},
    controller::{Confirm, Consent, Controller, Edit, Unban},
    failure::Failure,
    live::{SourceRates, SourceState},
};

/// A command that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Shut a source out.
    Ban(String),
    /// Lift its ban.
    Unban(String),
    /// The words of a rule that lets it in.
    Allow(Vec<String>),
}

impl Command {
    /// What lets a source in: no ban any more, or a rule for the port that it asks for. `None` for what has no port: a
    /// key must not open everything.
    pub(super) fn to_let_in(source: &SourceRates) -> Option<Self> {
        if source.state == SourceState::Banned {
            return Some(Self::Unban(source.source.clone()));
        }
        let (port, protocol) = source.service.as_deref()?.split_once('/')?;
        let words = [
            "allow",
            "from",
            &source.source,
            "to",
            "any",
            "port",
            port,
            "proto",
            protocol,
        ];
        Some(Self::Allow(words.map(str::to_owned).to_vec()))
    }

    /// As it would be typed.
    pub(super) fn typed(&self) -> String {
        match self {
            Self::Ban(source) => format!("guardctl ban {source}"),
            Self::Unban(source) => format!("guardctl unban {source}"),
            Self::Allow(words) => format!("guardctl {}", words.join(" ")),
        }
    }

    /// Runs it, with all that protects the operator: what it says.
    ///
    /// # Errors
    /// What the command itself would say.
    pub(super) fn run(&self, controller: &Controller, global: &Global) -> Result<String, Failure> {
        let controller = controller.clone().for_command(self.typed());
        let consent = deadline::plain(global);
        let mut lines = Vec::new();
        match self {
            Self::Ban(source) => {
                let done = controller.ban(std::slice::from_ref(source), None, "", consent)?;
                let banned = done.banned.iter();
                lines.extend(banned.map(|banned| ban::banned_line(banned, done.dry_run)));
                lines.extend(done.warnings);
            }
            Self::Unban(source) => {
                let sources = std::slice::from_ref(source);
                let done = controller.unban(Unban::Sources(sources), consent)?;
                let lifted = done.lifted.iter();
                let would = if done.dry_run { "would lift" } else { "lifted" };
                lines.extend(lifted.map(|prefix| format!("{would} the ban of {prefix}")));
                lines.extend(done.warnings);
            }
            Self::Allow(words) => {
                let edit = Edit::Add {
                    words: words.clone(),
                    before: None,
                };
                let consent = Consent {
                    confirm: Confirm::NotNeeded,
                    ..consent
                };
                let done = controller.change(&edit, consent)?;
                lines.push(done.message);
                lines.extend(done.warnings);
            }
        }
        Ok(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(state: SourceState, service: Option<&str>) -> SourceRates {
        SourceRates {
            source: "203.0.113.7".to_owned(),
            packets: 1.0,
            service: service.map(str::to_owned),
            reason: "default-drop",
            state,
            seconds_left: None,
        }
    }

    #[test]
    fn the_command_that_lets_a_source_in_says_no_more_than_it_must() {
        for (state, service, typed) in [
            (
                SourceState::Free,
                Some("22/tcp"),
                Some("guardctl allow from 203.0.113.7 to any port 22 proto tcp"),
            ),
            (SourceState::Free, Some("ping"), None),
            (SourceState::Free, None, None),
            (
                SourceState::Banned,
                Some("22/tcp"),
                Some("guardctl unban 203.0.113.7"),
            ),
        ] {
            let command = Command::to_let_in(&source(state, service));
            assert_eq!(command.map(|command| command.typed()).as_deref(), typed);
        }
    }
}
