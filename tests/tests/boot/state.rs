//! Whatever stands in the place of a file of the state folder: nobody waits for it, the policy is in force after a
//! reboot, and what it knew is not lost without a word.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use guard_tests::{lab::GuardDaemon, require};

use crate::machine::{Machine, POLICY};

/// What may stand there.
const KINDS: [(&str, fn(&Path)); 7] = [
    ("a pipe", |path| {
        remove(path);
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo").success());
    }),
    ("a folder", |path| {
        remove(path);
        fs::create_dir(path).expect("a folder");
    }),
    ("garbage", |path| {
        remove(path);
        fs::write(path, [0xff, 0, b'{', b'\n', 7]).expect("written");
    }),
    ("nothing in it", |path| {
        remove(path);
        fs::write(path, "").expect("written");
    }),
    ("another kind of JSON", |path| {
        remove(path);
        fs::write(path, "[[1, {}], \"x\"]").expect("written");
    }),
    ("a link to nothing", |path| {
        remove(path);
        symlink("/nonexistent/file", path).expect("a link");
    }),
    ("read-only", |path| {
        let readable = fs::Permissions::from_mode(0o400);
        fs::set_permissions(path, readable).unwrap_or_default();
    }),
];

/// Files of the state folder, and what must be said of each when it cannot be read; `None` where nothing is lost with
/// it: it is written anew from what is known elsewhere, or says no more than that it is there.
const FILES: [(&str, Option<&str>); 9] = [
    ("enabled", None),
    ("applied.json", None),
    ("pending.json", None),
    ("last-good.json", None),
    ("devices.json", None),
    ("attachments.json", None),
    ("feeds.json", None),
    ("jails.redb", None),
    ("bans.redb", Some("bans")),
];

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).expect("a folder");
    } else {
        fs::remove_file(path).unwrap_or_default();
    }
}

#[test]
fn no_file_of_the_state_folder_keeps_the_policy_from_being_in_force() {
    if !require::root() {
        return;
    }
    let mut surprises = Vec::new();
    for (file, told) in FILES {
        let machine = Machine::with(POLICY);
        let guard = &machine.guard;
        drop(guard.guardctl(&["enable"]).ok());
        drop(guard.guardctl(&["ban", "203.0.113.99", "--permanent"]).ok());
        drop(GuardDaemon::start(guard));
        for (kind, put) in KINDS {
            let case = format!("{file}, {kind}");
            let path = guard.state().join(file);
            machine.reboot();
            put(&path);
            // Who is damaged is told where it is read first.
            let load = guard.guardctl(&["load"]);
            let status = guard.guardctl(&["status"]);
            let enable = guard.guardctl(&["enable"]);
            println!(
                "{case}: load {:?}, status {:?}, enable {:?}",
                load.code, status.code, enable.code
            );
            for (what, ran) in [("load", &load), ("status", &status), ("enable", &enable)] {
                if ran.code != Some(0) {
                    surprises.push(format!("{case}: {what}: {ran}"));
                }
            }
            machine.assert_filters();
            let daemon = GuardDaemon::start(guard);
            drop(guard.guardctl(&["allow", "4000"]).ok());
            drop(guard.guardctl(&["delete", "allow", "4000"]).ok());
            let said = format!("{load}{status}{enable}{}", daemon.said());
            drop(daemon);
            let is_lost = !["read-only"].contains(&kind);
            if let Some(told) = told.filter(|_| is_lost)
                && !said.contains(told)
            {
                surprises.push(format!("{case}: nothing is said of it: {said}"));
            }
            machine.assert_filters();
            if !guard
                .guardctl(&["bans", "list"])
                .ok()
                .stdout
                .contains("203.0.113.99")
            {
                surprises.push(format!("{case}: the ban is gone\n{said}"));
                drop(guard.guardctl(&["ban", "203.0.113.99", "--permanent"]).ok());
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n----\n"));
}
