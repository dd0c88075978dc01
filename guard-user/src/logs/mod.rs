//! Logs: the lines of files that are rotated, truncated and replaced, and those of the journal. What
//! a line means is a matter of `filters`.

mod checkpoint;
pub mod docker;
mod entry;
mod export;
pub mod file;
pub mod journal;
mod line;
pub mod matches;
mod open;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;

pub use checkpoint::Checkpoint;
pub use entry::JournalEntry;
pub use file::{Files, Rest, Start, State};
pub use journal::JournalReader;
pub use line::{LineCounts, MAX_LINE_BYTES};
pub use matches::Matches;

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'l> {
    /// Its bytes as they are, without the line feed; NUL, CR and broken UTF-8 included.
    pub bytes: &'l [u8],
    /// Was it written while nobody read? Then its time says when; else it was written just now.
    pub is_caught_up: bool,
}
