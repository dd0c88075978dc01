//! How it is with the jails.

use std::time::Duration;

use crate::jails::FailureCounts;

/// Longest reason that is kept, in bytes: it is reported once a second.
pub(super) const LONGEST_REASON: usize = 200;

/// All jails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JailsStatus {
    /// Those that are enabled, by name.
    pub jails: Vec<JailStatus>,
    /// The journal, if a jail reads it.
    pub journal: Option<SourceStatus>,
    /// What keeps bans of jails from being made or remembered, if anything does.
    pub problems: Vec<String>,
}

/// One jail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JailStatus {
    /// Its name.
    pub name: String,
    /// Why it does not work, if it does not.
    pub broken: Option<String>,
    /// The file of its filter.
    pub filter: String,
    /// Its files, and containers that are not read.
    pub files: Vec<SourceStatus>,
    /// Does it read the journal?
    pub reads_journal: bool,
    /// What was read since the daemon began.
    pub lines: LineCounts,
    /// What became of failures since then.
    pub failures: FailureCounts,
    /// Bans that were not made, because the source is protected; they are among those of `failures`.
    pub refused: u64,
    /// How long its logs have not been read to their end: no line waits longer.
    pub lag: Duration,
    /// Bytes of its files that are not read yet.
    pub behind_bytes: u64,
}

/// Lines of one jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that were read.
    pub read: u64,
    /// Lines that were too long, of which only the beginning counted.
    pub cut: u64,
    /// Lines that took a pattern too many steps; they count as no match.
    pub too_long: u64,
}

/// A file, or the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Name or pattern; `journal`.
    pub name: String,
    /// Is it read?
    pub is_read: bool,
    /// What is the matter, in words.
    pub state: String,
}
