//! Files of redb: opened or made, for root alone; what is damaged is put aside, so that a bad file never
//! keeps guard from starting, and never fails twice.

use std::{
    cell::Cell,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use redb::{Builder, Database, Error, StorageBackend as _, backends::InMemoryBackend};

use crate::{
    failure::{Failure, from_io},
    state_file::{self, FileKind},
};

/// Pages that are kept in memory: what the library keeps unless it is told is more than a small server has.
const CACHE_BYTES: usize = 32 << 20;
/// A program that is being started holds for a moment what its parent had open, locks too.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(1);

/// How much is asked of a file before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// That its first pages make sense: for what happens often.
    Little,
    /// That every page is as it was written. Ten milliseconds for 100 000 bans.
    Much,
}

/// Why the content of a file cannot be used.
#[derive(Debug)]
pub(crate) enum DatabaseFault {
    /// Another version wrote it.
    Version,
    /// What the library says.
    Library(Error),
}

impl<E: Into<Error>> From<E> for DatabaseFault {
    fn from(error: E) -> Self {
        Self::Library(error.into())
    }
}

/// What became of a file that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Where it is now; `None` when it was not there at all, only its copy.
    pub aside: Option<PathBuf>,
    /// How old the copy was that took its place; without one it begins empty.
    pub copy: Option<Duration>,
}

/// Opens a database, or makes one, and has `take` begin with it. A file that is damaged or of a version
/// that is not known is put aside, and a copy of it, if there is one that is better, takes its place.
/// `wall_s` (seconds since 1970) becomes part of its name; `broken` turns an error into the failure of whoever
/// asks.
///
/// # Errors
/// When the file cannot be made or opened although its content is not damaged.
pub(crate) fn open<T>(
    path: &Path,
    copy: Option<&Path>,
    wall_s: u64,
    care: Care,
    broken: impl Fn(&dyn std::fmt::Display) -> Failure,
    take: impl Fn(Database) -> Result<T, DatabaseFault>,
) -> Result<(T, Option<Quarantine>), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| from_io(folder.display(), &error))?;
    }
    let mut quarantine = None;
    if is_suspected(path) || is_lost(path, copy) {
        quarantine = Some(replace(path, copy, wall_s)?);
    }
    let once = || -> Result<T, DatabaseFault> {
        let mut builder = Builder::new();
        builder.set_check_integrity_on_open(care == Care::Much);
        builder.set_cache_size(CACHE_BYTES);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match guarded(|| take(builder.create(path)?)) {
                Err(DatabaseFault::Library(Error::DatabaseAlreadyOpen))
                    if Instant::now() < deadline =>
                {
                    thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    };
    let taken = loop {
        let why = match once() {
            Ok(taken) => break taken,
            Err(DatabaseFault::Library(error)) if !is_damage(&error) => return Err(broken(&error)),
            Err(DatabaseFault::Library(error)) => error.to_string(),
            Err(DatabaseFault::Version) => "it is of another version".to_owned(),
        };
        quarantine = Some(match quarantine.take() {
            None => replace(path, copy, wall_s)?,
            Some(Quarantine {
                aside,
                copy: Some(_),
            }) => {
                // The copy is no better.
                let copy = put_aside(path, wall_s)?;
                Quarantine {
                    aside: aside.or(Some(copy)),
                    copy: None,
                }
            }
            Some(Quarantine { copy: None, .. }) => return Err(broken(&why)),
        });
    };
    // Whom somebody banned is nobody else's business.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| from_io(path.display(), &error))?;
    Ok((taken, quarantine))
}

/// Runs what reads or writes a database. The library panics on some damaged pages instead of saying so.
pub(crate) fn guarded<T, E: From<Error>>(run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                before(panic);
            }
        }));
    });
    let outer = IS_GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    IS_GUARDED.set(outer);
    outcome.unwrap_or_else(|_| Err(Error::Corrupted("its pages are corrupt".to_owned()).into()))
}

/// Is this thread in there? Then a panic is no accident of the program.
pub(crate) fn is_guarded() -> bool {
    IS_GUARDED.get()
}

thread_local! {
    /// A panic of this thread is caught, and becomes an error.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Is it the content of the file that is wrong, and not the disk or a permission?
pub(crate) fn is_damage(error: &Error) -> bool {
    if let Error::Io(error) = error {
        return [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&error.kind());
    }
    matches!(
        error,
        Error::Corrupted(_)
            | Error::RepairAborted
            | Error::UpgradeRequired(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TableIsNotMultimap(_)
            | Error::TypeDefinitionChanged { .. }
            | Error::TableDoesNotExist(_)
            | Error::TransactionPoisoned
            | Error::LockPoisoned(_)
    )
}

/// Whoever opens this file next puts it aside: it was opened, and turned out to be damaged.
pub(crate) fn suspect(path: &Path) {
    // If not even that can be written, it turns out once more.
    fs::write(suspicion(path), b"").unwrap_or_default();
}

/// Has somebody found it to be damaged?
pub(crate) fn is_suspected(path: &Path) -> bool {
    suspicion(path).exists() && path.exists()
}

fn suspicion(path: &Path) -> PathBuf {
    path.with_extension("suspect")
}

/// Reads a database, or else its copy, without writing to either: what `take` changes is changed in memory. With
/// the file that was read; `None` when there is no file that can be used.
pub(crate) fn detached<T>(
    path: &Path,
    copy: &Path,
    take: impl Fn(Database) -> Result<T, DatabaseFault>,
) -> Option<(T, PathBuf)> {
    [path, copy].into_iter().find_map(|path| {
        let bytes = state_file::read(path)
            .ok()
            .filter(|bytes| !bytes.is_empty())?;
        let taken = guarded(|| -> Result<T, DatabaseFault> {
            let memory = InMemoryBackend::new();
            memory.set_len(bytes.len() as u64).map_err(Error::Io)?;
            memory.write(0, &bytes).map_err(Error::Io)?;
            let mut builder = Builder::new();
            builder.set_check_integrity_on_open(true);
            take(builder.create_with_backend(memory)?)
        });
        Some((taken.ok()?, path.to_owned()))
    })
}

/// Is there something else where the database should be, or nothing although it has a copy? A file is never without
/// content once it was made.
fn is_lost(path: &Path, copy: Option<&Path>) -> bool {
    let has_copy = || {
        let found = copy.map(state_file::found);
        matches!(found, Some(FileKind::File { bytes: 1.. }))
    };
    match state_file::found(path) {
        FileKind::Other(_) => true,
        FileKind::Nothing | FileKind::File { bytes: 0 } => has_copy(),
        FileKind::File { bytes: 1.. } => false,
    }
}

/// Puts a file aside that cannot be used, and its copy in its place. A copy that cannot be put there, because the disk
/// is full, stays the only one: then there is no database until that is mended, and never an empty one.
fn replace(path: &Path, copy: Option<&Path>, wall_s: u64) -> Result<Quarantine, Failure> {
    let aside = match path.symlink_metadata() {
        Ok(_) => Some(put_aside(path, wall_s)?),
        Err(_) => None,
    };
    let Some(copy) = copy else {
        return Ok(Quarantine { aside, copy: None });
    };
    match state_file::found(copy) {
        FileKind::Nothing | FileKind::File { bytes: 0 } => Ok(Quarantine { aside, copy: None }),
        FileKind::Other(_) => {
            put_aside(copy, wall_s)?;
            Ok(Quarantine { aside, copy: None })
        }
        FileKind::File { bytes: 1.. } => {
            let next = path.with_extension("restored");
            let restored = restore(copy, &next).and_then(|age| {
                fs::rename(&next, path)?;
                Ok(age)
            });
            let age = restored.map_err(|error| {
                fs::remove_file(&next).ok();
                from_io(path.display(), &error).help(format!(
                    "{} could not take its place; is the disk full?",
                    copy.display()
                ))
            })?;
            Ok(Quarantine {
                aside,
                copy: Some(age),
            })
        }
    }
}

/// Copies the copy, and answers with its age.
fn restore(copy: &Path, next: &Path) -> io::Result<Duration> {
    let written = fs::metadata(copy)?.modified()?;
    // Whatever somebody has put there is not written into.
    fs::remove_file(next).ok();
    fs::copy(copy, next)?;
    fs::File::open(next)?.sync_all()?;
    Ok(written.elapsed().unwrap_or_default())
}

/// Renames a file that cannot be used, so that somebody can look at it.
fn put_aside(path: &Path, wall_s: u64) -> Result<PathBuf, Failure> {
    let mut aside = path.with_extension(format!("damaged-{wall_s}"));
    for number in 2.. {
        if !aside.exists() {
            break;
        }
        aside = path.with_extension(format!("damaged-{wall_s}-{number}"));
    }
    fs::rename(path, &aside).map_err(|error| from_io(path.display(), &error))?;
    match fs::remove_file(suspicion(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(from_io(suspicion(path).display(), &error))
        }
        Ok(()) | Err(_) => Ok(aside),
    }
}
