//! One change at a time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    controller::Consent,
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// How long a command waits for another to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held while something changes; ends with the process at the latest.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// The lock, for a command that may change something.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub(in crate::controller) fn unless_dry_run(
        layout: &Layout,
        consent: Consent,
    ) -> Result<Option<Self>, Failure> {
        if consent.dry_run {
            return Ok(None);
        }
        Self::acquire(layout).map(Some)
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// When it cannot be had within ten seconds.
    pub fn acquire(layout: &Layout) -> Result<Self, Failure> {
        Self::acquire_within(layout, PATIENCE)
    }

    /// Waits for the lock as long as that.
    ///
    /// # Errors
    /// When it cannot be had in time.
    pub(in crate::controller) fn acquire_within(
        layout: &Layout,
        patience: Duration,
    ) -> Result<Self, Failure> {
        Self::wait(layout, patience)?.ok_or_else(|| {
            let path = layout.lock();
            Failure::new(
                Exit::Failed,
                format!("{}: another guardctl is changing something", path.display()),
            )
            .help("wait for it to finish; `fuser` on the file shows who it is")
        })
    }

    /// The lock of those who read feeds; commands do not wait for it.
    ///
    /// # Errors
    /// When it cannot be had within ten seconds.
    pub(in crate::controller) fn of_feeds(layout: &Layout) -> Result<Self, Failure> {
        let path = layout.feeds_lock();
        Self::wait_at(layout, &path, PATIENCE)?.ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("{}: another guardctl is reading feeds", path.display()),
            )
            .help("wait for it to finish; `guardctl feeds` shows what it has read")
        })
    }

    /// The lock, or `None` when somebody else has it all that time.
    ///
    /// # Errors
    /// When there can be no lock.
    pub(in crate::controller) fn wait(
        layout: &Layout,
        patience: Duration,
    ) -> Result<Option<Self>, Failure> {
        Self::wait_at(layout, &layout.lock(), patience)
    }

    /// Takes it if nobody has it.
    pub(in crate::controller) fn if_free(layout: &Layout) -> Result<Option<Self>, Failure> {
        let file = open(layout, &layout.lock())?;
        Ok(take(&file, Waits::No).then_some(Self { _file: file }))
    }

    fn wait_at(layout: &Layout, path: &Path, patience: Duration) -> Result<Option<Self>, Failure> {
        let file = open(layout, path)?;
        if take(&file, Waits::No) {
            return Ok(Some(Self { _file: file }));
        }
        // The kernel serves those who wait in their order, which asking again and again would not; but it
        // knows no deadline. Whoever comes to the lock too late drops it.
        let (taken, waited) = mpsc::channel();
        let waiter = thread::Builder::new().spawn(move || {
            if take(&file, Waits::Yes) {
                taken.send(file).unwrap_or_default();
            }
        });
        waiter.map_err(|error| from_io("cannot wait for the lock", &error))?;
        let taken = waited.recv_timeout(patience).ok();
        Ok(taken.map(|file| Self { _file: file }))
    }
}

fn open(layout: &Layout, path: &Path) -> Result<File, Failure> {
    fs::create_dir_all(&layout.run)
        .map_err(|error| from_io(format!("cannot create {}", layout.run.display()), &error))?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| from_io(format!("cannot lock {}", path.display()), &error))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Yes,
    No,
}

fn take(file: &File, waits: Waits) -> bool {
    let operation = match waits {
        Waits::Yes => libc::LOCK_EX,
        Waits::No => libc::LOCK_EX | libc::LOCK_NB,
    };
    loop {
        // SAFETY: flock takes a descriptor, which `file` keeps open, and an integer.
        let result = unsafe { libc::flock(file.as_raw_fd(), operation) };
        let is_interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if result == 0 || !is_interrupted {
            return result == 0;
        }
    }
}
