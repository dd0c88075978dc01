//! Banning and lifting bans: the store and the tables of the kernel, under the lock of commands. A
//! change of policy that waits for its confirmation is no obstacle, and neither is a broken file.

mod copy;
mod excess;
mod feeds;
mod find;
mod fleet;
mod found;
mod frame;
mod gradual;
mod import;
mod jail_files;
mod jails;
mod joined;
mod origins;
mod own;
mod peek;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use guard_common::abi::ban::Sizes;

use super::{Consent, Controller};
use crate::{
    bans::{
        BanTarget, BanTerm, Breadth, Complaint, Prefix,
        store::{Added, BanOrigin, BanRow, Now},
        table::Memory as _,
    },
    dataplane::{clock, pins},
    failure::{Exit, Failure},
    host::clock as host_clock,
};

pub use excess::{ExcessFrame, ExcessRule, ExcessRules, ExcessiveSource};
pub use feeds::Reread;
pub use fleet::{FleetLedger, Received};
pub use found::{BanOutcome, FromStore};
pub(super) use frame::{Frame, Logins};
pub(super) use gradual::PackedPrefix;
pub use import::{Imported, List};
pub use jail_files::JailChanged;
pub use jails::{JailBan, JailFrame};
pub use origins::OriginCount;
pub use peek::BanPeek;
use session::Waive;
pub(super) use session::{Session, now};

/// A source that was banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    /// What is banned.
    pub prefix: Prefix,
    /// Was it banned before?
    pub added: Added,
    /// For how long.
    pub term: BanTerm,
}

/// What `ban` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banning {
    /// Source by source.
    pub banned: Vec<Banned>,
    /// What was not taken literally, and what else to look at.
    pub warnings: Vec<String>,
    /// Is guard on, so that the bans hold?
    pub is_active: bool,
    /// Nothing was done.
    pub dry_run: bool,
}

/// What to lift.
#[derive(Clone, Copy, Debug)]
pub enum Unban<'a> {
    /// These, as they were banned.
    Sources(&'a [String]),
    /// Those of these that a jail has banned; without any, all that it has.
    OfJail(&'a str, &'a [String]),
    /// Lift every ban except those of feeds.
    All,
}

/// What `unban` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifting {
    /// What is no longer banned.
    pub lifted: Vec<Prefix>,
    /// What keeps some of it shut out all the same.
    pub warnings: Vec<String>,
    /// Nothing was done.
    pub dry_run: bool,
}

/// How much a command may ban.
fn breadth(consent: Consent) -> Breadth {
    if consent.force {
        Breadth::Any
    } else {
        Breadth::Usual
    }
}

impl Controller {
    /// Bans sources; none of them if one cannot be.
    ///
    /// # Errors
    /// Exit 2 for what is no source, 7 for what is protected or too wide, 1 when a table is full.
    pub fn ban(
        &self,
        sources: &[String],
        term: Option<BanTerm>,
        reason: &str,
        consent: Consent,
    ) -> Result<Banning, Failure> {
        self.ban_by(&BanOrigin::Operator, sources, term, reason, consent)
    }

    /// The same in another name than the operator's.
    ///
    /// # Errors
    /// As [`Controller::ban`].
    pub fn ban_as(
        &self,
        jail: &str,
        sources: &[String],
        term: Option<BanTerm>,
        reason: &str,
        consent: Consent,
    ) -> Result<Banning, Failure> {
        let origin = BanOrigin::Jail(jail.to_owned());
        self.ban_by(&origin, sources, term, reason, consent)
    }

    /// The same in the name of a jail, for as long as its bans hold.
    ///
    /// # Errors
    /// As [`Controller::ban`], and exit 6 when there is no such jail.
    pub fn ban_in_jail(
        &self,
        jail: &str,
        sources: &[String],
        consent: Consent,
    ) -> Result<Banning, Failure> {
        let term = self.jail(jail)?.ban_time;
        self.ban_as(jail, sources, Some(term), "by hand", consent)
    }

    fn ban_by(
        &self,
        origin: &BanOrigin,
        sources: &[String],
        term: Option<BanTerm>,
        reason: &str,
        consent: Consent,
    ) -> Result<Banning, Failure> {
        let frame = self.ban_frame(Logins::of(consent))?;
        let mut warnings = frame.warnings;
        let mut prefixes = Vec::new();
        for text in sources {
            let target = BanTarget::parse(text).map_err(Complaint::failure)?;
            breadth(consent)
                .check(target.prefix)
                .map_err(Complaint::failure)?;
            let allowed = frame.protected.check(&target);
            let allowed = allowed.map_err(Complaint::failure)?;
            let is_narrowed = allowed.prefix != target.prefix;
            warnings.extend(target.note(text).filter(|_| !is_narrowed));
            warnings.extend(allowed.note);
            if !prefixes.contains(&allowed.prefix) {
                prefixes.push(allowed.prefix);
            }
        }
        let term = term.unwrap_or(frame.settings.default);
        let planned = |added| {
            let prefixes = prefixes.iter();
            let banned = prefixes.map(|prefix| Banned {
                prefix: *prefix,
                added,
                term,
            });
            banned.collect::<Vec<_>>()
        };
        if consent.dry_run {
            return Ok(Banning {
                banned: planned(Added::New),
                warnings,
                is_active: self.in_force()?.is_some(),
                dry_run: true,
            });
        }
        let mut session = self.ban_session()?;
        let new: Vec<(Prefix, BanTerm, &str)> = prefixes
            .iter()
            .map(|prefix| (*prefix, term, reason))
            .collect();
        let outcomes = session.add(self, origin, &new, frame.settings)?;
        let mut banned = planned(Added::New);
        for (banned, added) in banned.iter_mut().zip(outcomes) {
            banned.added = added;
        }
        warnings.append(&mut session.warnings);
        Ok(Banning {
            banned,
            warnings,
            is_active: session.tables.is_some(),
            dry_run: false,
        })
    }

    /// Lifts bans; none of them if one is not there.
    ///
    /// # Errors
    /// Exit 2 for what is no source, 6 for what is not banned.
    pub fn unban(&self, what: Unban<'_>, consent: Consent) -> Result<Lifting, Failure> {
        let mut session = self.ban_session()?;
        let mut lifting = Lifting {
            lifted: Vec::new(),
            warnings: Vec::new(),
            dry_run: consent.dry_run,
        };
        let jail = match what {
            Unban::OfJail(jail, _) => Some(BanOrigin::Jail(jail.to_owned())),
            Unban::Sources(_) | Unban::All => None,
        };
        let is_meant = |origin: &BanOrigin| match &jail {
            Some(jail) => origin == jail,
            None => origin.is_liftable(),
        };
        let mut gone: BTreeMap<BanOrigin, BTreeSet<Prefix>> = BTreeMap::new();
        match what {
            Unban::All | Unban::OfJail(_, []) => {
                session.store.each(&session.now, |record| {
                    if is_meant(&record.origin) {
                        gone.entry(record.origin).or_default().insert(record.prefix);
                    }
                    true
                })?;
            }
            Unban::Sources(sources) | Unban::OfJail(_, sources) => {
                for text in sources {
                    let found = session.find(text, &is_meant)?;
                    for origin in found.origins {
                        gone.entry(origin).or_default().insert(found.prefix);
                    }
                    lifting.warnings.extend(found.warning);
                }
            }
        }
        if !consent.dry_run {
            for (origin, prefixes) in &gone {
                let prefixes: Vec<(&BanOrigin, Prefix)> =
                    prefixes.iter().map(|prefix| (origin, *prefix)).collect();
                session.remove_all(self, &prefixes, Waive::Yes)?;
            }
            if gone
                .keys()
                .any(|origin| matches!(origin, BanOrigin::Jail(_)))
            {
                self.tell_jails(&session)?;
            }
        }
        let lifted: BTreeSet<Prefix> = gone.into_values().flatten().collect();
        lifting.lifted = lifted.into_iter().collect();
        lifting.warnings.append(&mut session.warnings);
        Ok(lifting)
    }

    /// Every ban that holds, and the time by which that was so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn bans(&self) -> Result<(Vec<BanRow>, Now), Failure> {
        let session = self.ban_session()?;
        let mut records = Vec::new();
        session.store.each(&session.now, |record| {
            records.push(record);
            true
        })?;
        Ok((records, session.now))
    }

    /// How large the tables of bans are; `None` when guard is off or they cannot be opened.
    #[must_use]
    pub fn ban_table_sizes(&self) -> Option<Sizes> {
        let running = pins::open(&self.layout).ok()??;
        Some(running.bans.sizes())
    }

    /// How far the kernel's clock of bans is behind the time since boot, from some moment on: it grows
    /// while the host is suspended. `None` when guard is off.
    ///
    /// # Errors
    /// When the clock cannot be asked.
    pub fn ban_clock_behind(&self) -> Result<Option<Duration>, Failure> {
        if pins::open(&self.layout)?.is_none() {
            return Ok(None);
        }
        let eighths = clock::pinned_now(&self.layout.clock()).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("{}: {error}", self.layout.clock().display()),
            )
        })?;
        let boot = Duration::from_nanos(host_clock::boot_time_ns());
        // It does not begin at 0; only differences count.
        let whole = clock::eighth() * u32::MAX;
        Ok(Some(boot + whole - clock::eighth() * eighths))
    }

    /// The ends of all bans, as the store has them, into the kernel's tables.
    ///
    /// # Errors
    /// As [`Controller::bans`].
    pub fn rewrite_bans(&self) -> Result<(), Failure> {
        if !self.has_store_of_bans() {
            return Ok(());
        }
        self.ban_session()?.rewrite(self)
    }

    /// Forgets what is over, in the store and in the tables.
    ///
    /// # Errors
    /// When the store or the tables cannot be read.
    pub fn sweep_bans(&self) -> Result<(), Failure> {
        if !self.has_store_of_bans() {
            return Ok(());
        }
        let mut session = self.ban_session()?;
        session.sweep(self)
    }
}
