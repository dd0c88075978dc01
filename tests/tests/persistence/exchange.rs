//! A new program and larger tables take the place of the old without a gap.

use std::time::{Duration, Instant};

use guard_tests::{
    lab::{Capture, Flood, Rate, Wire},
    require,
};

use super::scene::{CLOSED, Scene, policy, while_filtered};

const RULES: usize = 10_000;

#[test]
fn enabling_again_exchanges_the_program_without_a_gap() {
    if !require::root() {
        return;
    }
    const EXCHANGES: usize = 25;
    let scene = Scene::enabled();
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    let packet = guard_common::testing::packet()
        .macs(macs.0, macs.1)
        .udp(CLOSED)
        .build();
    let capture = Capture::start(&scene.lab.srv, "eth0");
    let before = scene.guard.counted();
    let flood = Flood::start(
        Wire::open(&scene.lab.wan, "srv"),
        vec![packet; 256],
        Rate::Unlimited,
    );

    let mut last = before.dropped("udp", CLOSED);
    for _ in 0..EXCHANGES {
        let ran = scene.guard.guardctl(&["enable"]).ok();
        assert!(
            ran.stdout.contains("eth0: program replaced without a gap"),
            "{ran}"
        );
        let dropped = scene.guard.counted().dropped("udp", CLOSED);
        assert!(dropped > last, "the counter went from {last} to {dropped}");
        last = dropped;
    }

    let sent = flood.stop();
    let leaked = capture
        .stop()
        .iter()
        .filter(|seen| seen.port() == Some(("udp", CLOSED)))
        .count();
    let counted = scene.guard.counted().dropped("udp", CLOSED);
    assert_eq!(leaked, 0, "of {sent}");
    assert!(
        sent > 100_000 && counted > sent / 2 && counted <= sent,
        "{counted} of {sent} counted"
    );
    println!("{EXCHANGES} exchanges, 0 of {sent} leaked, {counted} counted");
    while_filtered(&scene.lab, || {
        for _ in 0..EXCHANGES {
            drop(scene.guard.guardctl(&["enable"]).ok());
        }
    });
}

/// What a package does when it is upgraded: nobody is asked, and what nobody has applied is not applied.
#[test]
fn a_new_program_takes_over_with_the_policy_in_force_whatever_the_files_say() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let program = || scene.lab.srv.ip("-d link show dev eth0");
    let exchange = || scene.guard.guardctl(&["load", "--new-program"]);
    drop(scene.guard.guardctl(&["ban", "203.0.113.9"]).ok());
    scene.guard.write_policy("default = \"allow\"\n");
    let before = program();

    while_filtered(&scene.lab, || {
        for _ in 0..5 {
            drop(exchange().ok().says("program replaced without a gap"));
        }
    });

    assert_ne!(program(), before);
    scene.assert_filters();
    drop(scene.guard.guardctl(&["bans"]).ok().says("203.0.113.9"));
    // A file that cannot be read is no reason to keep an old program.
    scene.guard.write_policy("what?");
    let ran = exchange();
    assert!(ran.stdout.contains("program replaced"), "{ran}");
    scene.assert_filters();
    scene.guard.write_policy(&policy(0));

    let change = ["deny", "4000/tcp", "--confirm", "1h"];
    drop(scene.guard.guardctl(&change).ok());
    let before = program();
    drop(exchange().exit(14));
    assert_eq!(program(), before);
    drop(scene.guard.guardctl(&["rollback"]).ok());

    drop(scene.guard.guardctl(&["disable"]).ok());
    drop(exchange().ok().says("guard was not on"));
}

#[test]
fn ten_thousand_rules_take_the_place_of_one_without_a_gap() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let mut took = Duration::ZERO;

    while_filtered(&scene.lab, || {
        scene.guard.write_policy(&policy(RULES - 1));
        let started = Instant::now();
        drop(scene.guard.guardctl(&["reload"]).ok());
        took = started.elapsed();
    });

    println!("{RULES} rules in force after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(status["rules"].as_array().unwrap().len(), RULES);
    scene.assert_filters();
    while_filtered(&scene.lab, || {
        scene.guard.write_policy(&policy(0));
        drop(scene.guard.guardctl(&["reload"]).ok());
    });
}
