//! Without a terminal: one frame as text or as figures, pipes, and refusals that say what to do.

use std::{process::Command, time::Duration};

use guard_tests::lab::{Background, guardctl_path, until};

use super::scene::Scene;

#[test]
fn one_frame_is_text_of_eighty_columns_and_the_same_in_figures() {
    let Some(scene) = Scene::new() else { return };
    let (flood, source) = scene.knock(500);
    let mut plain = scene.guard.command(&["top", "--once"]);
    plain.env("LC_ALL", "C");
    let shown = guard_tests::lab::finish(&mut plain, Duration::from_secs(30));
    let shown = shown.ok().stdout;
    assert!(
        shown.lines().any(|line| line.starts_with("22/tcp")),
        "{shown}"
    );
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert!(shown.is_ascii() && !shown.contains('\u{1b}'), "{shown}");

    let rates = scene
        .guard
        .guardctl(&["top", "--once", "--json"])
        .ok()
        .json();
    assert_eq!(rates["active"], true, "{rates}");
    assert_eq!(rates["interfaces"][0]["name"], "eth0", "{rates}");
    assert_eq!(rates["interfaces"][0]["protected"], true, "{rates}");
    let port = &rates["ports"][0];
    assert_eq!(port["label"], "22/tcp", "{rates}");
    assert_eq!(port["main_reason"], "default-drop", "{rates}");
    let dropped = port["dropped"]["packets"].as_f64().expect("a number");
    assert!((350.0..650.0).contains(&dropped), "{port}");
    assert_eq!(rates["sources"][0]["source"], source, "{rates}");
    assert!(rates["cpu"]["nanoseconds"].as_f64() > Some(1.0), "{rates}");
    drop(flood);
}

#[test]
fn five_watchers_are_one_too_many_and_the_fifth_says_what_it_does_not_show() {
    let Some(scene) = Scene::new() else { return };
    let (flood, _) = scene.knock(100);
    let start = |number: u32| {
        let log = scene.guard.folder().join(format!("monitor-{number}"));
        Background::start(&mut scene.guard.command(&["monitor", "--for", "5m"]), log)
    };
    let watchers = [1, 2, 3, 4].map(start);
    until("four that watch", || {
        watchers
            .iter()
            .all(|watcher| watcher.said().contains("default-drop"))
    });
    let rates = scene
        .guard
        .guardctl(&["top", "--once", "--json"])
        .ok()
        .json();
    drop(watchers);
    let note = rates["notes"][0].as_str().expect("text");
    assert!(note.starts_with("no sources and main reasons: "), "{note}");
    assert_eq!(rates["sources"], serde_json::json!([]), "{rates}");
    assert_eq!(rates["ports"][0]["label"], "22/tcp", "{rates}");
    drop(flood);
}

#[test]
fn pipes_that_close_no_terminal_and_no_guard_are_told_apart() {
    let Some(scene) = Scene::new() else { return };
    let piped = |line: &str| {
        let mut shell = Command::new("nsenter");
        shell
            .arg(format!("--net={}", scene.lab.srv.path().display()))
            .args(["bash", "-c", line])
            .env("GUARDCTL", guardctl_path())
            .envs(scene.guard.environment());
        guard_tests::lab::finish(&mut shell, Duration::from_secs(30))
    };
    let closed = piped("set -o pipefail; \"$GUARDCTL\" top --once | true");
    assert_eq!(closed.code, Some(0), "{}", closed.stderr);
    let no_screen = scene.guard.guardctl(&["top"]);
    assert_eq!(no_screen.code, Some(2), "{}", no_screen.stderr);
    assert!(no_screen.stderr.contains("--once"), "{}", no_screen.stderr);
    for (term, why) in [(None, "TERM is not set"), (Some("dumb"), "TERM=dumb")] {
        let mut command = scene.guard.command(&["top"]);
        match term {
            Some(term) => command.env("TERM", term),
            None => command.env_remove("TERM"),
        };
        let mut terminal = guard_tests::lab::Terminal::start(&mut command);
        assert_eq!(terminal.ends(), 2);
        let said = terminal.said();
        assert!(said.contains(why) && said.contains("--once"), "{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    drop(scene.guard.guardctl(&["disable"]).ok());
    let off = scene.guard.guardctl(&["top", "--once"]);
    assert_eq!(off.code, Some(3), "{}", off.stderr);
}
