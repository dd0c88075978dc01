//! What is banned, on disk: survives restarts and reboots. Only ever opened under the lock of commands.

mod record;

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError, Table,
    TableDefinition, WriteTransaction,
};

use super::{prefix::Prefix, term::Term};
use crate::failure::{Exit, Failure, from_io};

pub use record::{End, Now, Origin, Record};

/// Prefix and number of the origin, to [`record`].
const BANS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bans");
/// Names of origins by number.
const ORIGINS: TableDefinition<'_, u32, &str> = TableDefinition::new("origins");
/// Everything else.
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// Layout of the tables.
const VERSION: &str = "1";
/// Seconds between two sweeps.
const SWEEP_EVERY: u64 = 60;

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
    /// Where a file went that could not be read.
    pub quarantined: Option<PathBuf>,
}

/// How many bans there are, by the table of the kernel that holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Single IPv4 addresses.
    pub ipv4: u64,
    /// IPv6 addresses and /64 networks.
    pub ipv6: u64,
    /// All other prefixes.
    pub cidrs: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ipv4 + self.ipv6 + self.cidrs
    }

    fn of(&mut self, prefix: Prefix) -> &mut u64 {
        match (prefix.is_v4(), prefix.length()) {
            (true, 128) => &mut self.ipv4,
            (false, 64 | 128) => &mut self.ipv6,
            (true | false, _) => &mut self.cidrs,
        }
    }
}

/// What became of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was there, and holds longer now.
    Longer,
    /// It was there and holds at least as long.
    Known,
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

/// Changes that are made together or not at all.
pub struct Change<'t> {
    bans: Table<'t, &'static [u8], &'static [u8]>,
    origins: Table<'t, u32, &'static str>,
    meta: Table<'t, &'static str, &'static str>,
    counts: Counts,
    /// Lengths that occur, or did.
    lengths: BTreeSet<u8>,
    now: Now,
}

impl Store {
    /// Opens the store of a state folder, or makes one. A file that is damaged is put aside. Times
    /// are carried over when the host was restarted since.
    ///
    /// # Errors
    /// When the file cannot be made, or is one of a later version.
    pub fn open(path: &Path, now: &Now) -> Result<Opened, Failure> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| from_io(folder.display(), &error))?;
        }
        let (database, quarantined) = match Database::create(path) {
            Ok(database) => (database, None),
            Err(error) if is_damage(&error) => {
                let aside = put_aside(path, now)?;
                let database = Database::create(path).map_err(|error| broken(path, &error))?;
                (database, Some(aside))
            }
            Err(error) => return Err(broken(path, &error)),
        };
        // Whom somebody banned is nobody else's business.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(|error| from_io(path.display(), &error))?;
        let store = Self {
            database,
            path: path.to_owned(),
        };
        store.adjust(now)?;
        Ok(Opened { store, quarantined })
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
        let transaction = self.database.begin_write().map_err(|e| self.failed(&e))?;
        let result = {
            let mut tables = Change::open(&transaction, now).map_err(|e| self.failed(&e))?;
            let result = change(&mut tables).map_err(|trouble| match trouble {
                Trouble::Refused(failure) => failure,
                Trouble::Disk(error) => self.failed(&error),
            })?;
            tables.save().map_err(|e| self.failed(&e))?;
            result
        };
        transaction.commit().map_err(|e| self.failed(&e))?;
        Ok(result)
    }

    /// Shows every ban that holds, in order of prefix, as long as `each` says so.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn each(&self, now: &Now, mut each: impl FnMut(Record) -> bool) -> Result<(), Failure> {
        let mut read = || -> Result<(), redb::Error> {
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
        read().map_err(|e| self.failed(&e))
    }

    /// How many bans there are; some may be over and not yet swept.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn counts(&self) -> Result<Counts, Failure> {
        let read = || -> Result<Counts, redb::Error> {
            let transaction = self.database.begin_read()?;
            read_counts(&transaction.open_table(META)?)
        };
        read().map_err(|e| self.failed(&e))
    }

    /// New files get their version; after a restart of the host, boot times begin anew.
    fn adjust(&self, now: &Now) -> Result<(), Failure> {
        self.change(now, |change| {
            match change.text("version")?.as_deref() {
                None => change.set_text("version", VERSION)?,
                Some(VERSION) => {}
                Some(other) => {
                    let failure = Failure::new(
                        Exit::AbiMismatch,
                        format!("{}: bans of version {other}", self.path.display()),
                    );
                    return Err(failure
                        .help("use the version of guard that wrote it, or move the file away")
                        .into());
                }
            }
            let boot = change.text("boot")?;
            if boot.as_ref() == Some(&now.boot_id) {
                return Ok(());
            }
            if boot.is_some() {
                change.rebase()?;
            }
            Ok(change.set_text("boot", &now.boot_id)?)
        })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        broken(&self.path, error)
    }
}

impl<'t> Change<'t> {
    fn open(transaction: &'t WriteTransaction, now: &Now) -> Result<Self, redb::Error> {
        let meta = transaction.open_table(META)?;
        let counts = read_counts(&meta)?;
        let lengths = read_numbers(&meta, "lengths")?;
        Ok(Self {
            bans: transaction.open_table(BANS)?,
            origins: transaction.open_table(ORIGINS)?,
            meta,
            counts,
            lengths: lengths.into_iter().map(|length| length as u8).collect(),
            now: now.clone(),
        })
    }

    fn save(&mut self) -> Result<(), redb::Error> {
        let Counts { ipv4, ipv6, cidrs } = self.counts;
        self.set_text("counts", &format!("{ipv4} {ipv6} {cidrs}"))?;
        let lengths: Vec<String> = self.lengths.iter().map(ToString::to_string).collect();
        self.set_text("lengths", &lengths.join(" "))
    }

    fn text(&self, key: &str) -> Result<Option<String>, redb::Error> {
        Ok(self.meta.get(key)?.map(|text| text.value().to_owned()))
    }

    fn set_text(&mut self, key: &str, text: &str) -> Result<(), redb::Error> {
        self.meta.insert(key, text)?;
        Ok(())
    }

    /// How many bans there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The number of an origin, a new one for one that is not known.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn origin(&mut self, origin: &Origin) -> Result<u32, redb::Error> {
        let name = origin.name();
        let known = read_origins(&self.origins)?;
        if let Some((number, _)) = known.iter().find(|(_, known)| **known == name) {
            return Ok(*number);
        }
        let number = known.last_key_value().map_or(0, |(last, _)| last + 1);
        self.origins.insert(number, name.as_str())?;
        Ok(number)
    }

    /// Adds a ban of the origin with this number. The longer of two holds.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn add(
        &mut self,
        prefix: Prefix,
        origin: u32,
        term: Term,
        reason: &str,
    ) -> Result<Added, redb::Error> {
        let key = record::key(prefix, origin);
        let end = End::after(term, &self.now);
        let value = record::write(end, term, &self.now, reason);
        let before = self.bans.insert(key.as_slice(), value.as_slice())?;
        let before = before.map(|before| before.value().to_vec());
        let Some(before) = before else {
            *self.counts.of(prefix) += 1;
            self.lengths.insert(prefix.length());
            return Ok(Added::New);
        };
        let known = record::end(&before);
        if known.is_over(&self.now) {
            return Ok(Added::New);
        }
        if known >= end {
            self.bans.insert(key.as_slice(), before.as_slice())?;
            return Ok(Added::Known);
        }
        Ok(Added::Longer)
    }

    /// Removes the ban of exactly this prefix and origin; was there one?
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&mut self, prefix: Prefix, origin: u32) -> Result<bool, redb::Error> {
        let key = record::key(prefix, origin);
        let Some(before) = self.bans.remove(key.as_slice())? else {
            return Ok(false);
        };
        let held = !record::end(before.value()).is_over(&self.now);
        drop(before);
        let count = self.counts.of(prefix);
        *count = count.saturating_sub(1);
        Ok(held)
    }

    /// Removes every ban of an origin; the prefixes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_all(&mut self, origin: u32) -> Result<Vec<Prefix>, redb::Error> {
        let mut removed = Vec::new();
        let counts = &mut self.counts;
        self.bans.retain(|key, _| {
            let Some((prefix, of)) = record::parse_key(key) else {
                return false;
            };
            if of != origin {
                return true;
            }
            let count = counts.of(prefix);
            *count = count.saturating_sub(1);
            removed.push(prefix);
            false
        })?;
        Ok(removed)
    }

    /// Until when exactly this prefix is banned by this origin, if it is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end(&self, prefix: Prefix, origin: u32) -> Result<Option<End>, redb::Error> {
        let key = record::key(prefix, origin);
        let found = self.bans.get(key.as_slice())?;
        Ok(found
            .map(|value| record::end(value.value()))
            .filter(|end| !end.is_over(&self.now)))
    }

    /// The bans of exactly this prefix that hold: origin and end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn of(&self, prefix: Prefix) -> Result<Vec<(u32, End)>, redb::Error> {
        let first = record::key(prefix, 0);
        let last = record::key(prefix, u32::MAX);
        let mut found = Vec::new();
        for entry in self.bans.range(first.as_slice()..=last.as_slice())? {
            let (key, value) = entry?;
            let end = record::end(value.value());
            if let Some((_, origin)) = record::parse_key(key.value())
                && !end.is_over(&self.now)
            {
                found.push((origin, end));
            }
        }
        Ok(found)
    }

    /// The bans that hold all of this prefix or lie in it: what the kernel must know of its cells.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn around(&self, prefix: Prefix) -> Result<Vec<(Prefix, End)>, redb::Error> {
        let mut found = Vec::new();
        for length in self.lengths.range(..prefix.length()) {
            let outer = prefix.widened(*length);
            let ends = self.of(outer)?.into_iter();
            found.extend(ends.map(|(_, end)| (outer, end)));
        }
        let inside = prefix.inside();
        let first = record::key(*inside.start(), 0);
        let last = record::key(*inside.end(), u32::MAX);
        for entry in self.bans.range(first.as_slice()..=last.as_slice())? {
            let (key, value) = entry?;
            let end = record::end(value.value());
            if let Some((inner, _)) = record::parse_key(key.value())
                && !end.is_over(&self.now)
            {
                found.push((inner, end));
            }
        }
        Ok(found)
    }

    /// Every ban that holds.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn all(&self) -> Result<Vec<(Prefix, End)>, redb::Error> {
        let mut found = Vec::new();
        for entry in self.bans.iter()? {
            let (key, value) = entry?;
            let end = record::end(value.value());
            if let Some((prefix, _)) = record::parse_key(key.value())
                && !end.is_over(&self.now)
            {
                found.push((prefix, end));
            }
        }
        Ok(found)
    }

    /// Forgets what is over, if that was not done a minute ago; the prefixes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep(&mut self) -> Result<Vec<Prefix>, redb::Error> {
        let last = self.text("swept")?.and_then(|text| text.parse().ok());
        let seconds = self.now.boot_ms / 1000;
        // A time that lies ahead is of before a restart.
        let mut over = Vec::new();
        if last.is_some_and(|last: u64| last <= seconds && seconds - last < SWEEP_EVERY) {
            return Ok(over);
        }
        self.set_text("swept", &seconds.to_string())?;
        let (now, counts) = (&self.now, &mut self.counts);
        self.bans.retain(|key, value| {
            let Some((prefix, _)) = record::parse_key(key) else {
                return false;
            };
            let is_over = record::end(value).is_over(now);
            if is_over {
                let count = counts.of(prefix);
                *count = count.saturating_sub(1);
                over.push(prefix);
            }
            !is_over
        })?;
        Ok(over)
    }

    /// Boot times of another boot become those of this one; what is left is told by the wall clock.
    fn rebase(&mut self) -> Result<(), redb::Error> {
        let mut records = Vec::new();
        for entry in self.bans.iter()? {
            let (key, value) = entry?;
            if let Some(value) = record::rebased(value.value(), &self.now) {
                records.push((key.value().to_vec(), value));
            }
        }
        for (key, value) in records {
            self.bans.insert(key.as_slice(), value.as_slice())?;
        }
        Ok(())
    }
}

fn read_origins(
    table: &impl redb::ReadableTable<u32, &'static str>,
) -> Result<std::collections::BTreeMap<u32, String>, redb::Error> {
    let mut origins = std::collections::BTreeMap::new();
    for entry in table.iter()? {
        let (number, name) = entry?;
        origins.insert(number.value(), name.value().to_owned());
    }
    Ok(origins)
}

fn read_numbers(
    meta: &impl redb::ReadableTable<&'static str, &'static str>,
    key: &str,
) -> Result<Vec<u64>, redb::Error> {
    let text = meta.get(key)?;
    Ok(text.map_or_else(Vec::new, |text| {
        let words = text.value().split(' ');
        words.filter_map(|word| word.parse().ok()).collect()
    }))
}

fn read_counts(
    meta: &impl redb::ReadableTable<&'static str, &'static str>,
) -> Result<Counts, redb::Error> {
    let numbers = read_numbers(meta, "counts")?;
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    Ok(Counts {
        ipv4: number(0),
        ipv6: number(1),
        cidrs: number(2),
    })
}

/// Is it the content of the file that is wrong, and not the disk or a permission?
fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Corrupted(_)) | DatabaseError::RepairAborted => true,
        DatabaseError::Storage(StorageError::Io(error)) => {
            [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&error.kind())
        }
        _ => false,
    }
}

fn put_aside(path: &Path, now: &Now) -> Result<PathBuf, Failure> {
    let aside = path.with_extension(format!("damaged-{}", now.wall_s));
    fs::rename(path, &aside).map_err(|error| from_io(path.display(), &error))?;
    Ok(aside)
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        format!("{}: the store of bans: {error}", path.display()),
    );
    failure.help("bans that are in force stay; is the disk full or read-only?")
}

#[cfg(test)]
mod tests;
