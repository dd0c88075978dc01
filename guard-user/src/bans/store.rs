//! What is banned, on disk: survives restarts and reboots. Only ever opened under the lock of commands.

mod change;
mod own;
mod peek;
mod record;
mod waiver_table;
mod waivers;

use std::path::{Path, PathBuf};

use change::{read_counts, read_origins};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::prefix::Prefix;
use crate::{
    database::{self, Care, DatabaseFault, Quarantine},
    failure::{Exit, Failure},
};

pub use change::{Added, Change};
pub use own::{OwnEntry, OwnPage, OwnRow};
pub use peek::{Ends, peek, peek_ends};
pub use record::{BanEnd, BanOrigin, BanRow, Now};

/// Prefix and number of the origin, to [`record`].
const BANS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bans");
/// Names of origins by number.
const ORIGINS: TableDefinition<'_, u32, &str> = TableDefinition::new("origins");
/// Everything else.
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// Layout of the tables.
const VERSION: &str = "1";

/// The store.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

/// A store, and what had to be done to have one.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What became of a file that could not be read.
    pub quarantine: Option<Quarantine>,
}

/// How many bans there are, by the table of the kernel that holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BanCounts {
    /// Single IPv4 addresses.
    pub ipv4: u64,
    /// IPv6 addresses and /64 networks.
    pub ipv6: u64,
    /// All other prefixes.
    pub cidrs: u64,
}

impl BanCounts {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ipv4 + self.ipv6 + self.cidrs
    }

    pub(super) fn of(&mut self, prefix: Prefix) -> &mut u64 {
        match (prefix.is_v4(), prefix.length()) {
            (true, 128) => &mut self.ipv4,
            (false, 64 | 128) => &mut self.ipv6,
            (true | false, _) => &mut self.cidrs,
        }
    }
}

/// Why a change was not made.
#[derive(Debug)]
pub enum Trouble {
    /// It must not be made.
    Refused(Failure),
    /// The store cannot be read or written.
    Disk(redb::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Self {
        Self::Disk(error)
    }
}

impl Store {
    /// Opens the store of a state folder, or makes one. A file that is damaged, or of another version, is
    /// put aside, and `copy`, if there is one, takes its place. Times are carried over when the host was restarted
    /// since.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(path: &Path, copy: &Path, now: &Now) -> Result<Opened, Failure> {
        Self::open_with(path, copy, now, Care::Little)
    }

    /// The same, and every page is looked at: for what reads all of it anyway.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open_with_care(path: &Path, copy: &Path, now: &Now) -> Result<Opened, Failure> {
        Self::open_with(path, copy, now, Care::Much)
    }

    /// The store, or its copy, as it is on a disk that cannot be written: what is changed is changed in memory alone.
    /// With the file that was read; `None` when there is none that can be used.
    #[must_use]
    pub fn detached(path: &Path, copy: &Path, now: &Now) -> Option<(Self, PathBuf)> {
        let take = |database| {
            let store = Self {
                database,
                path: path.to_owned(),
            };
            store.adjust(now)?;
            Ok(store)
        };
        database::detached(path, copy, take)
    }

    fn open_with(path: &Path, copy: &Path, now: &Now, care: Care) -> Result<Opened, Failure> {
        let failed = |error: &dyn std::fmt::Display| broken(path, error);
        let take = |database| {
            let store = Self {
                database,
                path: path.to_owned(),
            };
            store.adjust(now)?;
            Ok(store)
        };
        let (store, quarantine) = database::open(path, Some(copy), now.wall_s, care, failed, take)?;
        if quarantine.is_some() {
            // What others know of the one before is asked for anew. Where nothing can be written, nothing changes.
            store.renew_own(now).ok();
        }
        Ok(Opened { store, quarantine })
    }

    /// Changes something; what `change` refuses leaves no trace.
    ///
    /// # Errors
    /// What `change` says, or what the disk does.
    pub fn change<T>(
        &self,
        now: &Now,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        let changed = database::guarded(|| self.try_change(now, change));
        changed.map_err(|trouble| match trouble {
            Trouble::Refused(failure) => failure,
            Trouble::Disk(error) => self.failed(&error),
        })
    }

    fn try_change<T>(
        &self,
        now: &Now,
        change: impl FnOnce(&mut Change<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        let result = {
            let mut tables = Change::open(&transaction, now)?;
            let result = change(&mut tables)?;
            tables.save()?;
            result
        };
        transaction.commit().map_err(redb::Error::from)?;
        Ok(result)
    }

    /// Shows every ban that holds, in order of prefix, as long as `each` says so.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn each(&self, now: &Now, mut each: impl FnMut(BanRow) -> bool) -> Result<(), Failure> {
        let read = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_read()?;
            let origins = read_origins(&transaction.open_table(ORIGINS)?)?;
            let bans = transaction.open_table(BANS)?;
            for entry in bans.iter()? {
                let (key, value) = entry?;
                let Some(record) = record::read(key.value(), value.value(), &origins) else {
                    continue;
                };
                if record.end.is_over(now) {
                    continue;
                }
                if !each(record) {
                    return Ok(());
                }
            }
            Ok(())
        };
        database::guarded(read).map_err(|error| self.failed(&error))
    }

    /// The prefixes that an origin has banned and that are banned still, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn each_of(
        &self,
        origin: &BanOrigin,
        now: &Now,
        mut each: impl FnMut(Prefix),
    ) -> Result<(), Failure> {
        let name = origin.name();
        let read = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_read()?;
            let origins = read_origins(&transaction.open_table(ORIGINS)?)?;
            let Some(number) = origins.iter().find(|(_, known)| **known == name) else {
                return Ok(());
            };
            for entry in transaction.open_table(BANS)?.iter()? {
                let (key, value) = entry?;
                if let Some((prefix, of)) = record::parse_key(key.value())
                    && of == *number.0
                    && !record::end(value.value()).is_over(now)
                {
                    each(prefix);
                }
            }
            Ok(())
        };
        database::guarded(read).map_err(|error| self.failed(&error))
    }

    /// How many bans there are; some may be over and not yet swept.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn counts(&self) -> Result<BanCounts, Failure> {
        let read = || -> Result<BanCounts, redb::Error> {
            let transaction = self.database.begin_read()?;
            read_counts(&transaction.open_table(META)?)
        };
        database::guarded(read).map_err(|error| self.failed(&error))
    }

    /// New files get their version; after a restart of the host, boot times begin anew.
    fn adjust(&self, now: &Now) -> Result<(), DatabaseFault> {
        // Nearly always there is nothing to write: a full disk must not keep anybody from reading, nor a
        // slow one a ban from being made.
        if self.is_current(now) {
            return Ok(());
        }
        let adjusted = self.try_change(now, |change| {
            match change.text("version")?.as_deref() {
                None => change.set_text("version", VERSION)?,
                Some(VERSION) => {}
                Some(_) => return Ok(false),
            }
            let boot = change.text("boot")?;
            if boot.as_ref() == Some(&now.boot_id) {
                return Ok(true);
            }
            if boot.is_some() {
                change.rebase()?;
            }
            change.set_text("boot", &now.boot_id)?;
            Ok(true)
        });
        match adjusted {
            Ok(true) => Ok(()),
            Ok(false) | Err(Trouble::Refused(_)) => Err(DatabaseFault::Version),
            Err(Trouble::Disk(error)) => Err(error.into()),
        }
    }

    fn is_current(&self, now: &Now) -> bool {
        let read = || -> Result<bool, redb::Error> {
            let transaction = self.database.begin_read()?;
            transaction.open_table(BANS)?;
            transaction.open_table(ORIGINS)?;
            let meta = transaction.open_table(META)?;
            let is = |key, text: &str| -> Result<bool, redb::Error> {
                Ok(meta.get(key)?.is_some_and(|found| found.value() == text))
            };
            Ok(is("version", VERSION)? && is("boot", &now.boot_id)?)
        };
        // What cannot be read is reported by what comes next.
        read().unwrap_or(false)
    }

    /// What turns out to be damaged is put aside by whoever opens it next.
    fn failed(&self, error: &redb::Error) -> Failure {
        if !database::is_damage(error) {
            return broken(&self.path, error);
        }
        database::suspect(&self.path);
        let message = format!(
            "{}: the store of bans is damaged: {error}",
            self.path.display()
        );
        let failure = Failure::new(Exit::Failed, message);
        failure
            .help("bans in force stay; the next command sets the file aside and starts a new one")
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        format!("{}: the store of bans: {error}", path.display()),
    );
    failure.help("bans in force stay; is the disk full or read-only?")
}

#[cfg(test)]
mod tests;
