//! Would this policy cut an operator's session? Asked of the model before anything changes.

use std::collections::BTreeSet;

use crate::{
    failure::{Exit, Failure},
    host::{
        Network,
        sessions::{self, Session},
    },
    ruleset::{compile::Image, probe::Model},
};
use guard_common::abi::reason::Action;

/// Sessions that a policy would cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRisk {
    /// The sessions.
    pub sessions: BTreeSet<Session>,
}

impl AtRisk {
    /// The operators' sessions that arrive on one of these interfaces and that the policy drops.
    #[must_use]
    pub fn under(image: &Image, network: &Network, interfaces: &[String]) -> Self {
        let operators = sessions::operators();
        if operators.is_empty() {
            return Self::default();
        }
        let model = Model::new(image);
        let protected: BTreeSet<u32> = interfaces
            .iter()
            .filter_map(|name| network.interface(name))
            .map(|interface| interface.index)
            .collect();
        let sessions = operators
            .into_iter()
            .filter(|session| {
                network
                    .addresses
                    .iter()
                    .filter(|(ip, index)| *ip == session.local.ip() && protected.contains(index))
                    .any(|(_, index)| {
                        model.session(*index, session.remote, session.local).action == Action::Drop
                    })
            })
            .collect();
        Self { sessions }
    }

    /// The sessions that are at risk here and were not there: those that the change would cut.
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
    /// Exit 7 naming the sessions and the rule that would keep them.
    pub fn refuse(&self) -> Result<(), Failure> {
        let Some(first) = self.sessions.first() else {
            return Ok(());
        };
        let list: Vec<String> = self
            .sessions
            .iter()
            .map(|session| format!("{} -> {}", session.remote, session.local))
            .collect();
        Err(Failure::new(
            Exit::Refused,
            format!("this would cut the SSH session {}", list.join(", ")),
        )
        .help(format!(
            "allow it first: `guardctl allow {} {}/tcp`, or add --force",
            first.remote.ip(),
            first.local.port()
        )))
    }
}
