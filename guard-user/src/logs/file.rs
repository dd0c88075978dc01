//! Files that are followed: every line once, through renaming, copying and truncating, deleting,
//! symbolic links that change, and restarts. The caller waits (for `fd`, and for `POLL` in any
//! case), calls `read`, and saves the checkpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Line,
    checkpoint::{Checkpoint, Id, id, is_rotated_name},
    line::{LineCounts, MAX_LINE_BYTES},
    open::{CHUNK_BYTES, Open, Progress, open},
    watch::Watch,
};

/// Names are looked at so often although nothing was heard: overlay and network file systems tell
/// nothing of what others do.
pub const POLL: Duration = Duration::from_secs(2);
/// A file that was replaced is read on until it has been quiet for so long: who writes a log may
/// notice the rotation late.
const LINGER_MS: i64 = 60_000;
/// Files that are followed at once.
const MOST_FILES: usize = 1024;
/// Files that are remembered after they were given up.
const MOST_KNOWN: usize = 1024;

/// Where to begin in a file of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With everything.
    Beginning,
    /// With what is written from now on.
    End,
    /// With so many bytes before the end, at a whole line.
    LastBytes(u64),
}

/// How it is with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is read.
    Followed,
    /// It was renamed, replaced or deleted; what may still be written to it is read.
    Former,
    /// No file has this name or pattern. It is read as soon as there is one.
    Missing,
    /// It cannot be read, and why.
    Unreadable(String),
}

/// A set of files that are followed.
#[derive(Debug)]
pub struct Files {
    patterns: Vec<String>,
    watch: Watch,
    opens: Vec<Open>,
    /// Where reading of other files stopped: saved ones, and those that were given up.
    known: Vec<Checkpoint>,
    /// Names under which something was read, now or before the restart.
    seen: BTreeSet<PathBuf>,
    unreadable: BTreeMap<PathBuf, String>,
    missing: BTreeSet<String>,
    dirty: BTreeSet<Id>,
    counts: LineCounts,
    truncations: u64,
    looked_ms: Option<i64>,
    /// Bytes of a line that are handed on.
    longest: usize,
    buffer: Vec<u8>,
}

/// Is there more to read right now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Call again at once.
    More,
    /// Wait.
    Nothing,
}

impl Files {
    /// Follows the files that these names and patterns mean, now and later.
    #[must_use]
    pub fn new(patterns: &[String], saved: Vec<Checkpoint>, start: Start, now_ms: i64) -> Self {
        Self::with(Watch::new(), patterns, saved, start, now_ms)
    }

    fn with(
        watch: Watch,
        patterns: &[String],
        saved: Vec<Checkpoint>,
        start: Start,
        now_ms: i64,
    ) -> Self {
        let mut files = Self {
            patterns: patterns.to_vec(),
            watch,
            opens: Vec::new(),
            seen: saved.iter().map(|mark| mark.path.clone()).collect(),
            known: saved,
            unreadable: BTreeMap::new(),
            missing: BTreeSet::new(),
            dirty: BTreeSet::new(),
            counts: LineCounts::default(),
            truncations: 0,
            looked_ms: None,
            longest: MAX_LINE_BYTES,
            buffer: vec![0; CHUNK_BYTES],
        };
        files.reopen_rotated(now_ms);
        files.look(Some(start), now_ms);
        files
    }

    /// Lines of up to so many bytes are handed on whole, in files that are opened from now on and in those
    /// that nothing was read of.
    pub fn set_longest(&mut self, bytes: usize) {
        self.longest = bytes;
        for open in &mut self.opens {
            open.set_longest(bytes);
        }
    }

    /// Follows other files from now on. Those that are no longer meant are read until they are quiet.
    pub fn set_patterns(&mut self, patterns: &[String]) {
        self.patterns = patterns.to_vec();
        self.looked_ms = None;
    }

    /// Readable when there may be something to read; none if only polling is possible.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.fd()
    }

    /// Hands on the lines that came, of `most` bytes or a little more. `now_ms` is in milliseconds of a
    /// clock that only goes forward.
    pub fn read(
        &mut self,
        now_ms: i64,
        most: usize,
        each: &mut dyn FnMut(&Path, Line<'_>),
    ) -> Rest {
        let events = self.watch.events();
        self.dirty.extend(events.grown);
        let poll = i64::try_from(POLL.as_millis()).unwrap_or(i64::MAX);
        let is_due = self
            .looked_ms
            .is_none_or(|last| now_ms.saturating_sub(last) >= poll);
        if events.is_moved || events.is_overflown || is_due {
            self.dirty.extend(self.opens.iter().map(|open| open.id));
            self.look(None, now_ms);
        }
        self.opens.iter_mut().for_each(Open::learn_head);
        let mut left = most;
        while left > 0
            && let Some(index) = self
                .opens
                .iter()
                .position(|open| self.dirty.contains(&open.id))
        {
            left = left.saturating_sub(CHUNK_BYTES);
            self.read_one(index, now_ms, each);
        }
        if self.dirty.is_empty() {
            self.give_up(now_ms);
            Rest::Nothing
        } else {
            Rest::More
        }
    }

    /// Where reading stopped, to be saved with what the lines led to.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        let opens = self.opens.iter();
        // A file that is not there today (a volume that is not mounted) may be back tomorrow.
        let is_read = |mark: &&Checkpoint| opens.clone().any(|open| open.path == mark.path);
        let absent = self.known.iter().filter(|mark| !is_read(mark)).cloned();
        opens.clone().map(Open::checkpoint).chain(absent).collect()
    }

    /// How it is with every file, pattern and failure.
    #[must_use]
    pub fn states(&self) -> Vec<(PathBuf, State)> {
        let mut last: BTreeMap<&Path, Id> = BTreeMap::new();
        for open in &self.opens {
            last.insert(&open.path, open.id);
        }
        let opens = self.opens.iter().map(|open| {
            let is_last = last.get(open.path.as_path()) == Some(&open.id);
            let is_there = fs::metadata(&open.path).is_ok_and(|found| id(&found) == open.id);
            let state = if is_last && is_there {
                State::Followed
            } else {
                State::Former
            };
            (open.path.clone(), state)
        });
        let unreadable = self.unreadable.iter();
        let missing = self
            .missing
            .iter()
            .map(|name| (PathBuf::from(name), State::Missing));
        opens
            .chain(unreadable.map(|(path, why)| (path.clone(), State::Unreadable(why.clone()))))
            .chain(missing)
            .collect()
    }

    /// What happened to the lines.
    #[must_use]
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Bytes that are there and were not read yet.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let opens = self.opens.iter();
        opens
            .map(|open| {
                let length = open.file().metadata().map_or(0, |found| found.len());
                length.saturating_sub(open.checkpoint().offset)
            })
            .sum()
    }

    /// How often a file was truncated.
    #[must_use]
    pub fn truncations(&self) -> u64 {
        self.truncations
    }

    /// Files and folders that the kernel did not want to watch; they are polled.
    #[must_use]
    pub fn polled(&self) -> usize {
        self.watch.refused()
    }

    fn read_one(&mut self, index: usize, now_ms: i64, each: &mut dyn FnMut(&Path, Line<'_>)) {
        let file = &mut self.opens[index];
        match file.read(&mut self.buffer, now_ms, &mut self.counts, each) {
            Ok(Progress::More) => {}
            Ok(Progress::End) => {
                self.dirty.remove(&file.id);
            }
            Ok(Progress::Truncated(before)) => {
                self.truncations += 1;
                self.remember(before.clone());
                self.open_rotated(&before, now_ms);
            }
            Err(error) => {
                let (path, id) = (file.path.clone(), file.id);
                self.unreadable.insert(path, error.to_string());
                self.dirty.remove(&id);
            }
        }
    }

    /// Which files do the names mean now?
    fn look(&mut self, start: Option<Start>, now_ms: i64) {
        self.looked_ms = Some(now_ms);
        self.missing.clear();
        let mut found: BTreeMap<Id, PathBuf> = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        for pattern in &self.patterns {
            if let Some(folder) = Path::new(pattern).parent() {
                for folder in paths(&folder.to_string_lossy()) {
                    self.watch.folder(&folder);
                }
            }
            let mut is_there = false;
            for path in paths(pattern) {
                is_there = true;
                match fs::metadata(&path) {
                    Ok(_) if found.len() >= MOST_FILES => {
                        let why = format!("more than {MOST_FILES} files are followed already");
                        unreadable.insert(path, why);
                    }
                    // The first of two names for one file.
                    Ok(metadata) => {
                        found.entry(id(&metadata)).or_insert(path);
                    }
                    Err(error) => {
                        unreadable.insert(path, error.to_string());
                    }
                }
            }
            if !is_there {
                self.missing.insert(pattern.clone());
            }
        }
        for open in &mut self.opens {
            if let Some(path) = found.remove(&open.id) {
                open.path = path;
            }
        }
        for path in found.into_values() {
            if let Err(error) = self.begin(path.clone(), start, now_ms) {
                unreadable.insert(path, error.to_string());
            }
        }
        self.unreadable = unreadable;
    }

    /// Opens a file that was not there before.
    fn begin(&mut self, path: PathBuf, start: Option<Start>, now_ms: i64) -> std::io::Result<()> {
        let file = open(&path)?;
        let metadata = file.metadata()?;
        if self.opens.iter().any(|other| other.id == id(&metadata)) {
            return Ok(());
        }
        let known = self
            .known
            .iter()
            .position(|mark| mark.is_of(&file, &metadata));
        let is_copy =
            |mark: &Checkpoint| mark.is_of_copy(&path, &file, &metadata) && mark.path != path;
        let offset = if let Some(index) = known {
            self.known.swap_remove(index).offset
        } else if let Some(mark) = self.known.iter().find(|mark| is_copy(mark)) {
            mark.offset
        } else if self
            .opens
            .iter()
            .any(|open| open.is_copied_by(&path, &file))
        {
            // A copy in the making, of a file that is truncated next. Until then its lines are read in
            // that file, and the truncation says where to go on here. It is asked about again.
            return Ok(());
        } else if self.seen.contains(&path) {
            // The one before was read: this has come since.
            0
        } else {
            match start {
                None | Some(Start::Beginning) => 0,
                Some(Start::End) => metadata.len(),
                Some(Start::LastBytes(bytes)) => metadata.len().saturating_sub(bytes),
            }
        };
        self.seen.insert(path.clone());
        self.follow(Open::new(path, file, offset, self.longest, now_ms)?);
        Ok(())
    }

    fn follow(&mut self, open: Open) {
        self.watch.file(open.id, open.file());
        self.dirty.insert(open.id);
        self.opens.push(open);
    }

    /// Files that were read before the restart and have another name since.
    fn reopen_rotated(&mut self, now_ms: i64) {
        for mark in self.known.clone() {
            let is_there = open(&mark.path).is_ok_and(|file| {
                let metadata = file.metadata();
                metadata.is_ok_and(|metadata| mark.is_of(&file, &metadata))
            });
            if !is_there {
                self.open_rotated(&mark, now_ms);
            }
        }
    }

    /// Goes on in what a rotation made of a file: the file under its new name, or a copy of it.
    fn open_rotated(&mut self, mark: &Checkpoint, now_ms: i64) {
        let Some(entries) = mark
            .path
            .parent()
            .and_then(|folder| fs::read_dir(folder).ok())
        else {
            return;
        };
        let mut copy = None;
        for entry in entries.flatten() {
            let path = entry.path();
            if !is_rotated_name(&mark.path, &path) {
                continue;
            }
            let Ok(file) = open(&path) else { continue };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            if mark.is_of(&file, &metadata) {
                copy = Some((file, id(&metadata)));
                break;
            }
            if path != mark.path && mark.is_of_copy(&path, &file, &metadata) {
                copy = Some((file, id(&metadata)));
            }
        }
        let Some((file, id)) = copy else { return };
        // The copy may have been found by a pattern already, and waits at its end.
        self.drop_open(id);
        let Ok(open) = Open::new(mark.path.clone(), file, mark.offset, self.longest, now_ms) else {
            return;
        };
        self.known.retain(|other| other != mark);
        self.follow(open);
        // What is older comes first.
        self.opens.rotate_right(1);
    }

    /// Closes files that nobody can mean any more.
    fn give_up(&mut self, now_ms: i64) {
        let quiet: Vec<Id> = self
            .opens
            .iter()
            .filter(|open| now_ms.saturating_sub(open.last_ms) >= LINGER_MS)
            .filter(|open| {
                let there = fs::metadata(&open.path).map(|metadata| id(&metadata));
                match there {
                    Ok(there) => there != open.id || !self.is_meant(&open.path),
                    Err(_) => open.is_deleted(),
                }
            })
            .map(|open| open.id)
            .collect();
        for id in quiet {
            if let Some(mark) = self.drop_open(id) {
                self.remember(mark);
            }
        }
    }

    /// Does one of the patterns mean this name?
    fn is_meant(&self, path: &Path) -> bool {
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        self.patterns.iter().any(|pattern| {
            Path::new(pattern) == path
                || glob::Pattern::new(pattern)
                    .is_ok_and(|pattern| pattern.matches_path_with(path, options))
        })
    }

    fn drop_open(&mut self, id: Id) -> Option<Checkpoint> {
        let index = self.opens.iter().position(|open| open.id == id)?;
        let mut open = self.opens.remove(index);
        let mark = open.checkpoint();
        self.counts.add(open.close());
        self.watch.forget(id);
        self.dirty.remove(&id);
        Some(mark)
    }

    fn remember(&mut self, mark: Checkpoint) {
        if self.known.len() >= MOST_KNOWN {
            self.known.remove(0);
        }
        self.known.push(mark);
    }
}

/// What a name or pattern means, in the order of names.
fn paths(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        let path = PathBuf::from(pattern);
        // A link to nothing is no file yet.
        return if path.exists() {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let Ok(found) = glob::glob(pattern) else {
        return Vec::new();
    };
    found.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests;
