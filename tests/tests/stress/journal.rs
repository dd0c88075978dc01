//! A19: the same from the journal, by a journalctl of our own that writes as fast as it is read, ends, and
//! is begun again.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, GuardDaemon, Journald, within},
    sshd_log,
};

use super::scene::{PORT, Scene, is_long, peak_kb};

const JAIL: &str =
    "[jail.sshd]\nenabled = true\njournal = \"_SYSTEMD_UNIT=ssh.service\"\nmaxretry = 5\n";
/// Entries that it writes each time that it is begun.
const ENTRIES: usize = 100_000;
/// Fewest entries per second.
const FLOOR: f64 = 20_000.0;

#[test]
fn a_flooded_journal_is_read_once_and_its_attacker_is_banned() {
    let Some(scene) = Scene::with(JAIL) else {
        return;
    };
    let turns = if is_long() { 60 } else { 8 };
    let folder = scene.guard.folder().join("bin");
    fs::create_dir(&folder).expect("a folder");
    // The first half of a turn, the attacker's five failures, and the second half.
    let victim = scene.lab.attacker.v4.to_string();
    let failure = format!("Failed password for root from {victim} port 40000 ssh2");
    let turn = |turn: usize| {
        let first = turn * (ENTRIES + 5);
        let half = ENTRIES / 2;
        let messages = sshd_log::messages(0, half);
        let is_attacked = turn == turns / 2;
        let middle = std::iter::repeat_n(failure.clone(), if is_attacked { 5 } else { 0 });
        let messages = messages.chain(middle).chain(sshd_log::messages(half, half));
        sshd_log::entries(first, messages)
    };
    for number in 0..turns {
        fs::write(folder.join(format!("turn{}", number + 1)), turn(number)).expect("written");
    }
    let script = format!(
        "#!/bin/sh\ncd {}\necho \"$@\" >> arguments\nn=$(wc -l < arguments)\n\
         test -e turn$n || exec sleep 1000\ncat turn$n\ndate +%s.%N >> ended\nexit 1\n",
        folder.display()
    );
    let program = folder.join("journalctl");
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");

    let mut command = scene.guard.command(&["daemon"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display()));
    let begun = Instant::now();
    let daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    let written = (turns * ENTRIES + 5) as u64;
    let mut longest = Duration::ZERO;
    let mut lag_ms = 0;
    let read = || {
        let status = scene.guardctl("status").ok();
        let ran = scene.guardctl("jail status sshd --json").ok();
        let jail = ran.json()["jails"][0].clone();
        longest = longest.max(status.took).max(ran.took);
        lag_ms = lag_ms.max(jail["lag_ms"].as_u64().unwrap_or(0));
        let lines = jail["counts"]["lines"].as_u64().unwrap_or(0);
        (lines >= written && jail["lag_ms"] == 0).then(|| (begun.elapsed(), lines))
    };
    let caught_up = within(Duration::from_secs(turns as u64 * 12), read);

    let (took, lines) =
        caught_up.unwrap_or_else(|| panic!("{}\n{}", scene.status(), daemon.said()));
    assert_eq!(lines, written, "no entry is lost, and none is read twice");
    assert_eq!(
        scene.lab.attacker.ask_udp(scene.lab.srv.v4, PORT),
        Answer::Silence
    );
    scene.assert_friend_gets_in();
    let arguments = fs::read_to_string(folder.join("arguments")).expect("its arguments");
    let begins: Vec<&str> = arguments.lines().collect();
    assert!(begins.len() > turns, "{}", begins.len());
    assert!(
        begins[1..].iter().all(|line| line.contains("--cursor=")),
        "{arguments}"
    );
    let peak = peak_kb(daemon.id());
    // Between two turns it waits before it is begun again; those pauses are no work.
    let speed = lines as f64 / took.as_secs_f64();
    println!(
        "{lines} entries in {took:.1?}, begun {} times: {speed:.0}/s; at most {lag_ms} ms behind; slowest command \
         {longest:?}; {peak} KB of memory",
        begins.len()
    );
    assert!(peak < 128 * 1024, "{peak} KB");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert!(speed > FLOOR, "{speed:.0} entries/s");
}

/// Entries of a real journal.
const REAL: usize = 60_000;
/// Fewest of them per second; journalctl takes most of the time.
const REAL_FLOOR: f64 = 10_000.0;

#[test]
fn a_real_journal_is_read_about_as_fast_as_journalctl_writes_it() {
    if !Journald::is_possible() {
        return;
    }
    let jail = "[jail.sshd]\nenabled = true\njournal = \"SYSLOG_IDENTIFIER=sshd\"\nmaxretry = 5\n";
    let Some(scene) = Scene::with(jail) else {
        return;
    };
    let entries = if is_long() { 5 * REAL } else { REAL };
    let journald = Journald::start("RateLimitIntervalSec=0\nRateLimitBurst=0\n");
    for message in sshd_log::messages(0, entries) {
        let fields =
            format!("SYSLOG_IDENTIFIER=sshd\nSYSLOG_FACILITY=10\nPRIORITY=6\nMESSAGE={message}\n");
        journald.send(fields.as_bytes());
    }
    // It is asked by a program that waits until everything is written.
    drop(journald.journalctl(&["--sync"]).ok());
    let alone = journald.journalctl(&[
        "--quiet",
        "--all",
        "--output=export",
        "SYSLOG_IDENTIFIER=sshd",
    ]);
    assert_eq!(alone.stdout.matches("\nMESSAGE=").count(), entries);
    let alone = entries as f64 / alone.took.as_secs_f64();

    let launcher = journald.launcher();
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let mut command = scene.guard.command_behind(&launcher, &["daemon"]);
    let begun = Instant::now();
    let daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    let all = within(Duration::from_secs(60), || {
        let lines = scene.status()["counts"]["lines"].as_u64().unwrap_or(0);
        (lines >= entries as u64).then_some(lines)
    });
    let took = begun.elapsed();
    assert_eq!(
        all,
        Some(entries as u64),
        "{}\n{}",
        scene.status(),
        daemon.said()
    );
    let speed = entries as f64 / took.as_secs_f64();
    println!(
        "{entries} entries of a real journal in {took:.1?}: {speed:.0}/s; journalctl alone, into a file: {alone:.0}/s"
    );
    assert!(speed > REAL_FLOOR, "{speed:.0} entries/s");
}
