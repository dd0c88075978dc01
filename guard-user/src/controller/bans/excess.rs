//! Bans of sources that go on above a limit with `on-excess`: which rules in force say so, and who is banned for it.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::{
    Frame, Logins,
    found::{BanOutcome, FoundBan, FromStore},
};
use crate::{
    bans::{BanTarget, BanTerm, Prefix, store::BanOrigin, target::Reading},
    controller::{Controller, state::last_good},
    failure::{Exit, Failure},
    ruleset::{
        describe,
        limit::Rate,
        model::{DefaultAction, Policy, RuleAction},
        on_excess::ExcessBan,
    },
};

/// What one host of IPv6 has.
const CUSTOMER: u8 = 64;

/// The rules in force that ban whoever goes on above them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcessRules {
    /// Of their policy.
    digest: u64,
    /// By their number.
    rules: BTreeMap<usize, ExcessRule>,
    /// Length of the prefix of IPv6 that is one source.
    v6_length: u8,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcessRule {
    /// Packets that it lets in.
    pub rate: Rate,
    /// And at once.
    pub burst: u32,
    /// For how long it bans.
    pub ban: ExcessBan,
    /// What it is about, `443/tcp`.
    pub about: String,
}

/// A source that goes on above a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcessiveSource {
    /// Number of the rule.
    pub rule: usize,
    /// Who.
    pub prefix: Prefix,
    /// The address that was seen last.
    pub address: IpAddr,
}

/// What must not be banned, as it was some time ago.
#[derive(Debug)]
pub struct ExcessFrame(Frame);

impl ExcessRules {
    fn of(policy: &Policy, digest: u64) -> Option<Self> {
        if policy.default == DefaultAction::Monitor {
            return None;
        }
        let rules = policy
            .rules
            .iter()
            .zip(1..)
            .filter(|(rule, _)| rule.is_enabled);
        let rules: BTreeMap<usize, ExcessRule> = rules
            .filter_map(|(rule, number)| {
                let RuleAction::Limit(limit) = rule.action else {
                    return None;
                };
                let excess = ExcessRule {
                    rate: limit.rate,
                    burst: limit.burst,
                    ban: limit.on_excess?,
                    about: describe::short_traffic(&rule.traffic),
                };
                Some((number, excess))
            })
            .collect();
        (!rules.is_empty()).then_some(Self {
            digest,
            rules,
            // Who is one customer to a wide limit is one to be banned, and not his neighbours.
            v6_length: policy.sources.v6.max(CUSTOMER),
        })
    }

    /// The rule of this number, if it is one of them.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&ExcessRule> {
        self.rules.get(&number)
    }

    /// What counts as one source.
    #[must_use]
    pub fn source(&self, address: IpAddr) -> Prefix {
        let single = Prefix::single(address);
        if single.is_v4() {
            single
        } else {
            single.widened(self.v6_length)
        }
    }
}

impl Controller {
    /// The rules in force that ban, if there are any.
    ///
    /// # Errors
    /// When it is not known what the policy of this digest says: the files are of another one.
    pub fn excess_rules(&self, digest: u64) -> Result<Option<ExcessRules>, Failure> {
        let loaded = self.load();
        if let Ok(loaded) = &loaded
            && loaded.digest == digest
        {
            return Ok(ExcessRules::of(&loaded.policy, digest));
        }
        match last_good::last_good(&self.layout)? {
            Some(kept) if kept.digest == digest => Ok(ExcessRules::of(&kept.policy, digest)),
            Some(_) | None => {
                // A file that does not load says more than one that is not in force.
                loaded?;
                Err(Failure::new(
                    Exit::Failed,
                    "the policy files are not those of the policy in force",
                ))
            }
        }
    }

    /// Are these still the rules in force? If not, their numbers mean others.
    ///
    /// # Errors
    /// When the pins cannot be opened.
    pub fn are_in_force(&self, rules: &ExcessRules) -> Result<bool, Failure> {
        let in_force = self.in_force()?;
        Ok(in_force.is_some_and(|in_force| in_force.digest == rules.digest))
    }

    /// What limits must not ban: as for jails, and where an operator is logged in from, who may well copy much.
    ///
    /// # Errors
    /// When the kernel does not tell this host's addresses and routes.
    pub fn excess_frame(&self) -> Result<ExcessFrame, Failure> {
        Ok(ExcessFrame(self.ban_frame(Logins::Protected)?))
    }

    /// Bans who goes on above a limit, but for who is protected.
    ///
    /// # Errors
    /// When the store cannot be written or a table is full: nobody is banned then.
    pub fn ban_for_excess(
        &self,
        ExcessFrame(frame): &ExcessFrame,
        rules: &ExcessRules,
        sources: &[ExcessiveSource],
    ) -> Result<FromStore<Vec<BanOutcome>>, Failure> {
        let asked: Vec<FoundBan> = sources
            .iter()
            .filter_map(|source| {
                let rule = rules.get(source.rule)?;
                Some(FoundBan {
                    origin: BanOrigin::Limit,
                    target: BanTarget {
                        prefix: source.prefix,
                        address: Some(source.address),
                        reading: Reading::Literal,
                    },
                    term: BanTerm::For(Duration::from_secs(rule.ban.seconds().into())),
                    reason: format!(
                        "above packets {} of rule {} ({})",
                        rule.rate, source.rule, rule.about
                    ),
                })
            })
            .collect();
        self.ban_found(frame, &asked)
    }
}
