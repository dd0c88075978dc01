//! Reading files without trusting them: bounded, never blocking, and with an overlay for text that
//! is not on disk yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Largest policy file.
const MAX_POLICY_BYTES: u64 = 16 << 20;
/// Largest file of a set.
const MAX_SET_BYTES: u64 = 64 << 20;

/// Largest database of countries or networks: the largest of MaxMind's, of cities, has half of it.
const MAX_DATABASE_BYTES: u64 = 256 << 20;

/// Largest file of application profiles.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// Largest file of another firewall.
const MAX_IMPORT_BYTES: u64 = 16 << 20;

/// What a file is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Policy,
    Set,
    Database,
    Profiles,
    Import,
}

/// Texts that stand in for files, for an edit that is checked before it is written.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    texts: BTreeMap<PathBuf, String>,
    hidden: BTreeSet<PathBuf>,
}

impl Overlay {
    /// Lets `text` stand in for the file at `path`.
    pub fn insert(&mut self, path: PathBuf, text: String) {
        self.texts.insert(path, text);
    }

    /// Lets the file at `path` count as not there.
    pub fn hide(&mut self, path: PathBuf) {
        self.hidden.insert(path);
    }

    /// Does the file count as not there?
    pub(crate) fn hides(&self, path: &Path) -> bool {
        self.hidden.contains(path)
    }

    /// The text that stands in for the file at `path`.
    pub(crate) fn text(&self, path: &Path) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Paths of the texts.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.texts.keys()
    }

    /// Bytes of the file, `None` when it does not exist. The error says what is wrong with it.
    pub(crate) fn read(
        &self,
        path: &Path,
        purpose: Purpose,
    ) -> Result<Option<Vec<u8>>, Unreadable> {
        if let Some(text) = self.texts.get(path) {
            return Ok(Some(text.clone().into_bytes()));
        }
        if self.hides(path) {
            return Ok(None);
        }
        let limit = match purpose {
            Purpose::Policy => MAX_POLICY_BYTES,
            Purpose::Set => MAX_SET_BYTES,
            Purpose::Database => MAX_DATABASE_BYTES,
            Purpose::Profiles => MAX_PROFILE_BYTES,
            Purpose::Import => MAX_IMPORT_BYTES,
        };
        match read_bounded(path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Unreadable::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                match path.symlink_metadata() {
                    Ok(_) => Err(Unreadable::DanglingLink),
                    Err(_) => Ok(None),
                }
            }
            Err(unreadable) => Err(unreadable),
        }
    }
}

/// What is wrong with a file; its path stands before it.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is a symbolic link to nothing")]
    DanglingLink,
    #[error("is a directory, not a file")]
    Directory,
    #[error("is not a regular file")]
    Special,
    /// It has more than so many bytes.
    #[error("is larger than {} MiB", .0 >> 20)]
    TooLong(u64),
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(Unreadable::Directory);
    }
    if !metadata.is_file() {
        return Err(Unreadable::Special);
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::TooLong(limit));
    }
    Ok(bytes)
}
