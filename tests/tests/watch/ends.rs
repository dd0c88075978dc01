//! Watchers that are killed, too many, or watch while guard is upgraded, switched off and on.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use guard_common::abi::{ABI_VERSION, names};
use guard_tests::lab::{Answer, until, within};

use super::scene::{CLOSED, OPEN, Scene, interrupt, line, lines, signal};

#[test]
fn a_watcher_that_was_killed_is_forgotten() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut watcher = scene.watch("monitor", &["monitor", "--json"]);
    let _ = attacker.ask_tcp(srv.v4, CLOSED);
    line(&watcher, "a line", |line| line["kind"] == "drop");
    assert!(scene.guard.is_watched());
    signal(&watcher, libc::SIGKILL);
    until("the end", || watcher.has_ended());
    // Its two seconds are over, and a packet comes.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(attacker.ask_tcp(srv.v4, CLOSED), Answer::Silence);
    assert!(
        !scene.guard.is_watched(),
        "the filter still believes that somebody watches"
    );
    // Its place is free for others, and filtering is what it was.
    let mut next = scene.watch("next", &["monitor", "--json"]);
    let _ = attacker.ask_tcp(srv.v4, CLOSED);
    line(&next, "a line", |line| line["kind"] == "drop");
    assert_eq!(attacker.ask_tcp(srv.v4, OPEN), Answer::Echo);
    interrupt(&mut next);
    assert!(!scene.guard.is_watched(), "who leaves says so");
}

#[test]
fn several_watch_at_once_and_one_too_many_is_told() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let names = ["first", "second", "third", "fourth"];
    let mut watchers = names.map(|name| scene.watch(name, &["monitor", "--json"]));
    drop(
        scene
            .guard
            .guardctl(&["monitor", "--for", "1s"])
            .exit(1)
            .says("4 programs watch already"),
    );
    let _ = attacker.ask_tcp(srv.v4, CLOSED);
    for watcher in &watchers {
        line(watcher, "a line of each", |line| line["kind"] == "drop");
    }
    // Whoever leaves takes nothing from the others, the first of them least of all.
    interrupt(&mut watchers[0]);
    thread::sleep(Duration::from_millis(1200));
    let before = watchers.each_ref().map(|watcher| lines(watcher).len());
    let _ = attacker.ask_tcp(srv.v6, CLOSED);
    for (watcher, before) in watchers.iter().zip(before).skip(1) {
        until("a line of each that is left", || {
            lines(watcher).len() > before
        });
    }
    assert_eq!(attacker.ask_tcp(srv.v4, OPEN), Answer::Echo);
}

#[test]
fn watching_goes_on_over_a_new_program_and_over_off_and_on() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut watcher = scene.watch("monitor", &["monitor", "--json"]);
    let file = scene.guard.folder().join("off.pcapng");
    let file = file.to_str().expect("a path");
    let mut capture = scene.watch("capture", &["capture", "-w", file]);
    let mut seen = 0;
    let mut sees = |what: &str| {
        let found = within(Duration::from_secs(10), || {
            let _ = attacker.ask_tcp(srv.v4, CLOSED);
            let lines = lines(&watcher);
            let drops = lines.iter().filter(|line| line["kind"] == "drop").count();
            (drops > seen).then_some(drops)
        });
        seen = found.unwrap_or_else(|| panic!("nothing is seen {what}"));
    };
    sees("at the beginning");
    drop(scene.guard.guardctl(&["load", "--new-program"]).ok());
    sees("behind a new program");
    drop(scene.guard.guardctl(&["allow", "5000/tcp"]).ok());
    sees("behind a change of the policy");
    drop(scene.guard.guardctl(&["disable"]).ok());
    line(&watcher, "that guard is off", |line| {
        line["active"] == false
    });
    until("the capture to say so", || {
        capture.said().contains("guard is off: nothing to capture")
    });
    drop(scene.guard.guardctl(&["enable", "--force"]).ok());
    line(&watcher, "that guard is on", |line| line["active"] == true);
    sees("behind off and on");
    until("the capture to go on", || {
        capture.said().contains("guard is on again")
    });
    interrupt(&mut watcher);
    interrupt(&mut capture);
}

#[test]
fn a_reader_that_went_away_ends_it() {
    let Some(scene) = Scene::new() else { return };
    let mut child = scene
        .guard
        .command(&["monitor", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("guardctl");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut first = None;
    until("a line", || scene.guard.is_watched());
    let _ = scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED);
    first = first.or_else(|| lines.next());
    assert!(first.is_some_and(|line| line.is_ok_and(|line| line.contains("default-drop"))));
    drop(lines);
    let ended = within(Duration::from_secs(10), || {
        let _ = scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED);
        child.try_wait().expect("our own child")
    });
    let status = ended.expect("it goes on though nobody reads");
    assert!(status.success(), "{status}");
}

#[test]
fn the_program_s_own_log_tells_of_each_decision() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut watcher = scene.watch("trace", &["trace", "--json"]);
    for (to, from) in [(srv.v4, attacker.v4), (srv.v6, attacker.v6)] {
        let _ = attacker.ask_tcp(to, CLOSED);
        let found = line(&watcher, "a line", |line| {
            line["source"] == from.to_string()
        });
        assert_eq!(found["destination"], to.to_string(), "{found}");
        assert_eq!(found["reason"], "default-drop", "{found}");
        assert_eq!(found["action"], "drop", "{found}");
        assert_eq!(found["service"], format!("{CLOSED}/tcp"), "{found}");
        assert_eq!(found["interface"], "eth0", "{found}");
    }
    interrupt(&mut watcher);
    let mut watcher = scene.watch("words", &["trace", "--count", "1"]);
    let _ = attacker.ask_tcp(srv.v4, CLOSED);
    until("the end", || watcher.has_ended());
    let said = watcher.said();
    assert!(said.contains(" eth0:0 "), "{said}");
    let words = format!(
        "drop default-drop {CLOSED}/tcp {} -> {}",
        attacker.v4, srv.v4
    );
    assert!(said.contains(&words), "{said}");
}

#[test]
fn a_program_of_an_earlier_version_is_named_and_its_exchange_is_all_that_is_needed() {
    let Some(scene) = Scene::new() else { return };
    let maps = scene.guard.bpffs().join(format!("v{ABI_VERSION}/maps"));
    // As that version left it.
    for pin in [names::WATCH_PIN, names::WATCH_PROGRAMS] {
        std::fs::remove_file(maps.join(pin)).expect("a pin");
    }
    let monitor = || scene.guard.guardctl(&["monitor", "--for", "1s"]);
    drop(monitor().exit(11).says("guardctl load --new-program"));
    drop(scene.guard.guardctl(&["load", "--new-program"]).ok());
    let mut watcher = scene.watch("monitor", &["monitor", "--json"]);
    let _ = scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED);
    line(&watcher, "a line", |line| line["kind"] == "drop");
    interrupt(&mut watcher);
}
