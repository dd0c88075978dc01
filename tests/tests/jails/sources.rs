//! Logs that are there, that are not, and that come and go.

use std::{fs, os::unix::fs::PermissionsExt as _};

use guard_tests::lab::{GuardDaemon, until};

use super::scene::{Scene, rfc3339};

#[test]
fn what_is_wrong_with_one_jail_is_told_and_keeps_no_other_from_working() {
    let jails = "[jail.sshd]\nlogpath = [\"LOG\"]\n\
        [jail.missing]\nfilter = \"sshd\"\nlogpath = [\"/nonexistent/auth.log\"]\n\
        [jail.nofilter]\nfilter = \"nonsense\"\nlogpath = [\"LOG\"]\n\
        [jail.broken]\nfilter = \"broken\"\nlogpath = [\"LOG\"]\n\
        [jail.cyclic]\nfilter = \"cyclic\"\nlogpath = [\"LOG\"]\n\
        [jail.slow]\nfilter = \"slow\"\nlogpath = [\"LOG\"]\n\
        [jail.nothing]\nfilter = \"nothing\"\n\
        [jail.typo]\nfilter = \"sshd\"\nmaxretri = 3\n\
        [jail.folder]\nfilter = \"sshd\"\nlogpath = [\"/proc\"]\n";
    let filters = [
        ("broken", "[Definition]\nfailregex = ^(<HOST>$\n"),
        (
            "cyclic",
            "[INCLUDES]\nbefore = cyclic.conf\n[Definition]\nfailregex = ^<HOST>$\n",
        ),
        (
            "slow",
            "[Definition]\nfailregex = ^(?=x)?(a+)+(?<!b)\\1 <HOST>$\n",
        ),
        ("nothing", "[Definition]\nfailregex = ^<HOST>$\n"),
    ];
    let scene = Scene::started(jails, |guard| {
        let folder = guard.etc().join("filter.d");
        fs::create_dir(&folder).expect("a folder");
        for (name, text) in filters {
            fs::write(folder.join(name).with_extension("conf"), text).expect("a filter");
        }
    });
    let Some(scene) = scene else { return };
    let why = |jail: &str| {
        scene.status(jail)["broken"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    until("the first report", || !why("nofilter").is_empty());
    for (jail, says) in [
        ("nofilter", "there is no filter `nonsense`"),
        ("broken", "broken.conf:2"),
        ("cyclic", "cyclic.conf"),
        ("nothing", "has nothing to read"),
        ("typo", "its settings are wrong"),
    ] {
        assert!(why(jail).contains(says), "{jail}: {:?}", why(jail));
        let _ = scene
            .guardctl(&format!("jail status {jail}"))
            .exit(8)
            .says("BROKEN");
    }
    let _ = scene
        .guardctl("jail list")
        .exit(8)
        .says("did you mean maxretry?");
    let _ = scene
        .guardctl("check")
        .exit(5)
        .says("did you mean maxretry?")
        .says("there is no filter `nonsense`");
    let log = |jail: &str| scene.status(jail)["logs"][0].clone();
    assert_eq!(log("missing")["is_read"], false);
    assert_eq!(log("folder")["is_read"], false);
    scene
        .daemon
        .says("jail nofilter: there is no filter `nonsense`");

    // A line that takes a pattern too many steps is counted and holds up nobody.
    scene.write_raw(format!("{}\n", "a".repeat(60_000)).repeat(20).as_bytes());
    scene.fail("203.0.113.66", 5);
    scene.until_banned("203.0.113.66");
    scene.assert_shut_out_v4();

    // A filter that is mended is taken with the next reload.
    let folder = scene.guard.etc().join("filter.d");
    let mended = "[Definition]\nfailregex = ^<HOST> mended$\ndatepattern = {NONE}\n";
    fs::write(folder.join("broken.conf"), mended).expect("a filter");
    let _ = scene.guardctl("f2b reload").ok();
    assert_eq!(why("broken"), "");
}

#[test]
fn a_log_that_comes_late_or_becomes_readable_is_read_from_its_beginning() {
    let jails = "[jail.sshd]\nlogpath = [\"LOG\", \"LOG.d/*.log\"]\n";
    let Some(scene) = Scene::with(jails) else {
        return;
    };
    let folder = scene.log().with_extension("log.d");
    fs::create_dir(&folder).expect("a folder");
    let file = folder.join("late.log");
    let stamp = rfc3339(std::time::SystemTime::now());
    let line =
        format!("{stamp} srv sshd[1]: Failed password for root from 203.0.113.66 port 1 ssh2\n");
    fs::write(&file, line.repeat(5)).expect("a log");
    scene.until_banned("203.0.113.66");
    // Rotated away, and a new one in its place.
    fs::rename(scene.log(), scene.log().with_extension("log.1")).expect("rotated");
    scene.fail("203.0.113.67", 5);
    scene.until_banned("203.0.113.67");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    assert_eq!(scene.count("sshd", "lines"), 10);
}

#[test]
fn failures_from_before_a_restart_count_and_are_counted_once() {
    let Some(mut scene) = Scene::with("[jail.sshd]\nlogpath = [\"LOG\"]\n") else {
        return;
    };
    scene.fail("203.0.113.66", 3);
    scene.until_read("sshd", 3);
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        scene.daemon.signal(signal);
        scene.daemon.wait();
        scene.daemon = GuardDaemon::start(&scene.guard);
    }
    until("what counts to be counted again", || {
        scene.count("sshd", "suspects") == 1
    });
    assert_eq!(
        scene.guard.banned().len(),
        0,
        "three failures are three, however often they are read"
    );
    scene.fail("203.0.113.66", 2);
    scene.until_banned("203.0.113.66");
    // Written while nobody read.
    scene.daemon.signal(libc::SIGKILL);
    scene.daemon.wait();
    scene.fail("203.0.113.67", 5);
    scene.daemon = GuardDaemon::start(&scene.guard);
    scene.until_banned("203.0.113.67");
    let left = |index: usize| {
        let bans = scene.guardctl("bans list --json").json();
        bans["bans"][index]["seconds_left"]
            .as_f64()
            .expect("a time")
    };
    assert!(
        left(0) <= 600.0,
        "nobody is banned twice for the same failures"
    );
    assert_eq!(scene.guard.banned(), ["203.0.113.66", "203.0.113.67"]);
}

/// A stand-in for journalctl: it writes what a file holds, and follows it.
const JOURNALCTL: &str = "#!/bin/sh\nexec tail -n +1 -f \"$JOURNAL_ENTRIES\"\n";

#[test]
fn the_journal_is_read_like_a_file_and_its_absence_is_a_state() {
    let jails = "[jail.sshd]\njournal = \"_SYSTEMD_UNIT=ssh.service\"\n";
    let Some(mut scene) = Scene::with(jails) else {
        return;
    };
    let folder = scene.guard.folder().join("bin");
    fs::create_dir(&folder).expect("a folder");
    let program = folder.join("journalctl");
    fs::write(&program, JOURNALCTL).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let entries = scene.guard.folder().join("entries");
    let entry = |number: usize, source: &str, unit: &str| {
        let now = std::time::SystemTime::now();
        let us = now
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a time")
            .as_micros();
        format!(
            "__CURSOR=c{number}\n__REALTIME_TIMESTAMP={us}\n_SYSTEMD_UNIT={unit}\n_HOSTNAME=srv\n\
             SYSLOG_IDENTIFIER=sshd\n_PID=7\nMESSAGE=Failed password for root from {source} port 1 ssh2\n\n"
        )
    };
    let mut text = String::new();
    for number in 0..5 {
        text += &entry(number, "203.0.113.66", "ssh.service");
        // Anybody can write such a message; only sshd's unit is believed.
        text += &entry(100 + number, "198.51.100.77", "evil.service");
    }
    fs::write(&entries, text).expect("entries");

    scene.daemon.signal(libc::SIGTERM);
    scene.daemon.wait();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = scene.guard.command(&["daemon"]);
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("JOURNAL_ENTRIES", &entries);
    scene.daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    scene.until_banned("203.0.113.66");
    assert_eq!(scene.guard.banned(), ["203.0.113.66"]);
    assert_eq!(scene.status("sshd")["logs"][0]["is_read"], true);

    // Without the program.
    scene.daemon.signal(libc::SIGTERM);
    scene.daemon.wait();
    let empty = scene.guard.folder().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let path = format!("PATH={}", empty.display());
    let mut command = scene.guard.command_behind(&["env", &path], &["daemon"]);
    scene.daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    until("the state", || {
        let log = scene.status("sshd")["logs"][0].clone();
        log["state"]
            .as_str()
            .is_some_and(|state| state.contains("no journalctl"))
    });
    let _ = scene
        .guardctl("jail status sshd")
        .ok()
        .says("no journalctl");
}
