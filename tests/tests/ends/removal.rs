//! What becomes of rules that have ended.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use guard_tests::lab::{GuardDaemon, until};

use super::scene::{POLICY, PORT, SHORT, Scene};

/// A probe that is not answered waits for a quarter of a second, in each family; `--for` counts full seconds, and the
/// machine may be busy.
const SLACK: Duration = Duration::from_secs(4);

#[test]
fn a_rule_ends_with_nobody_alive_and_the_next_change_takes_it_out_of_the_file() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let begun = Instant::now();
    let _ = scene
        .run(&format!("allow {PORT} --for {}s", SHORT.as_secs()))
        .ok();
    assert_eq!(scene.get_through(), [true; 2]);
    let listed = scene.rules();
    let left = listed[1]["seconds_left"].as_u64().expect("a time");
    assert!(left <= SHORT.as_secs() + 1, "{left} s left");
    let _ = scene.run("list").ok().says(" left)");
    let to = scene.lab.srv.v4;
    let mut stream = scene
        .lab
        .friend
        .run(|| TcpStream::connect((to, PORT)))
        .expect("a connection");

    let lasted = scene.changes_to(false, begun);

    assert!(lasted >= SHORT && lasted < SHORT + SLACK, "{lasted:?}");
    // As with a rule that is deleted.
    stream.write_all(b"hello").expect("sent");
    let mut answer = [0; 5];
    stream
        .read_exact(&mut answer)
        .expect("an open session goes on");
    assert_eq!(&answer, b"hello");
    let _ = scene.run("status").says("over since");
    let _ = scene.run("check").ok().says("rule 2 is over since");
    // A number from before may mean another rule.
    let refused = scene.run("delete 2").exit(1);
    let _ = refused
        .says("rule 2 has ended and is removed")
        .says("another rule");
    assert_eq!(scene.guard.policy(), POLICY);
    assert_eq!(scene.rules().len(), 1);
    let commands = scene.commands();
    assert!(
        commands[0].starts_with("ended: allow 7000 --until "),
        "{commands:?}"
    );
}

#[test]
fn what_a_deny_and_a_limit_close_is_open_again_when_they_end() {
    for words in ["deny", "limit"] {
        let policy = format!("{POLICY}\n[[rule]]\naction = \"allow\"\nport = {PORT}\n");
        let Some(scene) = Scene::with(&policy) else {
            return;
        };
        let limit = if words == "limit" {
            " packets 1/h burst 1"
        } else {
            ""
        };
        let begun = Instant::now();
        let line = format!(
            "insert 1 {words} {PORT}/udp{limit} --for {}s",
            SHORT.as_secs()
        );
        let _ = scene.run(&line).ok();
        // What a limit lets in is used up.
        scene.get_through();
        assert_eq!(scene.get_through(), [false; 2], "{words}");

        let lasted = scene.changes_to(true, begun);

        assert!(
            lasted >= SHORT && lasted < SHORT + SLACK,
            "{words}: {lasted:?}"
        );
        // Before the next change, the rule goes.
        let _ = scene
            .run("allow 9001")
            .ok()
            .says("rule 1 has ended and is removed");
        let numbers = scene.rules().len();
        assert_eq!(numbers, 3, "{words}: {}", scene.guard.policy());
    }
}

#[test]
fn the_daemon_takes_rules_that_have_ended_out_of_the_files_and_says_so() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    let _ = scene.run("allow 7001 --for 2s").ok();
    let _ = scene.run("allow 7002 --for 2s").ok();
    let _ = scene.run("allow 7003 --for 1h").ok();

    daemon.says("rule 2 has ended and is removed: allow 7001 --until ");

    until("both to be gone", || scene.rules().len() == 2);
    assert!(!scene.guard.policy().contains("7002"));
    assert!(scene.guard.policy().contains("7003"));
    assert!(scene.commands()[0].starts_with("ended: "));
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_and_tried_again() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    let begun = Instant::now();
    let _ = scene.run(&format!("allow {PORT} --for 2s")).ok();
    let etc = scene.guard.etc();
    let mount = |options: &[&str]| {
        let status = Command::new("mount").args(options).arg(&etc).status();
        assert!(status.expect("mount").success());
    };
    mount(&["--bind", etc.to_str().expect("a path")]);
    mount(&["-o", "remount,bind,ro"]);

    daemon.says("rules that have ended cannot be removed from the files");

    scene.changes_to(false, begun);
    assert!(scene.guard.policy().contains("7000"));
    let status = Command::new("umount").arg(&etc).status();
    assert!(status.expect("umount").success());
    daemon.says("rule 2 has ended and is removed");
    assert_eq!(scene.guard.policy(), POLICY);
}
