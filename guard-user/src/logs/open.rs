//! One open file: reads on from where it stopped, and notices that it was truncated.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    Line,
    checkpoint::{Checkpoint, FileHead, Id, id, is_rotated_name},
    line::{LineCounts, Splitter},
};

/// Bytes that are read at once.
pub(super) const CHUNK_BYTES: usize = 128 * 1024;

/// A file that is read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: PathBuf,
    pub(super) id: Id,
    file: File,
    head: FileHead,
    /// Bytes that were read.
    offset: u64,
    /// What stands before this was written while nobody read.
    caught_up_to: u64,
    /// The first line may have begun before `offset`, so it is none.
    skips_first: bool,
    splitter: Splitter,
    /// When something came last.
    pub(super) last_ms: i64,
}

/// What reading came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// There may be more.
    More,
    /// Everything is read.
    End,
    /// The file was truncated, and is read from its beginning now; what was read of it before ended here.
    Truncated(Checkpoint),
}

/// Opens a file for reading; a FIFO or a device would hang or never end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

impl Open {
    /// Goes on at `offset`. What the file holds now was written while nobody read: it may be of last
    /// year, whatever brought the file here.
    pub(super) fn new(
        path: PathBuf,
        file: File,
        offset: u64,
        longest: usize,
        now_ms: i64,
    ) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            id: id(&metadata),
            head: FileHead::of(&file, metadata.len())?,
            caught_up_to: metadata.len(),
            // Half a line is never handed on: what stands before `offset` must be a line feed.
            skips_first: offset > 0,
            offset: offset.saturating_sub(1),
            splitter: Splitter::of(longest),
            last_ms: now_ms,
            path,
            file,
        })
    }

    /// Before anything is read.
    pub(super) fn set_longest(&mut self, bytes: usize) {
        self.splitter = Splitter::of(bytes);
    }

    /// Learns how the file begins as soon as it says so, long before it is its turn to be read: else a file
    /// that was empty and is copied and truncated meanwhile could not be told from one that was not.
    pub(super) fn learn_head(&mut self) {
        if self.head.is_full() || !self.head.is_of(&self.file).unwrap_or(false) {
            return;
        }
        // What cannot be asked now is asked when it is read.
        let size = self.file.metadata().map_or(0, |found| found.len());
        if let Ok(head) = FileHead::of(&self.file, size) {
            self.head = head;
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where to go on after a restart. A line that is not whole is read again.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            path: self.path.clone(),
            device: self.id.0,
            inode: self.id.1,
            offset: self.offset - self.splitter.pending() + u64::from(self.skips_first),
            head: self.head,
        }
    }

    /// Is the other file a copy of this one, or the beginning of one?
    pub(super) fn is_copied_by(&self, path: &Path, other: &File) -> bool {
        let beginning = FileHead::of(other, u64::MAX);
        self.path != path
            && is_rotated_name(&self.path, path)
            && beginning.is_ok_and(|head| head.is_of(&self.file).unwrap_or(false))
    }

    /// Was it deleted?
    pub(super) fn is_deleted(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Nothing more will come. Says what happened to its lines.
    pub(super) fn close(&mut self) -> LineCounts {
        self.splitter.end();
        self.splitter.take_counts()
    }

    /// Reads one chunk.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        now_ms: i64,
        counts: &mut LineCounts,
        each: &mut dyn FnMut(&Path, Line<'_>),
    ) -> io::Result<Progress> {
        // What was written meanwhile is told apart from what is new.
        let old = self.caught_up_to.saturating_sub(self.offset);
        let is_caught_up = old > 0;
        let most = match usize::try_from(old) {
            Ok(old) if is_caught_up => old.min(buffer.len()),
            Ok(_) | Err(_) => buffer.len(),
        };
        let buffer = &mut buffer[..most];
        let read = loop {
            match self.file.read_at(buffer, self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        // Asked after reading: what was read is of the file as it was, or it is thrown away.
        let size = self.file.metadata()?.len();
        let end = self.offset + read as u64;
        if size < end || !self.head.is_of(&self.file)? {
            let before = self.checkpoint();
            counts.add(self.close());
            self.offset = 0;
            self.caught_up_to = 0;
            self.skips_first = false;
            self.head = FileHead::of(&self.file, size)?;
            self.last_ms = now_ms;
            return Ok(Progress::Truncated(before));
        }
        if !self.head.is_full() {
            self.head = FileHead::of(&self.file, end)?;
        }
        if read == 0 {
            return Ok(Progress::End);
        }
        self.last_ms = now_ms;
        let mut bytes = &buffer[..read];
        self.offset = end;
        if self.skips_first {
            let Some(feed) = memchr::memchr(b'\n', bytes) else {
                return Ok(Progress::More);
            };
            self.skips_first = false;
            bytes = &bytes[feed + 1..];
        }
        let path = &self.path;
        self.splitter.push(bytes, |bytes| {
            each(
                path,
                Line {
                    bytes,
                    is_caught_up,
                },
            );
        });
        counts.add(self.splitter.take_counts());
        // A short read is the end; asking again would cost as much as reading.
        Ok(if read < most {
            Progress::End
        } else {
            Progress::More
        })
    }
}
