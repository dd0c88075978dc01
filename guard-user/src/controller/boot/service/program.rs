//! Is a program fit to be started by systemd as root, at every boot?

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use crate::failure::{Exit, Failure, from_io};

/// Folders that the units do not see: `ProtectHome=` and `PrivateTmp=` hide them.
const HIDDEN: [&str; 5] = ["/root", "/home", "/run/user", "/tmp", "/var/tmp"];
/// Write bits of group and others.
const WRITABLE: u32 = 0o022;

/// Refuses a program that the units cannot see, or that somebody beside root may exchange.
///
/// # Errors
/// Exit 7 with the place that is wrong and the commands that help.
pub(super) fn refuse_unfit(program: &Path) -> Result<(), Failure> {
    let path = fs::canonicalize(program).map_err(|error| from_io(program.display(), &error))?;
    let refuse = |why: String| {
        Failure::new(Exit::Refused, why).help(format!(
            "`install -m 755 {} /usr/local/sbin/guardctl`, then `/usr/local/sbin/guardctl service install`",
            path.display()
        ))
    };
    if let Some(hidden) = HIDDEN.iter().find(|hidden| path.starts_with(hidden)) {
        return Err(refuse(format!(
            "{}: units do not see {hidden}, so nothing would be in force after a reboot",
            path.display()
        )));
    }
    for part in path.ancestors() {
        let found = fs::metadata(part).map_err(|error| from_io(part.display(), &error))?;
        let mode = found.permissions().mode();
        if found.uid() != 0 || mode & WRITABLE != 0 {
            return Err(refuse(format!(
                "{}: others than root may write there (owner {}, mode {:o}), and {} would run as root",
                part.display(),
                found.uid(),
                mode & 0o7777,
                path.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_program_that_others_may_exchange_is_no_unit() {
        refuse_unfit(Path::new("/bin/sh")).expect("root's own");

        let folder = Folder::new();
        let program = folder.path().join("guardctl");
        fs::write(&program, "").expect("a file");
        let failure = refuse_unfit(&program).expect_err("in a folder for everybody");

        assert_eq!(failure.exit, Exit::Refused);
        let help = failure.help.expect("a way out");
        assert!(
            help.contains("/usr/local/sbin/guardctl service install"),
            "{help}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let failure = refuse_unfit(Path::new("/usr/sbin/no such program")).expect_err("nothing");
        assert!(
            failure.message.contains("no such program"),
            "{}",
            failure.message
        );
    }
}
