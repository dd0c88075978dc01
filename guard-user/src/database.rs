//! Files of redb: opened or made, for root alone; what is damaged is put aside, so that a bad file never
//! keeps guard from starting.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Database, DatabaseError, StorageError};

use crate::failure::{Failure, from_io};

/// An open file, and where one went that could not be read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The database.
    pub(crate) database: Database,
    /// The damaged file, if there was one.
    pub(crate) quarantined: Option<PathBuf>,
}

/// Opens a database, or makes one. `wall_s` (seconds since 1970) becomes part of the name of a damaged
/// file; `broken` turns an error into the failure of whoever asks.
///
/// # Errors
/// When the file cannot be made or opened although its content is not damaged.
pub(crate) fn open(
    path: &Path,
    wall_s: u64,
    broken: impl Fn(&dyn std::fmt::Display) -> Failure,
) -> Result<Opened, Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| from_io(folder.display(), &error))?;
    }
    let (database, quarantined) = match create(path) {
        Ok(database) => (database, None),
        Err(error) if is_damage(&error) => {
            let aside = put_aside(path, wall_s)?;
            let database = create(path).map_err(|error| broken(&error))?;
            (database, Some(aside))
        }
        Err(error) => return Err(broken(&error)),
    };
    // Whom somebody banned is nobody else's business.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| from_io(path.display(), &error))?;
    Ok(Opened {
        database,
        quarantined,
    })
}

/// Renames a file that cannot be used, so that somebody can look at it.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn put_aside(path: &Path, wall_s: u64) -> Result<PathBuf, Failure> {
    let mut aside = path.with_extension(format!("damaged-{wall_s}"));
    for number in 2.. {
        if !aside.exists() {
            break;
        }
        aside = path.with_extension(format!("damaged-{wall_s}-{number}"));
    }
    fs::rename(path, &aside).map_err(|error| from_io(path.display(), &error))?;
    Ok(aside)
}

/// The library panics on some damaged files instead of saying so.
fn create(path: &Path) -> Result<Database, DatabaseError> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let created = catch_unwind(AssertUnwindSafe(|| Database::create(path)));
    std::panic::set_hook(hook);
    created.unwrap_or_else(|_| {
        let damage = StorageError::Corrupted("its pages make no sense".to_owned());
        Err(DatabaseError::Storage(damage))
    })
}

/// Is it the content of the file that is wrong, and not the disk or a permission?
fn is_damage(error: &DatabaseError) -> bool {
    if let DatabaseError::Storage(StorageError::Io(error)) = error {
        return [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&error.kind());
    }
    matches!(
        error,
        DatabaseError::Storage(StorageError::Corrupted(_))
            | DatabaseError::RepairAborted
            | DatabaseError::UpgradeRequired(_)
    )
}
