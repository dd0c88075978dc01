//! What cannot be banned here, whoever asks.

use std::collections::BTreeSet;

use ipnetwork::IpNetwork;

use super::super::{Consent, Controller};
use crate::{
    bans::{Prefix, Protected, protected::Why, settings::Settings},
    failure::{Failure, from_io},
    host::{essential, sessions},
};

/// What a ban must know of the policy and the host.
#[derive(Debug)]
pub(in crate::controller) struct Frame {
    pub(in crate::controller) settings: Settings,
    pub(in crate::controller) protected: Protected,
    pub(in crate::controller) warnings: Vec<String>,
}

/// What logins mean for whoever bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Logins {
    /// Where somebody is logged in from cannot be banned.
    Protected,
    /// They are banned like others: the operator says so, or a log shows what they do.
    Ignored,
}

impl Logins {
    /// For a command that an operator gave.
    pub(super) fn of(consent: Consent) -> Self {
        if consent.force {
            Self::Ignored
        } else {
            Self::Protected
        }
    }
}

impl Controller {
    /// The policy's part, and what this host cannot do without. The never list in force wins in the
    /// kernel even where the files cannot be read.
    pub(in crate::controller) fn ban_frame(&self, logins: Logins) -> Result<Frame, Failure> {
        self.ban_frame_with(logins, [])
    }

    pub(super) fn ban_frame_with(
        &self,
        logins: Logins,
        more: impl IntoIterator<Item = (Prefix, Why)>,
    ) -> Result<Frame, Failure> {
        let mut warnings = Vec::new();
        let (settings, never) = match self.load() {
            Ok(loaded) => (loaded.policy.bans, loaded.policy.never),
            Err(failure) => {
                let first = failure.message.lines().next().unwrap_or_default();
                warnings.push(format!(
                    "the policy files cannot be used ({first}): the never list in force still wins, \
                     but nothing on it is refused here"
                ));
                (Settings::default(), Vec::<IpNetwork>::new())
            }
        };
        let network = self.network()?;
        let gateways =
            essential::gateways().map_err(|error| from_io("cannot read the routes", &error))?;
        let single = |why| move |address| (Prefix::single(address), why);
        let operators = match logins {
            Logins::Protected => sessions::logged_in(),
            Logins::Ignored => BTreeSet::new(),
        };
        let protected = Protected::new(
            network
                .own()
                .map(single(Why::Own))
                .chain(gateways.into_iter().map(single(Why::Gateway)))
                .chain(
                    essential::resolvers()
                        .into_iter()
                        .map(single(Why::Resolver)),
                )
                .chain(operators.into_iter().map(single(Why::Operator)))
                .chain(sessions::callers().into_iter().map(single(Why::Caller)))
                .chain(never.into_iter().map(|net| (Prefix::from(net), Why::Never)))
                .chain(more),
        );
        Ok(Frame {
            settings,
            protected,
            warnings,
        })
    }
}
