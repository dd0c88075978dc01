//! One jail at work: a failure in, what follows from it out.

use std::{
    collections::hash_map::RandomState, hash::BuildHasher as _, net::IpAddr, sync::Arc,
    time::Duration,
};

use super::{
    past::{BanRecord, Past},
    settings::Settings,
    suspects::{BOUNDS, Bounds, Suspects},
};
use crate::{
    bans::{BanTerm, Prefix},
    filters::Host,
};

/// A new line whose time is farther from now than this has a wrong time, says fail2ban.
const MOST_SKEW_MS: i64 = 60_000;
/// Wider networks are never banned for what a line says.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 32;

/// When a failure happened. Nothing here is a time of day: who sets the clock neither bans nor frees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureTime {
    /// Now, in milliseconds of a clock that nobody can set and that goes on after a reboot.
    pub now_ms: i64,
    /// How long ago it was.
    pub age_ms: i64,
}

impl FailureTime {
    /// For a line that was written just now. A time that is off by more than a minute is a wrong zone
    /// or a wrong clock, and the line counts as if it happened now. `said_ms` and `today_ms` are
    /// milliseconds since 1970.
    #[must_use]
    pub fn new(now_ms: i64, today_ms: i64, said_ms: Option<i64>) -> Self {
        let age = said_ms.map_or(0, |said| today_ms.saturating_sub(said));
        let is_odd = age.saturating_abs() > MOST_SKEW_MS;
        Self {
            now_ms,
            age_ms: if is_odd { 0 } else { age.max(0) },
        }
    }

    /// For a line that was written while nobody read: its time is believed, and without one it is too
    /// old to count.
    #[must_use]
    pub fn caught_up(now_ms: i64, today_ms: i64, said_ms: Option<i64>) -> Self {
        let age = said_ms.map_or(i64::MAX, |said| today_ms.saturating_sub(said));
        Self {
            now_ms,
            age_ms: age.max(0),
        }
    }
}

/// What follows from a failure.
#[derive(Clone, Debug, PartialEq)]
pub enum FailureVerdict {
    /// Shut the source out.
    Ban(Ban),
    /// It is counted; so many failures are within the time now.
    Counted(u32),
    /// It happened too long ago.
    Old,
    /// The source is shut out already, or was when it happened; it is not counted.
    Banned,
    /// `ignoreip` or `ignoreself` spares the source.
    Spared,
    /// A host name: names are never looked up.
    Named,
    /// A network that is wider than any that is banned for a line.
    TooWide,
}

/// A ban.
#[derive(Clone, Debug, PartialEq)]
pub struct Ban {
    /// Who.
    pub prefix: Prefix,
    /// The address whose failure was the last.
    pub address: IpAddr,
    /// For how long from now.
    pub term: BanTerm,
    /// The failures that led to it.
    pub failures: u32,
    /// What to save, so that the next one grows.
    pub record: BanRecord,
}

/// What happened to the failures so far, by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounts {
    /// All.
    pub failures: u64,
    /// Led to a ban.
    pub bans: u64,
    /// Too long ago.
    pub old: u64,
    /// Of sources that were banned already.
    pub banned: u64,
    /// Of sources that are spared.
    pub spared: u64,
    /// Of host names.
    pub named: u64,
    /// Of networks that are too wide.
    pub too_wide: u64,
    /// Sources that were forgotten before their time, because too many others failed.
    pub pushed_out: u64,
    /// Sources that are suspected now.
    pub suspects: usize,
}

/// A jail.
#[derive(Debug)]
pub struct Jail {
    settings: Settings,
    name: Arc<str>,
    own: Vec<Prefix>,
    /// What the names among `ignoreip` resolve to.
    named: Vec<Prefix>,
    suspects: Suspects,
    counts: FailureCounts,
    lots: RandomState,
}

impl Jail {
    /// A jail that knows nobody.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::bounded(settings, BOUNDS)
    }

    fn bounded(settings: Settings, bounds: Bounds) -> Self {
        Self {
            name: settings.name.as_str().into(),
            suspects: Suspects::new(milliseconds(settings.find_time), bounds),
            own: Vec::new(),
            named: Vec::new(),
            counts: FailureCounts::default(),
            lots: RandomState::new(),
            settings,
        }
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What happened.
    #[must_use]
    pub fn counts(&self) -> FailureCounts {
        FailureCounts {
            pushed_out: self.suspects.pushed_out(),
            suspects: self.suspects.len(),
            ..self.counts
        }
    }

    /// The addresses of this host, for `ignoreself`.
    pub fn set_own(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.own = addresses.into_iter().map(Prefix::single).collect();
    }

    /// The addresses of the names among `ignoreip`.
    pub fn set_named(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.named = addresses.into_iter().map(Prefix::single).collect();
    }

    /// The names among `ignoreip`.
    #[must_use]
    pub fn ignored_names(&self) -> &[String] {
        &self.settings.ignored_names
    }

    /// Forgets whose failures are too long ago. For every minute or so.
    pub fn sweep(&mut self, now_ms: i64) {
        self.suspects.sweep(now_ms);
    }

    /// Evaluates a failure.
    pub fn failed(&mut self, host: &Host, when: FailureTime, past: &mut Past) -> FailureVerdict {
        let verdict = self.evaluate(host, when, past);
        let counts = &mut self.counts;
        counts.failures += 1;
        match &verdict {
            FailureVerdict::Ban(_) => counts.bans += 1,
            FailureVerdict::Counted(_) => {}
            FailureVerdict::Old => counts.old += 1,
            FailureVerdict::Banned => counts.banned += 1,
            FailureVerdict::Spared => counts.spared += 1,
            FailureVerdict::Named => counts.named += 1,
            FailureVerdict::TooWide => counts.too_wide += 1,
        }
        verdict
    }

    fn evaluate(&mut self, host: &Host, when: FailureTime, past: &mut Past) -> FailureVerdict {
        let (address, named) = match host {
            Host::Name(_) => return FailureVerdict::Named,
            Host::Address(address) => (*address, Prefix::single(*address)),
            Host::Network(address, length) => (*address, network(*address, *length)),
        };
        let widest = if named.is_v4() { WIDEST_V4 } else { WIDEST_V6 };
        if named.written_length() < widest {
            return FailureVerdict::TooWide;
        }
        let Some(who) = self.source(named) else {
            return FailureVerdict::Spared;
        };
        let happened = when.now_ms.saturating_sub(when.age_ms);
        if when.age_ms >= milliseconds(self.settings.find_time) {
            return FailureVerdict::Old;
        }
        let last = past.of(who, &self.name);
        if last.is_some_and(|last| when.now_ms < last.until_ms || happened <= last.since_ms) {
            return FailureVerdict::Banned;
        }
        let growth = &self.settings.growth;
        let before = if growth.counts_all_jails {
            past.of_all_jails(who)
        } else {
            last.map_or(0, |last| last.count)
        };
        let enough = usize::try_from(self.settings.max_retry).unwrap_or(usize::MAX);
        let weight = growth.weight(before);
        let count = self
            .suspects
            .add(who, happened, weight, enough, when.now_ms);
        let failures = u32::try_from(count).unwrap_or(u32::MAX);
        if count < enough {
            return FailureVerdict::Counted(failures);
        }
        self.suspects.forget(who);
        let lot = self.lots.hash_one((who, when.now_ms));
        let term = growth.term(self.settings.ban_time, before, lot);
        let until = match term {
            BanTerm::For(length) => when.now_ms.saturating_add(milliseconds(length)),
            BanTerm::Permanent => i64::MAX,
        };
        FailureVerdict::Ban(Ban {
            prefix: who,
            address,
            term,
            failures,
            record: past.banned(who, &self.name, when.now_ms, until),
        })
    }

    /// The source that a host belongs to; none if it is spared. A network that somebody who is spared
    /// is part of is not held together: only the address itself is counted.
    fn source(&self, named: Prefix) -> Option<Prefix> {
        let own: &[Prefix] = if self.settings.ignores_self {
            &self.own
        } else {
            &[]
        };
        let settings = &self.settings;
        let written = settings.ignored.iter().chain(&settings.proxies);
        let mut spared = written.chain(&self.named).chain(own);
        if spared
            .clone()
            .any(|spared| spared.covers(named) || named.covers(*spared))
        {
            return None;
        }
        let aggregation = self.settings.aggregation;
        let wide = if named.is_v4() {
            named.widened(96 + aggregation.ipv4)
        } else {
            named.widened(aggregation.ipv6)
        };
        let holds_spared = spared.any(|spared| wide.covers(*spared));
        Some(if holds_spared { named } else { wide })
    }
}

fn network(address: IpAddr, length: u8) -> Prefix {
    match address {
        IpAddr::V4(v4) => Prefix::v4(v4, length),
        IpAddr::V6(v6) => Prefix::v6(v6, length),
    }
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
