//! New texts of the policy files: staged beside them, put in place together, taken back together.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, from_io},
    ruleset::edit::Change,
    state_file,
    text::staged::{StageError, Staged, write_atomically},
};

/// Text of one policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// `guard.toml` or `guard.d/NAME.toml`, below the folder of the policy.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What becomes of one policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::controller) struct FileChange {
    /// The file.
    pub(in crate::controller) path: PathBuf,
    /// Its text before, `None` = there was no file.
    before: Option<String>,
    /// Its text afterwards, `None` = the file goes.
    after: Option<String>,
}

impl FileChange {
    /// From what is on disk now to `after`.
    pub(in crate::controller) fn new(
        path: PathBuf,
        after: Option<String>,
    ) -> Result<Self, Failure> {
        let before = read(&path)?;
        Ok(Self {
            path,
            before,
            after,
        })
    }

    /// The changes of an edit.
    pub(in crate::controller) fn all(changes: &[Change]) -> Result<Vec<Self>, Failure> {
        changes
            .iter()
            .map(|change| Self::new(change.path.clone(), Some(change.text.clone())))
            .collect()
    }

    /// Is there nothing to do?
    pub(in crate::controller) fn is_idle(&self) -> bool {
        self.before == self.after
    }

    /// Has the file got the new text?
    pub(in crate::controller) fn is_in_place(&self) -> bool {
        self.before != self.after && read(&self.path).is_ok_and(|text| text == self.after)
    }

    /// Has somebody else written the file since?
    pub(in crate::controller) fn is_foreign(&self) -> bool {
        !read(&self.path).is_ok_and(|text| text == self.before || text == self.after)
    }

    fn take_back(&self) -> Result<(), Failure> {
        match &self.before {
            Some(text) => write_atomically(&self.path, text).map_err(|error| stage_failure(&error)),
            None => remove(&self.path),
        }
    }
}

/// New texts, safely on disk beside the files that they will replace. Dropped, they are forgotten.
pub(in crate::controller) struct StagedFiles(Vec<(FileChange, Option<Staged>)>);

impl StagedFiles {
    pub(in crate::controller) fn write(changes: &[FileChange]) -> Result<Self, Failure> {
        let staged = changes.iter().map(|change| {
            let staged = match &change.after {
                Some(text) => {
                    Some(Staged::write(&change.path, text).map_err(|error| stage_failure(&error))?)
                }
                None => None,
            };
            Ok((change.clone(), staged))
        });
        staged.collect::<Result<_, Failure>>().map(Self)
    }

    /// Puts them in place. If one cannot be, those before it are taken back.
    pub(in crate::controller) fn commit(self) -> Result<(), Failure> {
        let mut done: Vec<FileChange> = Vec::new();
        for (change, staged) in self.0 {
            let placed = match staged {
                Some(staged) => staged.commit().map_err(|error| stage_failure(&error)),
                None => remove(&change.path),
            };
            if let Err(failure) = placed {
                // The first failure is the one to tell of.
                for change in done.iter().rev() {
                    change.take_back().ok();
                }
                return Err(failure);
            }
            done.push(change);
        }
        Ok(())
    }
}

/// Text of a file, `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(from_io(path.display(), &error)),
    }
}

/// Removes a file for good.
pub(in crate::controller) fn remove(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    state_file::remove(path).map_err(|error| from_io(path.display(), &error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| from_io(folder.display(), &error))
}

/// A file that could not be replaced.
pub(in crate::controller) fn stage_failure(error: &StageError) -> Failure {
    error.failure()
}
