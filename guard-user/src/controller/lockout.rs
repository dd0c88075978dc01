//! Could every operator log in again under this policy? Asked of the model before anything changes,
//! with a new connection from where each session comes: what is established survives a change.

use std::collections::BTreeSet;

use crate::{
    failure::{Exit, Failure},
    host::{Network, sessions::Session},
    ruleset::{compile::Image, probe::Model},
};
use guard_common::abi::reason::Action;

/// Sessions whose operators a policy would shut out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRisk {
    /// The sessions.
    pub sessions: BTreeSet<Session>,
}

impl AtRisk {
    /// Those of the operators' sessions that arrive on one of these interfaces and that could not be
    /// opened again. In monitor mode nothing is dropped.
    #[must_use]
    pub fn under(
        image: &Image,
        operators: &BTreeSet<Session>,
        network: &Network,
        interfaces: &[String],
    ) -> Self {
        if image.is_monitor() || operators.is_empty() {
            return Self::default();
        }
        let model = Model::new(image);
        let protected: BTreeSet<u32> = interfaces
            .iter()
            .filter_map(|name| network.interface(name))
            .map(|interface| interface.index)
            .collect();
        let sessions = operators
            .iter()
            .filter(|session| {
                network
                    .addresses
                    .iter()
                    .filter(|(ip, index)| *ip == session.local.ip() && protected.contains(index))
                    .any(|(_, index)| {
                        let verdict = model.new_connection(*index, session.remote, session.local);
                        verdict.action == Action::Drop
                    })
            })
            .copied()
            .collect();
        Self { sessions }
    }

    /// The sessions that are at risk here and were not there: those of the change's doing.
    #[must_use]
    pub fn beyond(mut self, before: &Self) -> Self {
        self.sessions
            .retain(|session| !before.sessions.contains(session));
        self
    }

    /// Does nobody lose anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The refusal.
    ///
    /// # Errors
    /// Exit 7 naming the sessions and the rule that would let their operators in.
    pub fn refuse(&self) -> Result<(), Failure> {
        let Some(first) = self.sessions.first() else {
            return Ok(());
        };
        let addresses: BTreeSet<String> = self
            .sessions
            .iter()
            .map(|session| session.remote.ip().to_string())
            .collect();
        let addresses: Vec<String> = addresses.into_iter().collect();
        let sessions: Vec<String> = self
            .sessions
            .iter()
            .map(|session| format!("{} -> {}", session.remote, session.local))
            .collect();
        Err(Failure::new(
            Exit::Refused,
            format!(
                "you could not log in again from {}: a new connection would be dropped (session \
                 {})",
                addresses.join(", "),
                sessions.join(", ")
            ),
        )
        .help(format!(
            "allow it first: `guardctl allow {} {}/tcp`, or add --force",
            first.remote.ip(),
            first.local.port()
        )))
    }
}
