//! Files that guardctl is given as root, and guard-fleet has to read as a user without rights, in a unit that hides folders
//! from it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::unistd::User;

use crate::{
    control::fleet::USER,
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// The unit, where packages and administrators have it.
const UNIT: &str = "guard-fleet.service";
const UNIT_FOLDERS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// What the unit hides: ProtectHome and PrivateTmp of `packaging/systemd/guard-fleet.service`.
const HIDDEN: [&str; 5] = ["/root", "/home", "/run/user", "/tmp", "/var/tmp"];

/// Refused: a file that guard-fleet cannot read, or does not see.
///
/// # Errors
/// Exit 7, with the way out.
pub(super) fn refuse_unreadable(layout: &Layout, path: &Path) -> Result<(), Failure> {
    let refused = |what: &str, way_out: String| {
        let failure = Failure::new(Exit::Refused, format!("{}: {what}", path.display()));
        Err(failure.help(way_out))
    };
    let has_unit = UNIT_FOLDERS
        .iter()
        .map(Path::new)
        .chain([layout.units.as_path()])
        .any(|folder| folder.join(UNIT).exists());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if has_unit && let Some(folder) = HIDDEN.iter().find(|folder| path.starts_with(folder)) {
        return refused(
            &format!("guard-fleet.service does not see what is in {folder}"),
            format!(
                "install -o root -g {USER} -m 640 {} /etc/guard/{name}, and name that",
                path.display()
            ),
        );
    }
    // Without the package there is no such user, and whoever runs guard-fleet reads with his own rights.
    let Ok(Some(user)) = User::from_name(USER) else {
        return Ok(());
    };
    let allows = |path: &Path, bit: u32| {
        let file = fs::metadata(path).map_err(|error| from_io(path.display(), &error))?;
        let mode = file.permissions().mode();
        let shift = match () {
            () if file.uid() == user.uid.as_raw() => 6,
            () if file.gid() == user.gid.as_raw() => 3,
            () => 0,
        };
        Ok::<bool, Failure>(mode >> shift & bit != 0)
    };
    if !allows(path, 4)? {
        return refused(
            "guard-fleet cannot read it",
            format!("chown root:{USER} {0}; chmod 640 {0}", path.display()),
        );
    }
    for folder in path.ancestors().skip(1) {
        if !allows(folder, 1)? {
            return refused(
                &format!("guard-fleet cannot enter {}", folder.display()),
                format!(
                    "install -o root -g {USER} -m 640 {} /etc/guard/{name}, and name that",
                    path.display()
                ),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_the_unit_hides_is_refused_with_a_place_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut layout = Layout::from_environment();
        layout.units = folder.path().to_owned();
        fs::write(folder.path().join(UNIT), "").expect("a unit");
        for hidden in [
            "/root/web-1.nk",
            "/home/anna/web-1.nk",
            "/tmp/web-1.nk",
            "/run/user/0/web-1.nk",
        ] {
            let failure = refuse_unreadable(&layout, Path::new(hidden)).expect_err(hidden);
            assert_eq!(failure.exit, Exit::Refused);
            assert!(failure.message.contains("does not see"), "{failure:?}");
            let help = failure.help.expect("a way out");
            assert!(help.contains("640 ") && help.ends_with("/etc/guard/web-1.nk, and name that"));
        }
        let own = folder.path().join("key");
        fs::write(&own, "").expect("a key");
        layout.units = folder.path().join("none");
        if !UNIT_FOLDERS
            .iter()
            .any(|at| Path::new(at).join(UNIT).exists())
            && !matches!(User::from_name(USER), Ok(Some(_)))
        {
            assert!(refuse_unreadable(&layout, &own).is_ok());
        }
    }
}
