//! When to look: inotify, if the kernel has a watch left for us. Who gets no events polls.

use std::{
    collections::HashMap,
    fs::File,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};

use super::checkpoint::Id;

/// What a watch is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of {
    File(Id),
    Folder(PathBuf),
}

/// What happened since the last question.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Files that may have more to read.
    pub(super) grown: Vec<Id>,
    /// Names may mean other files now.
    pub(super) is_moved: bool,
    /// Events were lost: everything must be looked at.
    pub(super) is_overflown: bool,
}

/// The watches of one set of files.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<Inotify>,
    by_number: HashMap<WatchDescriptor, Of>,
    numbers: HashMap<Of, WatchDescriptor>,
    refused: usize,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok(),
            by_number: HashMap::new(),
            numbers: HashMap::new(),
            refused: 0,
        }
    }

    /// Watches that the kernel refused (`fs.inotify.max_user_watches`); these files are polled.
    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// Without events, as where the kernel refuses.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            inotify: None,
            ..Self::new()
        }
    }

    /// Readable when there are events.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(|inotify| inotify.as_fd())
    }

    /// Watches an open file, under whatever name it goes. Says whether it is watched.
    pub(super) fn file(&mut self, id: Id, file: &File) -> bool {
        // The name may mean another file by now; this one cannot.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF;
        self.add(Of::File(id), Path::new(&path), flags)
    }

    /// Watches the names of a folder.
    pub(super) fn folder(&mut self, path: &Path) {
        let of = Of::Folder(path.to_path_buf());
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        self.add(of, path, flags);
    }

    /// Watches a file no more.
    pub(super) fn forget(&mut self, id: Id) {
        let Some(number) = self.numbers.remove(&Of::File(id)) else {
            return;
        };
        self.by_number.remove(&number);
        if let Some(inotify) = &self.inotify {
            // It fails if the file is gone, and its watch with it.
            let _ = inotify.rm_watch(number);
        }
    }

    /// What happened.
    pub(super) fn events(&mut self) -> Events {
        let mut events = Events::default();
        let Some(inotify) = &self.inotify else {
            events.is_overflown = true;
            return events;
        };
        loop {
            let found = match inotify.read_events() {
                Ok(found) => found,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    events.is_overflown = true;
                    break;
                }
            };
            for event in found {
                let mask = event.mask;
                if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    events.is_overflown = true;
                }
                match self.by_number.get(&event.wd) {
                    Some(Of::File(id)) => {
                        if events.grown.last() != Some(id) {
                            events.grown.push(*id);
                        }
                        events.is_moved |= mask != AddWatchFlags::IN_MODIFY;
                    }
                    Some(Of::Folder(_)) => events.is_moved = true,
                    None => {}
                }
                if mask.contains(AddWatchFlags::IN_IGNORED)
                    && let Some(of) = self.by_number.remove(&event.wd)
                {
                    self.numbers.remove(&of);
                }
            }
        }
        events
    }

    fn add(&mut self, of: Of, path: &Path, flags: AddWatchFlags) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        if self.numbers.contains_key(&of) {
            return true;
        }
        match inotify.add_watch(path, flags) {
            Ok(number) => {
                // A folder under two names has one watch.
                if let Some(old) = self.by_number.insert(number, of.clone()) {
                    self.numbers.remove(&old);
                }
                self.numbers.insert(of, number);
                true
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => false,
            Err(_) => {
                self.refused += 1;
                false
            }
        }
    }
}
