//! The manual pages beside the units: where the prefix of the program has them. Those of a package are the package's.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::policy_files::stage_failure;
use crate::{
    failure::{Failure, from_io},
    layout::{DEFAULT_UNITS, Layout},
    ruleset::staged::Staged,
};

/// The first of the pages, which units name.
const FIRST: &str = "guardctl.1";
/// Folder of the pages below a prefix.
const BELOW: &str = "share/man/man1";
/// The administrator's prefix, and the one of packages.
const LOCAL: &str = "/usr/local";
const PACKAGED: &str = "/usr";

/// A page of the manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name of its file.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Where the pages of a program go.
pub(super) struct ManFolder {
    folder: PathBuf,
    /// A package puts them there.
    is_packaged: bool,
}

impl ManFolder {
    pub(super) fn of(program: &Path, layout: &Layout) -> Self {
        let prefix = program.parent().filter(|folder| {
            let name = folder.file_name().unwrap_or_default();
            name == "sbin" || name == "bin"
        });
        let prefix = prefix.and_then(Path::parent);
        // Units that systemd does not read go with pages that `man` does not.
        if layout.units != Path::new(DEFAULT_UNITS) {
            return Self {
                folder: layout.units.join("man1"),
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
            folder: prefix.join(BELOW),
            is_packaged: prefix == Path::new(PACKAGED),
        }
    }

    /// Can `man guardctl` show something?
    pub(super) fn has_pages(&self) -> bool {
        let compressed = format!("{FIRST}.gz");
        [FIRST, &compressed]
            .iter()
            .any(|name| self.folder.join(name).exists())
    }

    /// Writes those that are not there as they should be.
    pub(super) fn write(&self, pages: &[Page]) -> Result<Vec<PathBuf>, Failure> {
        if self.is_packaged {
            return Ok(Vec::new());
        }
        fs::create_dir_all(&self.folder).map_err(|error| from_io(self.folder.display(), &error))?;
        let mut written = Vec::new();
        for page in pages {
            let path = self.folder.join(&page.name);
            if fs::read_to_string(&path).is_ok_and(|there| there == page.text) {
                continue;
            }
            Staged::write(&path, &page.text)
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
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name == FIRST || name.starts_with("guardctl-") && name.ends_with(".1");
            if !is_ours {
                continue;
            }
            let path = entry.path();
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(from_io(path.display(), &error));
                }
                Ok(()) | Err(_) => removed.push(path),
            }
        }
        // Only a folder that nobody else uses.
        fs::remove_dir(&self.folder).unwrap_or_default();
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
        }
    }

    #[test]
    fn pages_are_where_the_prefix_of_the_program_has_them() {
        let usual = layout(Path::new(DEFAULT_UNITS));
        for (program, folder, is_packaged) in [
            (
                "/usr/local/sbin/guardctl",
                "/usr/local/share/man/man1",
                false,
            ),
            (
                "/usr/local/bin/guardctl",
                "/usr/local/share/man/man1",
                false,
            ),
            ("/opt/guardctl", "/usr/local/share/man/man1", false),
            (
                "/opt/guard/bin/guardctl",
                "/usr/local/share/man/man1",
                false,
            ),
            ("/usr/sbin/guardctl", "/usr/share/man/man1", true),
            ("/sbin/guardctl", "/usr/share/man/man1", true),
        ] {
            let place = ManFolder::of(Path::new(program), &usual);
            assert_eq!(place.folder, Path::new(folder), "{program}");
            assert_eq!(place.is_packaged, is_packaged, "{program}");
        }
    }

    #[test]
    fn what_is_written_is_removed_and_nothing_else() {
        let folder = Folder::new();
        let place = ManFolder::of(
            Path::new("/usr/local/sbin/guardctl"),
            &layout(folder.path()),
        );
        let page = |name: &str| Page {
            name: name.to_owned(),
            text: ".TH".to_owned(),
        };
        assert!(!place.has_pages());
        let pages = [page("guardctl.1"), page("guardctl-ban.1")];
        assert_eq!(place.write(&pages).expect("written").len(), 2);
        assert_eq!(place.write(&pages).expect("written").len(), 0);
        assert!(place.has_pages());
        folder.write("man1/other.1", "not ours");
        assert_eq!(place.remove().expect("removed").len(), 2);
        assert!(!place.has_pages() && folder.path().join("man1/other.1").exists());
    }
}
