//! Reading and changing the tables of the store within one transaction.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, Table, WriteTransaction};

use super::{
    BANS, BanCounts, META, ORIGINS,
    record::{self, BanEnd, BanOrigin, Now},
    waiver_table::waived_origins,
};
use crate::bans::{prefix::Prefix, term::BanTerm};

/// Seconds between two sweeps.
const SWEEP_EVERY: u64 = 60;
/// From so many origins on, the store looks which are still needed, after so many new ones: it reads all bans for that.
const MANY_ORIGINS: usize = 512;
const NEW_ORIGINS: usize = 128;

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

/// Changes that are made together or not at all.
pub struct Change<'t> {
    transaction: &'t WriteTransaction,
    bans: Table<'t, &'static [u8], &'static [u8]>,
    origins: Table<'t, u32, &'static str>,
    meta: Table<'t, &'static str, &'static str>,
    counts: BanCounts,
    /// Lengths that occur, or did.
    lengths: BTreeSet<u8>,
    /// Numbers of origins by their names, once one was asked for: a fleet has as many as members.
    numbers: Option<BTreeMap<String, u32>>,
    now: Now,
}

impl<'t> Change<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, now: &Now) -> Result<Self, redb::Error> {
        let meta = transaction.open_table(META)?;
        let counts = read_counts(&meta)?;
        let lengths = read_numbers(&meta, "lengths")?;
        Ok(Self {
            transaction,
            bans: transaction.open_table(BANS)?,
            origins: transaction.open_table(ORIGINS)?,
            meta,
            counts,
            lengths: lengths.into_iter().map(|length| length as u8).collect(),
            numbers: None,
            now: now.clone(),
        })
    }

    pub(super) fn save(&mut self) -> Result<(), redb::Error> {
        let BanCounts { ipv4, ipv6, cidrs } = self.counts;
        self.set_text("counts", &format!("{ipv4} {ipv6} {cidrs}"))?;
        let lengths: Vec<String> = self.lengths.iter().map(ToString::to_string).collect();
        self.set_text("lengths", &lengths.join(" "))
    }

    pub(super) fn transaction(&self) -> &'t WriteTransaction {
        self.transaction
    }

    pub(super) fn now(&self) -> &Now {
        &self.now
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, redb::Error> {
        Ok(self.meta.get(key)?.map(|text| text.value().to_owned()))
    }

    pub(super) fn set_text(&mut self, key: &str, text: &str) -> Result<(), redb::Error> {
        self.meta.insert(key, text)?;
        Ok(())
    }

    /// How many bans there are.
    #[must_use]
    pub fn counts(&self) -> BanCounts {
        self.counts
    }

    /// The number of an origin, a new one for one that is not known.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn origin(&mut self, origin: &BanOrigin) -> Result<u32, redb::Error> {
        let name = origin.name();
        let numbers = match &mut self.numbers {
            Some(numbers) => numbers,
            none @ None => {
                let known = read_origins(&self.origins)?.into_iter();
                none.insert(known.map(|(number, name)| (name, number)).collect())
            }
        };
        if let Some(number) = numbers.get(&name) {
            return Ok(*number);
        }
        let number = numbers.values().max().map_or(0, |last| last + 1);
        let is_due = numbers.len() >= MANY_ORIGINS && numbers.len().is_multiple_of(NEW_ORIGINS);
        self.origins.insert(number, name.as_str())?;
        numbers.insert(name, number);
        if is_due {
            self.forget_origins(number)?;
        }
        Ok(number)
    }

    /// Members of a fleet come and go; those of whom nothing is kept leave the store, too. `new` is about to be needed.
    fn forget_origins(&mut self, new: u32) -> Result<(), redb::Error> {
        let mut used = waived_origins(self.transaction)?;
        used.insert(new);
        for entry in self.bans.iter()? {
            let (key, _) = entry?;
            used.extend(record::parse_key(key.value()).map(|(_, number)| number));
        }
        for (number, name) in read_origins(&self.origins)? {
            let is_member = matches!(BanOrigin::from_name(&name), BanOrigin::Fleet(_));
            if is_member && !used.contains(&number) {
                self.origins.remove(number)?;
            }
        }
        // Read again when it is needed.
        self.numbers = None;
        Ok(())
    }

    /// Adds a ban of the origin with this number. The longer of two holds.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn add(
        &mut self,
        prefix: Prefix,
        origin: u32,
        term: BanTerm,
        reason: &str,
    ) -> Result<Added, redb::Error> {
        let key = record::key(prefix, origin);
        let end = BanEnd::after(term, &self.now);
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
    pub fn end(&self, prefix: Prefix, origin: u32) -> Result<Option<BanEnd>, redb::Error> {
        let key = record::key(prefix, origin);
        let found = self.bans.get(key.as_slice())?;
        Ok(found
            .map(|value| record::end(value.value()))
            .filter(|end| !end.is_over(&self.now)))
    }

    /// Who has banned exactly this prefix, of the bans that hold.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn origins_of(&self, prefix: Prefix) -> Result<Vec<BanOrigin>, redb::Error> {
        let names = read_origins(&self.origins)?;
        let bans = self.of(prefix)?.into_iter();
        Ok(bans
            .filter_map(|(number, _)| names.get(&number))
            .map(|name| BanOrigin::from_name(name))
            .collect())
    }

    /// The bans of exactly this prefix that hold: origin and end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn of(&self, prefix: Prefix) -> Result<Vec<(u32, BanEnd)>, redb::Error> {
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
    pub fn around(&self, prefix: Prefix) -> Result<Vec<(Prefix, BanEnd)>, redb::Error> {
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
    pub fn all(&self) -> Result<Vec<(Prefix, BanEnd)>, redb::Error> {
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

    /// Boot times of another boot become those of this one; what is left follows from the wall clock.
    pub(super) fn rebase(&mut self) -> Result<(), redb::Error> {
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

pub(super) fn read_origins(
    table: &impl ReadableTable<u32, &'static str>,
) -> Result<BTreeMap<u32, String>, redb::Error> {
    let mut origins = BTreeMap::new();
    for entry in table.iter()? {
        let (number, name) = entry?;
        origins.insert(number.value(), name.value().to_owned());
    }
    Ok(origins)
}

fn read_numbers(
    meta: &impl ReadableTable<&'static str, &'static str>,
    key: &str,
) -> Result<Vec<u64>, redb::Error> {
    let text = meta.get(key)?;
    Ok(text.map_or_else(Vec::new, |text| {
        let words = text.value().split(' ');
        words.filter_map(|word| word.parse().ok()).collect()
    }))
}

pub(super) fn read_counts(
    meta: &impl ReadableTable<&'static str, &'static str>,
) -> Result<BanCounts, redb::Error> {
    let numbers = read_numbers(meta, "counts")?;
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    Ok(BanCounts {
        ipv4: number(0),
        ipv6: number(1),
        cidrs: number(2),
    })
}
