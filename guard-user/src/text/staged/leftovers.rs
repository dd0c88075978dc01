//! Temporary files of processes that were killed while they replaced a file.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// Nobody needs longer to put a text in place.
const OLD: Duration = Duration::from_secs(600);

/// Removes those that belong to `name` in this folder: older than ten minutes, of a process that is gone.
pub(super) fn remove(folder: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(process) = file.to_str().and_then(|file| process_of(file, name)) else {
            continue;
        };
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|written| {
                SystemTime::now()
                    .duration_since(written)
                    .is_ok_and(|age| age > OLD)
            });
        if is_old && !Path::new("/proc").join(process.to_string()).exists() {
            // What cannot be removed harms nobody.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// The process that a temporary file of `name` belongs to: `.NAME.PROCESS.COUNT.tmp`.
fn process_of(file: &str, name: &str) -> Option<u32> {
    let rest = file
        .strip_prefix('.')?
        .strip_prefix(name)?
        .strip_prefix('.')?;
    let (process, count) = rest.strip_suffix(".tmp")?.split_once('.')?;
    count.parse::<u32>().ok()?;
    process.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        /// Above the largest number that a process can have (`PID_MAX_LIMIT`).
        const NOBODY: u32 = (1 << 22) + 1;
        let folder = Folder::new();
        let mine = std::process::id();
        let old = [
            (format!(".guard.toml.{NOBODY}.0.tmp"), false),
            (format!(".guard.toml.{mine}.7.tmp"), true),
            (format!(".other.toml.{NOBODY}.0.tmp"), true),
            (format!("guard.toml.{NOBODY}.0.tmp"), true),
            (format!(".guard.toml.{NOBODY}.tmp"), true),
            (".guard.toml.x.0.tmp".to_owned(), true),
        ];
        let long_ago = SystemTime::now() - 2 * OLD;
        for (name, _) in &old {
            let path = folder.write(name, "half");
            let file = fs::File::options().write(true).open(path).expect("a file");
            file.set_modified(long_ago).expect("another time");
        }
        let young = format!(".guard.toml.{NOBODY}.1.tmp");
        folder.write(&young, "half");

        remove(folder.path(), "guard.toml");

        let left = folder.names();
        for (name, stays) in old {
            assert_eq!(left.contains(&name), stays, "{name}");
        }
        assert!(left.contains(&young), "it may be at work");
    }
}
