//! Feeds: files whose networks are banned as long as they stand in them. What is known of each, and
//! when a file is too broken to be believed.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    lines::Lines,
    rails::{Breadth, ShareError},
};

/// Of a hundred lines so many may be wrong; a file with more is one of another kind, or half written.
const MOST_WRONG_PERCENT: u64 = 10;

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    modified_ns: i128,
    size: u64,
    inode: u64,
}

impl Fingerprint {
    /// Of the file as it is.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(file: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(file)?;
        Ok(Self {
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
            size: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedError {
    /// From 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// What is known of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// How much of the world it might name when it was read.
    #[serde(default)]
    pub breadth: Breadth,
    /// The version of the file that was looked at last.
    pub fingerprint: Option<Fingerprint>,
    /// Networks that are banned because of it.
    pub entries: u64,
    /// Lines that cannot be used, those that name what is protected included.
    pub wrong: u64,
    /// The first of them.
    pub errors: Vec<FeedError>,
    /// When the networks that are banned were read, in seconds since 1970.
    pub read_at: Option<u64>,
    /// Why the networks of before are kept; `None` when the file is what is banned.
    pub kept_because: Option<String>,
}

impl FeedStatus {
    /// Of a feed that was never read.
    #[must_use]
    pub fn new(name: &str, file: &Path) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            breadth: Breadth::Usual,
            fingerprint: None,
            entries: 0,
            wrong: 0,
            errors: Vec::new(),
            read_at: None,
            kept_because: None,
        }
    }

    /// Seconds since the networks that are banned were read.
    #[must_use]
    pub fn age(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(now.as_secs().saturating_sub(self.read_at?))
    }
}

/// One line, for listings and the daemon.
impl fmt::Display for FeedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {} networks, {} lines not usable, ",
            self.name,
            self.file.display(),
            self.entries,
            self.wrong
        )?;
        if let Some(seconds) = self.age() {
            let age = humantime::format_duration(Duration::from_secs(seconds));
            write!(f, "read {age} ago, ")?;
        }
        match &self.kept_because {
            None if self.read_at.is_none() => f.write_str("not read yet"),
            None => f.write_str("current"),
            Some(why) => write!(f, "OLD SET KEPT: {why}"),
        }
    }
}

/// Why a file is not what the feed says: its networks of before are kept then.
#[derive(Debug, Error)]
pub enum NotBelieved {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    NoRegularFile,
    /// It named something before.
    #[error("it names nothing, and named {entries_before} networks before")]
    Empty {
        /// How many.
        entries_before: u64,
    },
    /// Too many of its lines are wrong.
    #[error("{broken} of {said} lines cannot be used{first}")]
    Broken {
        /// How many.
        broken: u64,
        /// Lines that say something.
        said: u64,
        /// The first wrong one, or nothing.
        first: String,
    },
    /// More than the tables have room for.
    #[error("it names more than {most} {what}, all that [bans] has room for")]
    TooMany {
        /// The room.
        most: u32,
        /// Of what.
        what: &'static str,
    },
    /// Too large a part of the world.
    #[error("{0} (`wide = true` below [[feed]] takes it all the same)")]
    TooWide(#[from] ShareError),
}

/// Opens a file that a feed names.
///
/// # Errors
/// Why it cannot be read, in words: the networks of before are kept then.
pub fn open(file: &Path) -> Result<File, NotBelieved> {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)?;
    if !file.metadata()?.is_file() {
        return Err(NotBelieved::NoRegularFile);
    }
    Ok(file)
}

/// Is this what the feed says, or is the file broken?
///
/// # Errors
/// Why it cannot be believed, in words.
pub fn believe(lines: &Lines, entries_before: u64) -> Result<(), NotBelieved> {
    let said = lines.said();
    let broken = (lines.wrong_count - lines.protected) as u64;
    if said == broken && entries_before > 0 {
        return Err(NotBelieved::Empty { entries_before });
    }
    if broken * 100 > said * MOST_WRONG_PERCENT {
        let first = lines.wrong.first();
        let first = first.map_or_else(String::new, |wrong| {
            format!("; line {}: {}", wrong.line, wrong.message)
        });
        return Err(NotBelieved::Broken {
            broken,
            said,
            first,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bans::lines::ListEntry;

    fn read(text: &str) -> Lines {
        let mut take = |_: ListEntry<'_>| Ok::<_, std::convert::Infallible>(None);
        Lines::read(text.as_bytes(), &mut take).expect("bytes")
    }

    #[test]
    fn a_broken_file_is_not_believed() {
        let good = "192.0.2.1\n".repeat(90);
        for (text, before, is_believed) in [
            (good.clone(), 0, true),
            (format!("{good}{}", "x\n".repeat(10)), 0, true),
            (format!("{good}{}", "x\n".repeat(11)), 0, false),
            ("<html>\n".to_owned(), 0, false),
            ("# nothing today\n".to_owned(), 0, true),
            ("# nothing today\n".to_owned(), 1, false),
            (String::new(), 7, false),
        ] {
            let believed = believe(&read(&text), before);
            assert_eq!(believed.is_ok(), is_believed, "{text:.40} {before}");
        }
        let why = believe(&read("<html>"), 0).expect_err("broken").to_string();
        assert!(why.contains("1 of 1") && why.contains("line 1"), "{why}");
    }
}
