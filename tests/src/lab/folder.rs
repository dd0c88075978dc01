//! A temporary folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::unique_prefix;

/// A folder of its own, gone with the value.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Makes an empty one.
    ///
    /// # Panics
    /// When the folder for temporary files is not writable.
    #[must_use]
    pub fn new() -> Self {
        let path = env::temp_dir().join(unique_prefix());
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            path,
            is_kept: false,
        }
    }

    /// Leaves it when the value is dropped.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of an entry.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("lab: {} stays: {error}", self.path.display());
        }
    }
}
