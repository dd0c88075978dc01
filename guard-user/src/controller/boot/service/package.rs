//! Units that a package owns. They are turned on and off here, and neither written nor removed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{PACKAGED, RULE, ServiceChange, UNITS, start_units};
use crate::{
    controller::Controller,
    failure::{Failure, from_io},
};

/// Where packages put units.
const FOLDERS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where systemd notes, below the administrator's folder, that a unit of guard is started at boot.
const WANTED: &str = "sysinit.target.wants";

/// Where the units of a package are, if there is one.
pub(super) fn folder() -> Option<PathBuf> {
    let [load, ..] = &UNITS;
    let mut folders = FOLDERS.iter().map(PathBuf::from);
    folders.find(|folder| folder.join(load.name).exists())
}

/// The same for whoever is the program of that package.
pub(super) fn folder_of(program: &Path) -> Option<PathBuf> {
    // Some distributions have /usr/sbin as a link.
    let is_packaged = match (fs::canonicalize(program), fs::canonicalize(PACKAGED)) {
        (Ok(program), Ok(packaged)) => program == packaged,
        (Err(_), _) | (_, Err(_)) => false,
    };
    folder().filter(|_| is_packaged)
}

/// Is a unit started at boot?
pub(super) fn is_enabled(units: &Path, name: &str) -> bool {
    // systemd goes by the link's name, wherever it leads.
    units.join(WANTED).join(name).symlink_metadata().is_ok()
}

/// Does a unit start another program than the package's, so that it cannot be an operator's copy of that?
fn is_of_another_program(text: &str) -> bool {
    let mut starts = text.lines().filter(|line| line.starts_with("ExecStart="));
    starts.any(|line| !line.starts_with(&format!("ExecStart={PACKAGED} ")))
}

impl Controller {
    /// Turns the package's units on. What another guardctl has written into the administrator's folder would hide
    /// them, and goes.
    pub(super) fn enable_units_of(&self, package: PathBuf) -> Result<ServiceChange, Failure> {
        let hides = |name: &str| {
            let path = self.layout.units.join(name);
            let text = fs::read_to_string(&path).unwrap_or_default();
            is_of_another_program(&text).then_some(path)
        };
        let mut files: Vec<PathBuf> = UNITS.iter().filter_map(|unit| hides(unit.name)).collect();
        if !files.is_empty() {
            // They go with the units that call the same program.
            let others = [
                self.layout.units.join("guard-names.socket"),
                self.layout.udev_rules().join(RULE.name),
            ];
            files.extend(others.into_iter().filter(|path| path.exists()));
        }
        for path in &files {
            fs::remove_file(path).map_err(|error| from_io(path.display(), &error))?;
        }
        let systemd_reloaded = self.has_systemd();
        if systemd_reloaded {
            start_units()?;
        }
        Ok(ServiceChange {
            files,
            package: Some(package),
            systemd_reloaded,
            warnings: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_unit_of_the_package_is_on_when_systemd_is_to_start_it() {
        let folder = Folder::new();
        assert!(!is_enabled(folder.path(), "guard.service"));
        fs::create_dir(folder.path().join(WANTED)).expect("a folder");
        let link = folder.path().join(WANTED).join("guard.service");
        symlink("/usr/lib/systemd/system/nowhere", link).expect("a link");

        assert!(is_enabled(folder.path(), "guard.service"));
    }

    #[test]
    fn only_units_of_another_program_hide_those_of_the_package() {
        for unit in &UNITS {
            assert!(!is_of_another_program(unit.text), "{}", unit.name);
        }
        let other = "[Service]\nExecStart=/usr/local/sbin/guardctl daemon\n";
        assert!(is_of_another_program(other));
        assert!(!is_of_another_program(""));
    }
}
