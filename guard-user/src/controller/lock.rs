//! One change at a time.

use std::{
    fs::{self, File, OpenOptions},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    time::{Duration, Instant},
};

use super::Consent;
use crate::{
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
    pub(super) fn unless_dry_run(
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
        let path = layout.lock();
        fs::create_dir_all(&layout.run)
            .map_err(|error| from_io(format!("cannot create {}", layout.run.display()), &error))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| from_io(format!("cannot lock {}", path.display()), &error))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            // SAFETY: flock takes a descriptor, which `file` keeps open, and an integer.
            let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
            if result == 0 {
                return Ok(Self { _file: file });
            }
            if Instant::now() > deadline {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("{}: another guardctl is changing something", path.display()),
                )
                .help("wait for it to finish; `fuser` on the file shows who it is"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
