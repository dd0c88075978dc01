//! What jails remember over restarts: whom they banned, and where they were in the logs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};

use super::{clock::SavedClock, running::Places};
use crate::{
    bans::{Prefix, store::Now},
    database::{self, Care, DatabaseFault, Quarantine},
    failure::{Exit, Failure},
    jails::BanRecord,
    logs::journal::Position,
};

/// Prefix (17 bytes) and name of the jail; how often, since when and until when in ms of the steady clock.
const PAST: TableDefinition<'_, &[u8], (u32, i64, i64)> = TableDefinition::new("past");
/// Name of a jail; where it was in its files, as JSON.
const FILES: TableDefinition<'_, &str, &str> = TableDefinition::new("files");
/// The clock and the place in the journal, as JSON, and the version of all this.
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

const VERSION: &str = "1";
/// Bytes of a prefix in a key.
const PREFIX_BYTES: usize = 17;

/// The file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    /// None after it could not be written: the library wants it to be opened again.
    database: Option<Database>,
}

/// What was in it.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) clock: Option<SavedClock>,
    pub(super) past: Vec<(Prefix, BanRecord)>,
    pub(super) files: Vec<(String, Places)>,
    pub(super) journal: Option<Position>,
}

/// What to write.
#[derive(Debug, Default)]
pub(super) struct MemoryUpdate {
    /// Records that are new or changed.
    pub(super) past: Vec<(Prefix, BanRecord)>,
    /// Sources that nothing is remembered of any more.
    pub(super) forgotten: Vec<Prefix>,
    /// Places of every jail that reads files; no other's are kept.
    pub(super) files: Vec<(String, Places)>,
    pub(super) journal: Option<Position>,
}

impl Memory {
    /// Opens the file or makes one, and reads it. A file that is damaged, or of a version that is not
    /// known, is put aside; the text says so. Jails then count from nothing; bans are kept elsewhere.
    pub(super) fn open(
        path: &Path,
        now: &Now,
    ) -> Result<(Self, Remembered, Option<String>), Failure> {
        let ((database, remembered), aside) = opened(path, now)?;
        let memory = Self {
            path: path.to_owned(),
            database: Some(database),
        };
        let warning = aside.and_then(|file| file.aside);
        let warning = warning.map(|aside| quarantined(path, &aside));
        Ok((memory, remembered, warning))
    }

    /// Writes what is new, all of it or nothing. After an error everything is new. The text is what was
    /// to be said when the file was opened again.
    pub(super) fn save(
        &mut self,
        update: &MemoryUpdate,
        clock: &SavedClock,
        now: &Now,
    ) -> Result<Option<String>, Failure> {
        let mut warning = None;
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let ((database, _), aside) = opened(&self.path, now)?;
                let aside = aside.and_then(|file| file.aside);
                warning = aside.map(|aside| quarantined(&self.path, &aside));
                database
            }
        };
        match database::guarded(|| write(&database, update, clock)) {
            Ok(()) => {
                self.database = Some(database);
                Ok(warning)
            }
            Err(error) => {
                if database::is_damage(&error) {
                    database::suspect(&self.path);
                }
                Err(broken(&self.path, &error))
            }
        }
    }
}

fn opened(path: &Path, now: &Now) -> Result<((Database, Remembered), Option<Quarantine>), Failure> {
    let failed = |error: &dyn std::fmt::Display| broken(path, error);
    let take = |database| {
        let remembered = read(&database)?.ok_or(DatabaseFault::Version)?;
        Ok((database, remembered))
    };
    database::open(path, None, now.wall_s, Care::Much, failed, take)
}

/// None: it was written by another version.
fn read(database: &Database) -> Result<Option<Remembered>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let version = meta.get("version")?.map(|text| text.value().to_owned());
        match version.as_deref() {
            Some(VERSION) => {}
            Some(_) => return Ok(None),
            None => {
                meta.insert("version", VERSION)?;
            }
        }
        transaction.open_table(PAST)?;
        transaction.open_table(FILES)?;
    }
    transaction.commit()?;
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let mut remembered = Remembered {
        clock: parsed(&meta, "clock")?,
        journal: parsed(&meta, "journal")?,
        ..Remembered::default()
    };
    for entry in transaction.open_table(PAST)?.iter()? {
        let (key, value) = entry?;
        let (count, since_ms, until_ms) = value.value();
        let Some((prefix, jail)) = parse_key(key.value()) else {
            continue;
        };
        let record = BanRecord {
            jail: Arc::from(jail),
            count,
            since_ms,
            until_ms,
        };
        remembered.past.push((prefix, record));
    }
    for entry in transaction.open_table(FILES)?.iter()? {
        let (jail, text) = entry?;
        if let Ok(places) = serde_json::from_str(text.value()) {
            remembered.files.push((jail.value().to_owned(), places));
        }
    }
    Ok(Some(remembered))
}

fn write(
    database: &Database,
    update: &MemoryUpdate,
    clock: &SavedClock,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut past = transaction.open_table(PAST)?;
        for (prefix, record) in &update.past {
            let value = (record.count, record.since_ms, record.until_ms);
            past.insert(key(*prefix, &record.jail).as_slice(), value)?;
        }
        for prefix in &update.forgotten {
            let first = prefix.to_bytes();
            let of_source = |key: &[u8], _: (u32, i64, i64)| key.starts_with(&first);
            let end = [&first[..], &[u8::MAX; 65]].concat();
            for entry in past.extract_from_if(first.as_slice()..end.as_slice(), of_source)? {
                entry?;
            }
        }
        let mut files = transaction.open_table(FILES)?;
        files.retain(|jail, _| update.files.iter().any(|(kept, _)| kept == jail))?;
        for (jail, places) in &update.files {
            files.insert(jail.as_str(), json(places).as_str())?;
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert("clock", json(clock).as_str())?;
        if let Some(position) = &update.journal {
            meta.insert("journal", json(position).as_str())?;
        }
    }
    transaction.commit()?;
    Ok(())
}
fn key(prefix: Prefix, jail: &str) -> Vec<u8> {
    [&prefix.to_bytes()[..], jail.as_bytes()].concat()
}

fn parse_key(key: &[u8]) -> Option<(Prefix, &str)> {
    let (prefix, jail) = key.split_at_checked(PREFIX_BYTES)?;
    Some((Prefix::from_bytes(prefix)?, std::str::from_utf8(jail).ok()?))
}

/// What cannot be read is not there: the logs say the rest.
fn parsed<T: DeserializeOwned>(
    meta: &impl redb::ReadableTable<&'static str, &'static str>,
    name: &str,
) -> Result<Option<T>, redb::Error> {
    let text = meta.get(name)?;
    Ok(text.and_then(|text| serde_json::from_str(text.value()).ok()))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn quarantined(path: &Path, aside: &Path) -> String {
    format!(
        "{} could not be read and is now {}: jails start counting from zero; bans are kept elsewhere",
        path.display(),
        aside.display()
    )
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let message = format!("{}: what jails remember: {error}", path.display());
    Failure::new(Exit::Failed, message).help("is the disk full or read-only?")
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn now() -> Now {
        Now {
            boot_id: "one".to_owned(),
            boot_ms: 1000,
            wall_s: 1_700_000_000,
        }
    }

    fn saved() -> SavedClock {
        crate::detect::clock::Clock::from(None, &now()).saved(&now())
    }

    fn record(jail: &str, count: u32) -> BanRecord {
        BanRecord {
            jail: jail.into(),
            count,
            since_ms: -5,
            until_ms: i64::MAX,
        }
    }

    fn prefix(address: &str) -> Prefix {
        Prefix::single(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn what_is_saved_is_read_and_what_is_forgotten_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jails.redb");
        let (mut memory, remembered, warning) = Memory::open(&path, &now()).unwrap();
        assert!(remembered.past.is_empty() && remembered.clock.is_none() && warning.is_none());
        let position = Position {
            cursor: "s=1".to_owned(),
            time_us: 7,
        };
        let update = MemoryUpdate {
            past: vec![
                (prefix("203.0.113.7"), record("sshd", 2)),
                (prefix("203.0.113.7"), record("nginx", 1)),
                (prefix("203.0.113.8"), record("sshd", 1)),
                (prefix("2001:db8::1"), record("sshd", 3)),
            ],
            files: vec![("sshd".to_owned(), Places::default())],
            journal: Some(position.clone()),
            ..MemoryUpdate::default()
        };
        memory.save(&update, &saved(), &now()).unwrap();
        let forgotten = MemoryUpdate {
            forgotten: vec![prefix("203.0.113.7"), prefix("192.0.2.1")],
            past: vec![(prefix("203.0.113.8"), record("sshd", 9))],
            ..MemoryUpdate::default()
        };
        memory.save(&forgotten, &saved(), &now()).unwrap();
        drop(memory);

        let (_memory, mut remembered, warning) = Memory::open(&path, &now()).unwrap();
        remembered.past.sort_by_key(|(prefix, _)| *prefix);

        assert_eq!(warning, None);
        let mut expected = vec![
            (prefix("203.0.113.8"), record("sshd", 9)),
            (prefix("2001:db8::1"), record("sshd", 3)),
        ];
        expected.sort_by_key(|(prefix, _)| *prefix);
        assert_eq!(remembered.past, expected);
        assert_eq!(remembered.clock, Some(saved()));
        assert_eq!(remembered.journal, Some(position));
        assert!(remembered.files.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jails.redb");
        drop(Memory::open(&path, &now()).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let other_version = {
            let database = Database::create(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            let mut meta = transaction.open_table(META).unwrap();
            meta.insert("version", "99").unwrap();
            drop(meta);
            transaction.commit().unwrap();
            drop(database);
            std::fs::read(&path).unwrap()
        };
        let cases: [(&str, Vec<u8>); 5] = [
            ("zeroes", vec![0; whole.len()]),
            (
                "garbage",
                (0..whole.len()).map(|i| (i * 131 % 251) as u8).collect(),
            ),
            ("truncated", whole[..whole.len() / 3].to_vec()),
            ("text", b"[jail]\n".to_vec()),
            ("another version", other_version),
        ];
        for (what, bytes) in cases {
            std::fs::write(&path, &bytes).unwrap();
            let (mut memory, remembered, warning) = Memory::open(&path, &now()).unwrap();
            assert!(
                warning.is_some_and(|warning| warning.contains("damaged-")),
                "{what}"
            );
            assert!(remembered.past.is_empty(), "{what}");
            memory
                .save(&MemoryUpdate::default(), &saved(), &now())
                .unwrap();
        }
        let aside = std::fs::read_dir(folder.path()).unwrap().count() - 1;
        assert_eq!(aside, 5, "every file is kept");
    }

    #[test]
    fn a_damaged_page_costs_at_most_one_time_of_saving() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jails.redb");
        let (mut memory, ..) = Memory::open(&path, &now()).unwrap();
        let past = (0..500).map(|n| {
            (
                prefix(&format!("10.0.{}.{}", n / 250, n % 250)),
                record("sshd", n),
            )
        });
        let update = MemoryUpdate {
            past: past.collect(),
            ..MemoryUpdate::default()
        };
        memory.save(&update, &saved(), &now()).unwrap();
        drop(memory);
        let whole = std::fs::read(&path).unwrap();
        let mut noticed = 0;
        for at in (0..whole.len()).step_by(whole.len() / 60 + 1) {
            // While it is open, and before.
            for is_open in [false, true] {
                std::fs::write(&path, &whole).unwrap();
                let mut open = is_open.then(|| Memory::open(&path, &now()).unwrap().0);
                let mut bytes = std::fs::read(&path).unwrap();
                let end = (at + 5000).min(bytes.len());
                bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x55);
                std::fs::write(&path, &bytes).unwrap();
                if let Some(mut memory) = open.take()
                    && memory.save(&update, &saved(), &now()).is_err()
                {
                    memory.save(&update, &saved(), &now()).unwrap();
                }
                let (mut memory, remembered, warning) = Memory::open(&path, &now()).unwrap();
                let is_whole = remembered.past.len() == 500;
                assert!(is_whole || warning.is_some(), "byte {at}, {is_open}");
                noticed += usize::from(warning.is_some());
                memory.save(&update, &saved(), &now()).unwrap();
            }
        }
        assert!(noticed > 0, "nothing was noticed");
    }
}
