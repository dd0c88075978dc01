//! Which service of systemd made a socket, and whether it serves logins: what can be known of a listener by who
//! may not look into other processes.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Where the unified hierarchy of control groups is mounted.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// Where the files of units are, the administrator's first.
const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Further no control group is looked for.
const MOST_GROUPS: usize = 20_000;
/// What the name or the command of a unit has that serves logins.
const LOGIN_WORDS: [&str; 3] = ["ssh", "dropbear", "telnetd"];
/// Root's number.
const ROOT: u32 = 0;

/// What a listener is, as far as can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Serves {
    /// Logins.
    Logins,
    /// Something else.
    Others,
    /// Nothing says which.
    Unknown,
}

/// What the listener of this user and control group serves.
pub(super) fn serves(uid: u32, cgroup: Option<u64>) -> Serves {
    let path = cgroup.and_then(path_of);
    let unit = path.as_deref().and_then(unit_of);
    let folders: Vec<PathBuf> = UNIT_FOLDERS.iter().map(PathBuf::from).collect();
    classify(uid, unit, &folders)
}

fn classify(uid: u32, unit: Option<&str>, folders: &[PathBuf]) -> Serves {
    match unit {
        Some(unit) if is_about_logins(unit) => Serves::Logins,
        Some(unit) => match commands(unit, folders) {
            Some(commands) if is_about_logins(&commands) => Serves::Logins,
            Some(_) => Serves::Others,
            // A unit of its user, or one whose file is gone.
            None => without_unit(uid),
        },
        None => without_unit(uid),
    }
}

/// Only root can give every user a session.
fn without_unit(uid: u32) -> Serves {
    if uid == ROOT {
        Serves::Unknown
    } else {
        Serves::Others
    }
}

fn is_about_logins(text: &str) -> bool {
    LOGIN_WORDS.iter().any(|word| text.contains(word))
}

/// The service that a control group is part of: the last in its path.
fn unit_of(path: &Path) -> Option<&str> {
    let mut names = path.iter().rev().filter_map(|name| name.to_str());
    names.find(|name| name.ends_with(".service"))
}

/// The commands of a unit's file; `None` when there is none.
fn commands(unit: &str, folders: &[PathBuf]) -> Option<String> {
    let mut names = vec![unit.to_owned()];
    if let Some((template, _)) = unit.split_once('@') {
        names.push(format!("{template}@.service"));
    }
    let paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let text = paths
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())?;
    let commands: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("Exec"))
        .collect();
    Some(commands.join("\n"))
}

/// The folder of a control group: its number is the folder's.
fn path_of(cgroup: u64) -> Option<PathBuf> {
    let root = HIERARCHIES
        .iter()
        .map(Path::new)
        .find(|root| root.join("cgroup.procs").exists())?;
    let mut left = vec![root.to_path_buf()];
    let mut seen = 0;
    while let Some(folder) = left.pop() {
        seen += 1;
        if seen > MOST_GROUPS {
            return None;
        }
        if fs::metadata(&folder).is_ok_and(|metadata| metadata.ino() == cgroup) {
            return Some(folder);
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(folders.map(|entry| entry.path()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_listener_is_a_server_of_logins_by_its_unit_and_unknown_where_nothing_says() {
        let folder = Folder::new();
        folder.write(
            "nginx.service",
            "[Service]\n# not sshd\nExecStart=/usr/sbin/nginx\n",
        );
        folder.write(
            "remote@.service",
            "[Service]\nExecStart=-/opt/bin/sshd -f %i\n",
        );
        let folders = [folder.path().to_path_buf()];
        for (uid, unit, expected) in [
            (0, Some("ssh.service"), Serves::Logins),
            (0, Some("sshd@7-192.0.2.1:22.service"), Serves::Logins),
            (0, Some("dropbear.service"), Serves::Logins),
            (0, Some("nginx.service"), Serves::Others),
            (33, Some("nginx.service"), Serves::Others),
            (0, Some("remote@east.service"), Serves::Logins),
            (0, Some("gone.service"), Serves::Unknown),
            (1000, Some("gone.service"), Serves::Others),
            // By socket activation, in a container, or without systemd.
            (0, None, Serves::Unknown),
            (1000, None, Serves::Others),
        ] {
            assert_eq!(classify(uid, unit, &folders), expected, "{uid} {unit:?}");
        }
    }

    #[test]
    fn a_control_group_belongs_to_the_innermost_service() {
        for (path, unit) in [
            ("/sys/fs/cgroup/system.slice/ssh.service", "ssh.service"),
            (
                "/c/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                "web.service",
            ),
            ("/sys/fs/cgroup/init.scope", ""),
            ("/sys/fs/cgroup/system.slice/docker-0123456789ab.scope", ""),
        ] {
            assert_eq!(unit_of(Path::new(path)).unwrap_or_default(), unit, "{path}");
        }
    }
}
