//! The journal, read once for all jails that want some of it.

use std::path::Path;

use super::{marks::Marks, running::Running};
use crate::{
    controller::JailBan,
    jails::Past,
    logs::{
        JournalReader, Matches, Rest,
        journal::{From, Position, State},
    },
};

/// Bytes that are read before it is the turn of files.
const BUDGET: usize = 256 * 1024;
/// Entries that are read again after a restart, at most.
const MOST_AGAIN: u64 = 50_000;

/// The journal, while a jail reads it.
#[derive(Debug)]
pub(super) struct SharedJournal {
    journal: JournalReader,
    matches: Vec<Matches>,
    marks: Marks<Position>,
    /// Since when there has been more to read than was read.
    pub(super) behind_since: Option<i64>,
}

impl SharedJournal {
    /// Begins where reading stopped, else with what was written within the window.
    pub(super) fn new(
        program: &Path,
        matches: Vec<Matches>,
        stopped: Option<Position>,
        window_ms: i64,
        wall_ms: i64,
    ) -> Self {
        let from = match stopped {
            Some(position) => From::Behind(position),
            None => From::Since((wall_ms - window_ms) / 1000),
        };
        Self {
            journal: JournalReader::new(program, matches.clone(), from),
            matches,
            marks: Marks::new(window_ms, MOST_AGAIN),
            behind_since: None,
        }
    }

    /// Does it read what these mean?
    pub(super) fn is_for(&self, matches: &[Matches]) -> bool {
        self.matches == matches
    }

    pub(super) fn journal(&self) -> &JournalReader {
        &self.journal
    }

    /// Where to go on without a restart.
    pub(super) fn position(&self) -> Option<Position> {
        self.journal.position().cloned()
    }

    /// Where to begin again after a restart.
    pub(super) fn place(&self) -> Option<Position> {
        self.marks.oldest().cloned().or_else(|| self.position())
    }

    /// Reads what came, for each jail that wants it.
    pub(super) fn read(
        &mut self,
        now_ms: i64,
        jails: &mut [Running],
        past: &mut Past,
        asked: &mut Vec<JailBan>,
    ) -> Rest {
        let rest = self.journal.read(now_ms, BUDGET, &mut |entry| {
            for jail in jails.iter_mut() {
                jail.entry(entry, now_ms, past, asked);
            }
        });
        self.behind_since = match rest {
            Rest::Nothing => None,
            Rest::More => self.behind_since.or(Some(now_ms)),
        };
        if let Some(position) = self.journal.position() {
            let read = self.journal.counts().entries;
            self.marks.note(now_ms, read, || position.clone());
        }
        rest
    }

    /// How it is, in words; is it read?
    pub(super) fn state(&self) -> (bool, String) {
        let suppressed = self.journal.counts().suppressed;
        match self.journal.state() {
            State::Followed if suppressed > 0 => (
                true,
                format!(
                    "followed; journald itself dropped {suppressed} messages (RateLimitBurst=)"
                ),
            ),
            State::Followed => (true, "followed".to_owned()),
            State::Absent => (false, "there is no journalctl here".to_owned()),
            State::Ended(why) => (false, format!("journalctl ended, and is restarted: {why}")),
        }
    }
}
