//! How it is with the jails, as the daemon tells it.

use serde::{Deserialize, Serialize};

/// Files of one jail that are listed; the rest is a number. Reports of all jails must fit an answer.
pub const MOST_FILES: usize = 8;

/// All jails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailsReport {
    /// Those that are enabled, by name.
    pub jails: Vec<JailReport>,
    /// The journal, if a jail reads it.
    pub journal: Option<SourceReport>,
    /// What keeps bans of jails from being made or remembered, if anything does.
    pub problems: Vec<String>,
}

/// One jail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailReport {
    /// Its name.
    pub name: String,
    /// Why it does not work, if it does not.
    pub broken: Option<String>,
    /// The file of its filter.
    pub filter: String,
    /// Its files.
    pub files: Vec<SourceReport>,
    /// Files that are not listed, because there are too many.
    pub more_files: u32,
    /// Does it read the journal?
    pub reads_journal: bool,
    /// What happened since the daemon began.
    pub counts: JailCounts,
    /// How long its logs have not been read to their end, in milliseconds: no line waits longer.
    pub lag_ms: u64,
    /// Bytes of its files that are not read yet.
    pub behind_bytes: u64,
}

/// A file, or the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Name or pattern; `journal`.
    pub name: String,
    /// Is it read?
    pub is_read: bool,
    /// What is the matter, in words.
    pub state: String,
}

/// Numbers of one jail since the daemon began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailCounts {
    /// Lines that were read.
    pub lines: u64,
    /// Lines that were too long, of which only the beginning counted.
    pub cut: u64,
    /// Lines given up after too many steps; they count as no match.
    pub too_long: u64,
    /// Failures.
    pub failures: u64,
    /// Sources that are suspected now.
    pub suspects: u64,
    /// Bans.
    pub bans: u64,
    /// Bans that were not made, because the source is protected.
    pub refused: u64,
    /// Failures that were too long ago.
    pub old: u64,
    /// Failures of sources that were banned already.
    pub banned: u64,
    /// Failures of sources that `ignoreip` or `ignoreself` spares.
    pub spared: u64,
    /// Failures of host names, which are never looked up.
    pub named: u64,
    /// Failures of networks that are too wide.
    pub too_wide: u64,
    /// Sources that were forgotten before their time, because too many others failed.
    pub pushed_out: u64,
}
