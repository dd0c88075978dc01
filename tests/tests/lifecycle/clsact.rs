//! The way out watched by a filter of the clsact qdisc, as before Linux 6.6: there is one filter, it
//! goes with guard, and whoever deletes the qdisc is noticed.

use std::time::Duration;

use guard_common::abi::names;
use guard_tests::{
    lab::{Answer, Ran, UdpEcho, finish},
    require,
};

use super::scene::{CLOSED, OPEN, Scene};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn there_is_one_filter_whatever_is_done_and_none_when_guard_is_off() {
    if !has_programs() {
        return;
    }
    let scene = Scene::with_clsact();
    let filters = || tc(&scene, "filter show dev eth0 egress").stdout;
    let ours = || {
        let filters = filters();
        let lines = filters.lines().filter(|line| line.contains(" handle "));
        lines.filter(|line| line.contains(names::EGRESS)).count()
    };
    assert_eq!(ours(), 1, "{}", filters());
    assert_asks(&scene, Answer::Echo);

    let many: String = (0..4000)
        .map(|number| {
            let (high, low, port) = (number / 250, number % 250, 10_000 + number);
            format!(
                "\n[[rule]]\naction = \"allow\"\nport = {port}\nfrom = \"10.{high}.{low}.0/24\"\n"
            )
        })
        .collect();
    let larger = scene.guard.policy() + &many;
    for words in [
        &["enable"][..],
        &["reload"],
        &["allow", "5000/tcp"],
        &["daemon", "--reconcile"],
    ] {
        drop(guardctl(&scene, words).ok());
        assert_eq!(ours(), 1, "{words:?}: {}", filters());
        assert_asks(&scene, Answer::Echo);
    }
    // Larger tables take a new instance of the program.
    scene.guard.write_policy(&larger);
    drop(guardctl(&scene, &["reload"]).ok());
    assert_eq!(ours(), 1, "{}", filters());
    assert_asks(&scene, Answer::Echo);

    drop(guardctl(&scene, &["disable"]).ok());
    assert_eq!(ours(), 0, "{}", filters());
}

#[test]
fn without_a_daemon_the_status_says_that_replies_are_not_recognised_until_a_reload() {
    if !has_programs() {
        return;
    }
    let mut scene = Scene::with_clsact();
    scene.daemon.signal(libc::SIGTERM);
    scene.daemon.wait();
    assert_asks(&scene, Answer::Echo);

    drop(tc(&scene, "qdisc del dev eth0 clsact"));

    assert_asks(&scene, Answer::Silence);
    let status = scene.guard.guardctl(&["status"]).exit(8);
    drop(
        status
            .says("PARTLY UNPROTECTED")
            .says("Interface: eth0 (native) REPLIES ARE NOT RECOGNISED (`guardctl reload`"),
    );
    let status = scene.guard.guardctl(&["status", "--json"]).exit(8).json();
    assert_eq!(status["protected"], false, "{status}");
    assert_eq!(status["interfaces"][0]["replies"], false, "{status}");
    // What comes in is filtered as before.
    assert_eq!(status["interfaces"][0]["protected"], true, "{status}");
    scene.assert_filters();

    drop(guardctl(&scene, &["reload"]).ok());

    assert_asks(&scene, Answer::Echo);
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(status["interfaces"][0]["replies"], true, "{status}");
}

#[test]
fn a_link_of_the_kernel_does_not_care_for_the_qdisc() {
    if !has_programs() {
        return;
    }
    let scene = Scene::new();
    drop(tc(&scene, "qdisc add dev eth0 clsact"));
    assert_asks(&scene, Answer::Echo);

    drop(tc(&scene, "qdisc del dev eth0 clsact"));

    assert_asks(&scene, Answer::Echo);
    drop(scene.guard.guardctl(&["daemon", "--reconcile"]).ok());
    drop(scene.guard.guardctl(&["status"]).ok());
    let said = scene.daemon.said();
    assert!(!said.contains("egress program was gone"), "{said}");
}

fn has_programs() -> bool {
    require::root() && require::program("tc")
}

/// Asks a friend, over both families, by conversations that are new.
#[track_caller]
fn assert_asks(scene: &Scene, expected: Answer) {
    let _echo = UdpEcho::start(&scene.lab.friend, CLOSED);
    for to in [scene.lab.friend.v4, scene.lab.friend.v6] {
        assert_eq!(scene.lab.srv.ask_udp(to, CLOSED), expected, "{to}");
        assert_eq!(
            scene.lab.friend.ask_udp(scene.lab.srv.v4, OPEN),
            Answer::Echo
        );
    }
}

/// guardctl that watches the way out like the one which put guard on.
fn guardctl(scene: &Scene, words: &[&str]) -> Ran {
    let mut command = scene.guard.command(words);
    finish(command.env("GUARD_TC", "clsact"), PATIENCE)
}

#[track_caller]
fn tc(scene: &Scene, line: &str) -> Ran {
    let mut tc = scene.lab.srv.command("tc");
    finish(tc.args(line.split(' ')), PATIENCE).ok()
}
