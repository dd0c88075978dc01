//! Policies that were in force: their files, when, by which command, and what became of them. Plain
//! files, one for each, the last twenty.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    Applied, Controller, bad_configuration,
    journal::Journal,
    texts::{remove, stage_failure},
};
use crate::{
    failure::{Exit, Failure},
    layout::Layout,
    ruleset::{
        Overlay,
        source::{DROP_IN_FOLDER, Loaded, MAIN_FILE},
        staged::write_atomically,
    },
};

/// How many entries are kept.
pub const KEPT: usize = 20;

/// A policy that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the entry, from 1, never used again.
    pub number: u32,
    /// When it came into force, in seconds since 1970.
    pub time: u64,
    /// Its generation.
    pub generation: u32,
    /// The command that made it.
    pub command: String,
    /// What became of it.
    pub outcome: Outcome,
    /// `deny`, `allow` or `monitor`.
    pub default: String,
    /// The interfaces that it protected.
    pub interfaces: Vec<String>,
    /// Number of rules.
    pub rules: usize,
    /// Digest of its files, sets included.
    pub digest: u64,
    /// Its policy files. The files of sets are not among them.
    pub files: Vec<PolicyText>,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It needed no confirmation.
    Applied,
    /// It waits for one.
    Pending,
    /// It was confirmed.
    Confirmed,
    /// Nobody confirmed it in time.
    NotConfirmed,
    /// It was taken back.
    RolledBack,
}

/// Text of one policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// `guard.toml` or `guard.d/NAME.toml`, below the folder of the policy.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Outcome {
    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "PENDING",
            Self::Confirmed => "confirmed",
            Self::NotConfirmed => "not confirmed",
            Self::RolledBack => "rolled back",
        }
    }

    /// Was it the policy that the files say?
    #[must_use]
    pub fn was_settled(self) -> bool {
        match self {
            Self::Applied | Self::Confirmed => true,
            Self::Pending | Self::NotConfirmed | Self::RolledBack => false,
        }
    }
}

impl Entry {
    fn new(journal: &Journal, number: u32, outcome: Outcome) -> Self {
        let Applied {
            generation,
            default,
            interfaces,
            rules,
        } = &journal.applied;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            number,
            time: since_1970.map_or(0, |time| time.as_secs()),
            generation: *generation,
            command: journal.command.clone(),
            outcome,
            default: default.clone(),
            interfaces: interfaces.clone(),
            rules: rules.len(),
            digest: journal.digest,
            files: journal.files.clone(),
        }
    }

    /// When it came into force, as `2026-11-21T11:48:01Z`.
    #[must_use]
    pub fn when(&self) -> String {
        // The year 9999 is the last one that this notation has.
        let seconds = self.time.min(253_402_300_799);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        humantime::format_rfc3339_seconds(time).to_string()
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.digest, &self.interfaces) == (other.digest, &other.interfaces)
    }

    fn write(&self, layout: &Layout) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let path = layout.history().join(format!("{:06}.json", self.number));
        write_atomically(&path, &text).map_err(|error| stage_failure(&error))
    }
}

/// Every entry that can be read, newest first.
pub(super) fn entries(layout: &Layout) -> Vec<Entry> {
    let Ok(folder) = fs::read_dir(layout.history()) else {
        return Vec::new();
    };
    let mut entries: Vec<Entry> = folder
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
        .collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.number));
    entries
}

/// Notes that this policy came into force. One that is just like the last is not noted again.
pub(super) fn record(layout: &Layout, journal: &Journal, outcome: Outcome) -> Result<(), Failure> {
    let known = entries(layout);
    let number = known.first().map_or(1, |newest| newest.number + 1);
    let mut entry = Entry::new(journal, number, outcome);
    if let Some(newest) = known.first()
        && newest.outcome.was_settled()
        && outcome.was_settled()
        && newest.is_like(&entry)
    {
        entry = Entry {
            generation: entry.generation,
            ..newest.clone()
        };
    }
    entry.write(layout)?;
    for old in known.iter().skip(KEPT - 1) {
        if old.number != entry.number {
            remove(&layout.history().join(format!("{:06}.json", old.number)))?;
        }
    }
    Ok(())
}

/// Notes what became of the policy that waited for its confirmation.
pub(super) fn conclude(layout: &Layout, outcome: Outcome) -> Result<(), Failure> {
    let newest = entries(layout).into_iter().next();
    let is_open = |entry: &Entry| match entry.outcome {
        Outcome::Pending => true,
        // By a command that was killed before it did what it had noted.
        Outcome::RolledBack => outcome == Outcome::Confirmed,
        Outcome::Applied | Outcome::Confirmed | Outcome::NotConfirmed => false,
    };
    match newest.filter(is_open) {
        Some(entry) => Entry { outcome, ..entry }.write(layout),
        None => Ok(()),
    }
}

/// The policy files of a policy.
pub(super) fn texts(etc: &Path, loaded: &Loaded) -> Vec<PolicyText> {
    let exists = |path: &Path| loaded.files.iter().any(|file| file == path);
    loaded
        .documents
        .iter()
        .filter(|document| exists(&document.path))
        .map(|document| PolicyText {
            name: document
                .path
                .strip_prefix(etc)
                .unwrap_or(&document.path)
                .display()
                .to_string(),
            text: document.text.clone(),
        })
        .collect()
}

impl Controller {
    /// Policies that were in force, newest first.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        entries(&self.layout)
    }

    /// An entry by its number.
    ///
    /// # Errors
    /// Exit 6 when there is no such entry.
    pub fn entry(&self, number: u32) -> Result<Entry, Failure> {
        let known = entries(&self.layout);
        known
            .iter()
            .find(|entry| entry.number == number)
            .cloned()
            .ok_or_else(|| {
                let range = match (known.last(), known.first()) {
                    (Some(oldest), Some(newest)) => {
                        format!("there are {} to {}", oldest.number, newest.number)
                    }
                    _ => "there is none yet".to_owned(),
                };
                Failure::new(
                    Exit::NotFound,
                    format!("history has no entry {number}: {range}"),
                )
                .help("`guardctl history` lists them")
            })
    }

    /// What these policy files mean, instead of those on disk. Files of sets are read from disk.
    pub(super) fn load_texts(&self, files: &[PolicyText]) -> Result<Loaded, Failure> {
        let etc = &self.layout.etc;
        let mut overlay = Overlay::default();
        overlay.hide(etc.join(MAIN_FILE));
        for file in fs::read_dir(etc.join(DROP_IN_FOLDER)).into_iter().flatten() {
            overlay.hide(
                file.map_err(|error| crate::failure::from_io(etc.display(), &error))?
                    .path(),
            );
        }
        for file in files {
            overlay.insert(etc.join(&file.name), file.text.clone());
        }
        let source = self.source().with_overlay(overlay);
        source.load().map_err(bad_configuration)
    }
}
