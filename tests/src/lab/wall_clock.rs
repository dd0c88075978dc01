//! A time of day that a test sets, for the programs that it starts; the clocks that nobody can set are
//! the kernel's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::require;

/// Set before the programs start, and while they run.
#[derive(Debug)]
pub struct WallClock {
    library: PathBuf,
    setting: PathBuf,
}

const FOLDERS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/lib"];

impl WallClock {
    /// One that goes right, kept in a folder; `None` skips the test.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Option<Self> {
        let library = library();
        if !require::need(library.is_some(), || "libfaketime is not installed".into()) {
            return None;
        }
        let clock = Self {
            library: library?,
            setting: folder.join("wall-clock"),
        };
        clock.set(0);
        Some(clock)
    }

    /// Sets it wrong by so many seconds, at once and for every program that looks at it.
    ///
    /// # Panics
    /// When its file cannot be written, or programs do not see it.
    pub fn set(&self, seconds: i64) {
        // Exchanged, not written over: somebody may be reading.
        let next = self.setting.with_extension("next");
        fs::write(&next, format!("{seconds:+}")).expect("a setting");
        fs::rename(&next, &self.setting).expect("the setting");
        let mut date = Command::new("date");
        let output = self.shown_to(date.arg("+%s")).output().expect("date");
        let shown = String::from_utf8_lossy(&output.stdout);
        let shown: i64 = shown.trim().parse().expect("seconds");
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.expect("later than 1970").as_secs() as i64;
        assert!((now + seconds - shown).abs() < 10, "{shown} at {now}");
    }

    /// Makes a program that is not started yet look at it.
    pub fn shown_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.setting)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }
}

/// The library that answers in the place of the kernel, wherever the distribution has it.
fn library() -> Option<PathBuf> {
    FOLDERS.into_iter().find_map(|folder| {
        let triplets = fs::read_dir(folder).ok()?.flatten();
        triplets
            .map(|entry| entry.path())
            .chain([PathBuf::from(folder)])
            .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.is_file())
    })
}
