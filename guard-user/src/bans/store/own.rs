//! What this host's jails and operators banned and lifted, in order, for those who share it with other hosts. Only
//! written while somebody does.

use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition, TableError};

use super::{
    BANS, BanEnd, BanOrigin, META, Now, ORIGINS, Store,
    change::{Change, read_origins},
    record,
};
use crate::{bans::prefix::Prefix, database, failure::Failure};

/// Prefix, to the revision of its last change.
const OWN: TableDefinition<'_, &[u8], u64> = TableDefinition::new("own");
/// Revision, to the prefix that was changed.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("own-log");
/// Names in META: which store this is; the last revision; the one that the log begins after.
const EPOCH: &str = "own-epoch";
const REVISION: &str = "own-revision";
const BEGIN: &str = "own-begin";
/// Changes that are remembered; whoever knows less reads everything.
const MOST_LOGGED: u64 = 20_000;

/// A part of what was banned and lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPage {
    /// Which store this is.
    pub epoch: String,
    /// The state that the page leads to; of several pages of everything, the first one's counts.
    pub revision: u64,
    /// Is it a part of everything? Else of what changed.
    pub is_whole: bool,
    /// In order of prefix (everything) or of change.
    pub rows: Vec<OwnRow>,
    /// Where the next page of everything begins.
    pub next: Option<Prefix>,
    /// Is there more?
    pub has_more: bool,
}

/// A ban, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRow {
    /// What is banned.
    pub prefix: Prefix,
    /// The longest of the own bans of it.
    pub ban: Option<OwnEntry>,
}

/// The longest of the own bans of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnEntry {
    /// Until when.
    pub end: BanEnd,
    /// When it was made, in seconds since 1970: another ban of the same prefix has another.
    pub made: u64,
    /// Who.
    pub origin: BanOrigin,
    /// Why.
    pub reason: String,
}

impl Change<'_> {
    /// Notes that own bans of these prefixes were made or lifted.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn note_own(&mut self, prefixes: &[Prefix]) -> Result<u64, redb::Error> {
        let mut revision = self.own_revision()?;
        let epoch = self.text(EPOCH)?;
        if epoch.is_none() {
            let epoch = new_epoch(self.now());
            self.set_text(EPOCH, &epoch)?;
            self.set_text(BEGIN, &revision.to_string())?;
        }
        let mut own = self.transaction().open_table(OWN)?;
        let mut log = self.transaction().open_table(LOG)?;
        let mut begin = None;
        if prefixes.len() as u64 >= MOST_LOGGED {
            // Whoever follows reads everything.
            own.retain(|_, _| false)?;
            log.retain(|_, _| false)?;
            revision += 1;
            begin = Some(revision);
        } else {
            for prefix in prefixes {
                revision += 1;
                let key = prefix.to_bytes();
                let before = own.insert(key.as_slice(), revision)?;
                if let Some(before) = before.map(|before| before.value()) {
                    log.remove(before)?;
                }
                log.insert(revision, key.as_slice())?;
            }
            while log.len()? > MOST_LOGGED {
                let Some((first, key)) = log.pop_first()? else {
                    break;
                };
                begin = Some(first.value());
                let key = key.value().to_vec();
                own.remove(key.as_slice())?;
            }
        }
        drop((own, log));
        if let Some(begin) = begin {
            self.set_text(BEGIN, &begin.to_string())?;
        }
        self.set_text(REVISION, &revision.to_string())?;
        Ok(revision)
    }

    fn own_revision(&self) -> Result<u64, redb::Error> {
        Ok(self
            .text(REVISION)?
            .and_then(|text| text.parse().ok())
            .unwrap_or(0))
    }
}

impl Store {
    /// What was banned and lifted since a state that is known, at most `most` of it; everything, from `from` on, when
    /// that state is not known here.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn own(
        &self,
        now: &Now,
        since: Option<(&str, u64)>,
        from: Option<Prefix>,
        most: usize,
    ) -> Result<OwnPage, Failure> {
        if self.own_epoch()?.is_none() {
            self.change(now, |change| Ok(change.note_own(&[])?))?;
        }
        let read = || self.read_own(now, since, from, most);
        database::guarded(read).map_err(|error| self.failed(&error))
    }

    /// From here on it is another store: what it says of the time before is not what others were handed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn renew_own(&self, now: &Now) -> Result<(), Failure> {
        self.change(now, |change| {
            let epoch = new_epoch(now);
            Ok(change.set_text(EPOCH, &epoch)?)
        })
    }

    fn own_epoch(&self) -> Result<Option<String>, Failure> {
        let read = || -> Result<Option<String>, redb::Error> {
            let meta = self.database.begin_read()?.open_table(META)?;
            Ok(meta.get(EPOCH)?.map(|text| text.value().to_owned()))
        };
        database::guarded(read).map_err(|error| self.failed(&error))
    }

    fn read_own(
        &self,
        now: &Now,
        since: Option<(&str, u64)>,
        from: Option<Prefix>,
        most: usize,
    ) -> Result<OwnPage, redb::Error> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let text = |key| -> Result<String, redb::Error> {
            Ok(meta
                .get(key)?
                .map_or_else(String::new, |text| text.value().to_owned()))
        };
        let number = |key| Ok::<u64, redb::Error>(text(key)?.parse().unwrap_or(0));
        let (epoch, revision, begin) = (text(EPOCH)?, number(REVISION)?, number(BEGIN)?);
        let origins = read_origins(&transaction.open_table(ORIGINS)?)?;
        let bans = transaction.open_table(BANS)?;
        // Of the own bans of one prefix, the longest.
        let longest = |prefix: Prefix| -> Result<Option<OwnEntry>, redb::Error> {
            let mut found: Option<OwnEntry> = None;
            let (first, last) = (record::key(prefix, 0), record::key(prefix, u32::MAX));
            for entry in bans.range(first.as_slice()..=last.as_slice())? {
                let (key, value) = entry?;
                let Some(row) = record::read(key.value(), value.value(), &origins) else {
                    continue;
                };
                let is_longer = found.as_ref().is_none_or(|found| row.end > found.end);
                if row.origin.is_own() && !row.end.is_over(now) && is_longer {
                    found = Some(OwnEntry {
                        end: row.end,
                        made: row.made,
                        origin: row.origin,
                        reason: row.reason,
                    });
                }
            }
            Ok(found)
        };
        let mut page = OwnPage {
            epoch,
            revision,
            is_whole: true,
            rows: Vec::new(),
            next: None,
            has_more: false,
        };
        if from.is_none()
            && let Some((known, after)) = since
            && known == page.epoch
            && (begin..=revision).contains(&after)
        {
            page.is_whole = false;
            let log = match transaction.open_table(LOG) {
                Ok(log) => log,
                Err(TableError::TableDoesNotExist(_)) => return Ok(page),
                Err(error) => return Err(error.into()),
            };
            for entry in log.range(after + 1..)? {
                let (changed, key) = entry?;
                if page.rows.len() == most {
                    page.has_more = true;
                    break;
                }
                page.revision = changed.value();
                if let Some(prefix) = Prefix::from_bytes(key.value()) {
                    let ban = longest(prefix)?;
                    page.rows.push(OwnRow { prefix, ban });
                }
            }
            return Ok(page);
        }
        let first = from.map_or([0; 21], |from| record::key(from, 0));
        let own: Vec<u32> = origins
            .iter()
            .filter(|(_, name)| BanOrigin::from_name(name).is_own())
            .map(|(number, _)| *number)
            .collect();
        for entry in bans.range(first.as_slice()..)? {
            let (key, _) = entry?;
            let Some((prefix, origin)) = record::parse_key(key.value()) else {
                continue;
            };
            let is_known = page.rows.last().is_some_and(|row| row.prefix == prefix);
            if is_known || !own.contains(&origin) {
                continue;
            }
            if page.rows.len() == most {
                page.next = Some(prefix);
                page.has_more = true;
                break;
            }
            let ban = longest(prefix)?;
            if ban.is_some() {
                page.rows.push(OwnRow { prefix, ban });
            }
        }
        Ok(page)
    }
}

/// Another one for every store: two of one host within a millisecond are not made.
fn new_epoch(now: &Now) -> String {
    format!("{}-{}-{}", now.wall_s, now.boot_ms, std::process::id())
}
