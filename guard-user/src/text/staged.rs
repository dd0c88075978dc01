//! Replacing a file so that a crash leaves the old text or the new one, never half of either. The
//! two steps are apart because the kernel switches between them.

mod leftovers;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    failure::{Exit, Failure},
    state_file,
};

/// Mode of a file that did not exist.
const NEW_FILE_MODE: u32 = 0o600;
/// Mode of a folder that did not exist.
const NEW_FOLDER_MODE: u32 = 0o755;

/// A file could not be replaced.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {source}", path.display())]
pub struct StageError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// Why it failed.
    pub source: io::Error,
}

impl StageError {
    /// A way out.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        let kind = self.source.kind();
        if kind == io::ErrorKind::PermissionDenied {
            Some("run the command as root")
        } else if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
            Some("free some space; the old file is untouched")
        } else if kind == io::ErrorKind::ReadOnlyFilesystem {
            Some("the file system is mounted read-only")
        } else {
            None
        }
    }

    /// The failure of a command that wanted the file.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let exit = if self.source.kind() == io::ErrorKind::PermissionDenied {
            Exit::NotPermitted
        } else {
            Exit::Failed
        };
        let failure = Failure::new(exit, self.to_string());
        match self.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

/// A new text, safely on disk beside the file that it will replace. Dropped without
/// [`Staged::commit`], it is removed.
#[derive(Debug)]
pub struct Staged {
    temporary: PathBuf,
    target: PathBuf,
    is_done: bool,
}

/// Writes `text` to `path` in one step.
pub fn write_atomically(path: &Path, text: &str) -> Result<(), StageError> {
    Staged::write(path, text)?.commit()
}

/// The same for a file of the state folder, which nobody edits: a folder in its place is put aside.
pub fn write_state(path: &Path, text: &str) -> Result<(), StageError> {
    // Whatever else keeps the file from being written shows when it is written.
    state_file::put_folder_aside(path).unwrap_or_default();
    write_atomically(path, text)
}

impl Staged {
    /// Puts `text` on disk beside `path`, with the owner and the mode of the file that is there.
    /// A symbolic link stays one: the file behind it is replaced.
    pub fn write(path: &Path, text: &str) -> Result<Self, StageError> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let folder = folder_of(&target);
        DirBuilder::new()
            .recursive(true)
            .mode(NEW_FOLDER_MODE)
            .create(folder)
            .map_err(|source| failed(folder, "create the folder", source))?;
        let (temporary, mut file) = create_beside(&target)?;
        let staged = Self {
            temporary,
            target,
            is_done: false,
        };
        let on_error = |action| move |source| failed(path, action, source);
        if let Ok(old) = fs::metadata(&staged.target)
            && old.is_file()
        {
            keep_owner_and_mode(&file, &old).map_err(on_error("keep owner and mode"))?;
        }
        file.write_all(text.as_bytes()).map_err(on_error("write"))?;
        file.sync_all().map_err(on_error("write to the disk"))?;
        Ok(staged)
    }

    /// Lets every user read the file, whatever it was before.
    pub fn readable_by_all(&self) -> Result<(), StageError> {
        fs::set_permissions(&self.temporary, fs::Permissions::from_mode(0o644))
            .map_err(|source| failed(&self.target, "set the mode of", source))
    }

    /// Owner and mode as `set` makes them, before anybody can read it.
    pub fn restrict(&self, set: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StageError> {
        set(&self.temporary).map_err(|source| failed(&self.target, "set owner and mode of", source))
    }

    /// Path of the file that will be replaced.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Replaces the file.
    pub fn commit(mut self) -> Result<(), StageError> {
        fs::rename(&self.temporary, &self.target)
            .map_err(|source| failed(&self.target, "replace", source))?;
        self.is_done = true;
        let folder = folder_of(&self.target);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| failed(folder, "write to the disk", source))
    }

    /// Forgets the new text; the file stays as it is.
    pub fn discard(self) {
        drop(self);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_done {
            // Nothing reads a left-over: its name ends in .tmp and begins with a dot.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

fn create_beside(target: &Path) -> Result<(PathBuf, File), StageError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    leftovers::remove(folder_of(target), &name);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder_of(target).join(format!(".{name}.{}.{count}.tmp", std::process::id()));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(NEW_FILE_MODE)
            .open(&path);
        match opened {
            Ok(file) => return Ok((path, file)),
            // Left over by a process that was killed and had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(target, "write a new file beside it", source)),
        }
    }
}

fn keep_owner_and_mode(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> StageError {
    StageError {
        path: path.to_path_buf(),
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_committed_text_replaces_the_file_and_keeps_its_mode() {
        let folder = Folder::new();
        let path = folder.write("guard.toml", "old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");

        let staged = Staged::write(&path, "new").expect("staged");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        staged.commit().expect("committed");

        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        let mode = fs::metadata(&path).expect("stat").mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(folder.names(), ["guard.toml"]);
    }

    #[test]
    fn a_discarded_text_leaves_nothing_behind() {
        let folder = Folder::new();
        let path = folder.write("guard.toml", "old");

        Staged::write(&path, "new").expect("staged").discard();

        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(folder.names(), ["guard.toml"]);
    }

    #[test]
    fn a_new_file_is_private_and_its_folder_is_made() {
        let folder = Folder::new();
        let path = folder.path().join("etc/guard/guard.toml");

        write_atomically(&path, "text").expect("written");

        let mode = |path: &Path| fs::metadata(path).expect("stat").mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).expect("read"), "text");
    }

    #[test]
    fn a_symbolic_link_stays_a_link() {
        let folder = Folder::new();
        let real = folder.write("real.toml", "old");
        let link = folder.path().join("guard.toml");
        std::os::unix::fs::symlink(&real, &link).expect("link");

        write_atomically(&link, "new").expect("written");

        assert!(link.symlink_metadata().expect("stat").is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("read"), "new");
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_with_its_name() {
        let folder = Folder::new();
        let path = folder.path().join("guard.toml");
        fs::create_dir(&path).expect("folder");

        let error = write_atomically(&path, "text").expect_err("a folder");

        assert!(error.to_string().contains("guard.toml"), "{error}");
        assert_eq!(folder.names(), ["guard.toml"]);
    }
}
