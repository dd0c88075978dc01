//! Whatever stands in the place of a file of the state folder: nobody waits for it, the policy is in force after a
//! reboot, and what it knew is not lost without a word.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, slice};

use guard_tests::{lab::GuardDaemon, require};

use super::machine::{Machine, POLICY};

/// Puts something in the place of a file.
type Put = fn(&Path);

/// What may stand there.
const KINDS: [(&str, Put); 6] = [
    ("a pipe", |path| {
        remove(path);
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo").success());
    }),
    ("a folder", |path| {
        remove(path);
        fs::create_dir(path).expect("a folder");
    }),
    ("garbage", garbage),
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
];

/// What guard keeps there.
const FILES: [&str; 9] = [
    "enabled",
    "applied.json",
    "pending.json",
    "last-good.json",
    "devices.json",
    "attachments.json",
    "feeds.json",
    "jails.redb",
    BANS,
];

/// The one of which must be reported that it was lost: all others are written anew from what is known elsewhere, or say no
/// more than that they are there.
const BANS: &str = "bans.redb";
const BANNED: &str = "203.0.113.99";

fn garbage(path: &Path) {
    remove(path);
    fs::write(path, [0xff, 0, b'{', b'\n', 7]).expect("written");
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).expect("a folder");
    } else {
        fs::remove_file(path).unwrap_or_default();
    }
}

#[test]
fn whatever_stands_in_the_place_of_all_state_files_the_policy_and_the_bans_are_in_force() {
    if !require::root() {
        return;
    }
    let machine = banning();
    for (kind, put) in KINDS {
        assert_survives(&machine, kind, put, &FILES);
    }
}

#[test]
fn a_single_state_file_of_garbage_keeps_neither_policy_nor_bans_from_being_in_force() {
    if !require::root() {
        return;
    }
    let machine = banning();
    for file in &FILES {
        assert_survives(&machine, file, garbage, slice::from_ref(file));
    }
}

/// A server with a policy and a ban, of which the daemon has made its copy.
fn banning() -> Machine {
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    let ban = ["ban", BANNED, "--permanent"];
    drop(machine.guard.guardctl(&ban).ok());
    drop(GuardDaemon::start(&machine.guard));
    machine
}

fn assert_survives(machine: &Machine, case: &str, put: Put, files: &[&str]) {
    println!("{case}");
    let guard = &machine.guard;
    machine.reboot();
    for file in files {
        put(&guard.state().join(file));
    }
    // Whoever is the first to read it tells of it.
    let load = guard.guardctl(&["load"]).ok();
    machine.assert_filters();
    let status = guard.guardctl(&["status"]).ok();
    let enable = guard.guardctl(&["enable"]).ok();
    let daemon = GuardDaemon::start(guard);
    drop(guard.guardctl(&["allow", "4000"]).ok());
    drop(guard.guardctl(&["delete", "allow", "4000"]).ok());
    let bans = guard.guardctl(&["bans", "list"]).ok();
    assert!(
        bans.stdout.contains(BANNED),
        "{case}: the ban is gone: {bans}"
    );
    let said = format!("{load}{status}{enable}{}", daemon.said());
    if files.contains(&BANS) {
        assert!(
            said.contains("the store of bans"),
            "{case}: nothing is said of the bans: {said}"
        );
    }
}
