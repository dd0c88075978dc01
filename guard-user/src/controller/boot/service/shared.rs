//! What lies below `share` of the program's prefix: the manual and the completions of shells. Those of a package
//! are the package's.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    controller::state::policy_files::stage_failure,
    failure::{Failure, from_io},
    layout::{DEFAULT_UNITS, Layout},
    text::staged::Staged,
};

/// Folder of the manual, and the first of its pages, which units name.
const MANUAL: &str = "man/man1";
const FIRST: &str = "guardctl.1";
/// Where shells look for completions, and editors for schemas.
const OTHERS: [&str; 5] = [
    SharedFile::BASH,
    SharedFile::ZSH,
    SharedFile::FISH,
    SharedFile::POLICY_SCHEMA,
    SharedFile::JAILS_SCHEMA,
];
/// The administrator's prefix, and the one of packages.
const LOCAL: &str = "/usr/local";
const PACKAGED: &str = "/usr";

/// A page of the manual, or a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    /// Its path below `share`.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

impl SharedFile {
    /// Where bash looks for the completion.
    pub const BASH: &str = "bash-completion/completions/guardctl";
    /// Where zsh does.
    pub const ZSH: &str = "zsh/site-functions/_guardctl";
    /// Where fish does.
    pub const FISH: &str = "fish/vendor_completions.d/guardctl.fish";
    /// What editors know policy files by.
    pub const POLICY_SCHEMA: &str = "guard/guard.schema.json";
    /// What editors know files of jails by.
    pub const JAILS_SCHEMA: &str = "guard/jails.schema.json";

    /// A page of the manual; the name of its file.
    #[must_use]
    pub fn page(name: &str, text: String) -> Self {
        Self {
            path: Path::new(MANUAL).join(name),
            text,
        }
    }
}

/// `share` of a program's prefix.
pub(super) struct ShareFolder {
    folder: PathBuf,
    /// A package puts them there.
    is_packaged: bool,
}

impl ShareFolder {
    pub(super) fn of(program: &Path, layout: &Layout) -> Self {
        let prefix = program.parent().filter(|folder| {
            let name = folder.file_name().unwrap_or_default();
            name == "sbin" || name == "bin"
        });
        let prefix = prefix.and_then(Path::parent);
        // Units that systemd does not read go with pages that `man` does not.
        if layout.units != Path::new(DEFAULT_UNITS) {
            return Self {
                folder: layout.units.clone(),
                is_packaged: false,
            };
        }
        let prefix = match prefix {
            // /bin and /sbin are links to those below /usr.
            Some(prefix) if prefix == Path::new("/") => Path::new(PACKAGED),
            Some(prefix) if prefix.starts_with(PACKAGED) => prefix,
            Some(_) | None => Path::new(LOCAL),
        };
        Self {
            folder: prefix.join("share"),
            is_packaged: prefix == Path::new(PACKAGED),
        }
    }

    /// Can `man guardctl` show something?
    pub(super) fn has_manual(&self) -> bool {
        let compressed = format!("{FIRST}.gz");
        let manual = self.folder.join(MANUAL);
        [FIRST, &compressed]
            .iter()
            .any(|name| manual.join(name).exists())
    }

    /// Writes those that are not there as they should be.
    pub(super) fn write(&self, files: &[SharedFile]) -> Result<Vec<PathBuf>, Failure> {
        if self.is_packaged {
            return Ok(Vec::new());
        }
        let mut written = Vec::new();
        for file in files {
            let path = self.folder.join(&file.path);
            if fs::read_to_string(&path).is_ok_and(|there| there == file.text) {
                continue;
            }
            let folder = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder).map_err(|error| from_io(folder.display(), &error))?;
            Staged::write(&path, &file.text)
                .and_then(|staged| {
                    staged.readable_by_all()?;
                    staged.commit()
                })
                .map_err(|error| stage_failure(&error))?;
            written.push(path);
        }
        Ok(written)
    }

    /// Removes them, also those of commands that there were in another version.
    pub(super) fn remove(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut removed = Vec::new();
        if self.is_packaged {
            return Ok(removed);
        }
        let entries = fs::read_dir(self.folder.join(MANUAL));
        let pages = entries.into_iter().flatten().flatten().filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name == FIRST || name.starts_with("guardctl-") && name.ends_with(".1")
        });
        let others = OTHERS.map(|path| self.folder.join(path));
        let others = others.into_iter().filter(|path| path.exists());
        let paths: Vec<PathBuf> = pages.map(|entry| entry.path()).chain(others).collect();
        for path in paths {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(from_io(path.display(), &error));
                }
                Ok(()) | Err(_) => {}
            }
            // Only a folder that nobody else uses.
            fs::remove_dir(path.parent().unwrap_or(&self.folder)).unwrap_or_default();
            removed.push(path);
        }
        removed.sort_unstable();
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    fn layout(units: &Path) -> Layout {
        Layout {
            etc: "/etc/guard".into(),
            state: "/var/lib/guard".into(),
            run: "/run/guard".into(),
            bpffs: "/sys/fs/bpf/guard".into(),
            units: units.into(),
            version: guard_common::abi::ABI_VERSION,
        }
    }

    #[test]
    fn files_are_where_the_prefix_of_the_program_has_them() {
        let usual = layout(Path::new(DEFAULT_UNITS));
        for (program, folder, is_packaged) in [
            ("/usr/local/sbin/guardctl", "/usr/local/share", false),
            ("/usr/local/bin/guardctl", "/usr/local/share", false),
            ("/opt/guardctl", "/usr/local/share", false),
            ("/opt/guard/bin/guardctl", "/usr/local/share", false),
            ("/usr/sbin/guardctl", "/usr/share", true),
            ("/sbin/guardctl", "/usr/share", true),
        ] {
            let place = ShareFolder::of(Path::new(program), &usual);
            assert_eq!(place.folder, Path::new(folder), "{program}");
            assert_eq!(place.is_packaged, is_packaged, "{program}");
        }
    }

    #[test]
    fn what_is_written_is_removed_and_nothing_else() {
        let folder = Folder::new();
        let place = ShareFolder::of(
            Path::new("/usr/local/sbin/guardctl"),
            &layout(folder.path()),
        );
        let completion = SharedFile {
            path: SharedFile::BASH.into(),
            text: "complete".to_owned(),
        };
        let page = |name: &str| SharedFile::page(name, ".TH".to_owned());
        assert!(!place.has_manual());
        let files = [page("guardctl.1"), page("guardctl-ban.1"), completion];
        assert_eq!(place.write(&files).expect("written").len(), 3);
        assert_eq!(place.write(&files).expect("written").len(), 0);
        assert!(place.has_manual());
        folder.write("man/man1/other.1", "not ours");
        assert_eq!(place.remove().expect("removed").len(), 3);
        assert!(!place.has_manual() && folder.path().join("man/man1/other.1").exists());
        assert!(!folder.path().join("bash-completion/completions").exists());
    }
}
