//! A new program and larger tables take the place of the old without a gap.

use std::time::{Duration, Instant};

use guard_tests::{
    lab::{Capture, Flood, Rate, Wire},
    require,
};

use crate::scene::{CLOSED, Scene, policy, while_filtered};

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
