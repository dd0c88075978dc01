//! The lock-out check of what is to come: who can log in now, and not any more when rules have ended. He is warned, and
//! refused where nobody who is logged in could come back then.

use std::collections::BTreeSet;

use super::lockout::{AtRisk, Ways};
use crate::{
    failure::{Exit, Failure},
    host::sessions::Session,
    ruleset::{
        compile::Image,
        model::Policy,
        probe::Model,
        until::{Moments, Until},
    },
};

/// The first end that shuts an operator out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct LaterRisk {
    /// In nanoseconds since boot.
    at_ns: u64,
    /// Who could not log in again from then on.
    shut_out: BTreeSet<Session>,
    /// Is nobody left who could?
    is_everybody: bool,
}

impl LaterRisk {
    /// Beyond what is lost under `image` now, and what the policy in force would lose as well.
    pub(in crate::controller) fn of(image: &Image, in_force: Option<&Image>, ways: &Ways) -> Self {
        let lost_now = AtRisk::under(image, ways);
        for at_ns in Model::at(image, 0).ends() {
            let mut later = AtRisk::at(image, ways, at_ns).beyond(&lost_now);
            if let Some(in_force) = in_force {
                later = later.beyond(&AtRisk::at(in_force, ways, at_ns));
            }
            let shut_out = later.dropped();
            if shut_out.is_empty() {
                continue;
            }
            let last = AtRisk::at(image, ways, u64::MAX - 1).dropped();
            let lost_now = lost_now.dropped();
            let sessions = ways.sessions();
            let mut able = sessions.difference(&lost_now);
            return Self {
                at_ns,
                is_everybody: able.all(|session| last.contains(session)),
                shut_out,
            };
        }
        Self::default()
    }

    /// What to warn of.
    ///
    /// # Errors
    /// Exit 7 where nobody who is logged in could log in again.
    pub(in crate::controller) fn check(
        &self,
        policy: &Policy,
        moments: &Moments,
    ) -> Result<Option<String>, Failure> {
        let Some(first) = self.shut_out.first() else {
            return Ok(None);
        };
        let addresses: BTreeSet<String> = self
            .shut_out
            .iter()
            .map(|session| session.remote.ip().to_string())
            .collect();
        let addresses: Vec<String> = addresses.into_iter().collect();
        let message = format!(
            "you could log in again from {} only until {}: then a rule ends",
            addresses.join(", "),
            self.when(policy, moments)
        );
        if !self.is_everybody {
            return Ok(Some(message));
        }
        let message = format!("{message}, and nobody who is logged in could come back");
        Err(Failure::new(Exit::Refused, message).help(format!(
            "allow somebody for good: `guardctl allow {} {}/tcp`, or add --force",
            first.remote.ip(),
            first.local.port()
        )))
    }

    fn when(&self, policy: &Policy, moments: &Moments) -> String {
        let untils = policy.rules.iter().filter_map(|rule| rule.until);
        let mut is_it = untils.filter(|until| moments.end(*until) == self.at_ns);
        is_it
            .next()
            .as_ref()
            .map_or_else(|| "then".to_owned(), Until::to_string)
    }
}
