//! `stats`: since when, how fast, by what; counters go on over everything but an end of the firewall, and whoever
//! compares two readings learns of that.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use guard_tests::{
    lab::{Flood, GuardDaemon, Rate, Sources, Wire, until},
    require,
};
use serde_json::{Value, json};

use super::scene::{CLOSED, Scene};

#[test]
fn counters_and_what_was_counted_since_go_on_over_reloads_programs_and_daemons() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    scene.send(3);
    until("the first datagrams to be counted", || {
        scene.dropped(&scene.stats(&[])) == 6
    });
    drop(
        scene
            .guard
            .guardctl(&["stats", "--reset"])
            .ok()
            .says("the counters go on"),
    );
    let begun = scene.stats(&[])["since"]["at"].clone();
    assert!(begun.is_u64(), "{begun}");

    let mut sent = 0;
    let mut daemon = None;
    for step in [
        "nothing", "reload", "rule", "program", "daemon", "killed", "again",
    ] {
        match step {
            "reload" => drop(scene.guard.guardctl(&["reload"]).ok()),
            "rule" => drop(scene.guard.guardctl(&["allow", "80/tcp"]).ok()),
            "program" => drop(scene.guard.guardctl(&["load", "--new-program"]).ok()),
            "daemon" | "again" => daemon = Some(GuardDaemon::start(&scene.guard)),
            "killed" => drop(daemon.take()),
            _ => {}
        }
        scene.send(2);
        sent += 4;
        until(&format!("the datagrams after {step}"), || {
            scene.dropped(&scene.stats(&[])) == 6 + sent
        });
        let since = scene.stats(&["--since", "reset"]);
        assert_eq!(scene.dropped(&since), sent, "{step}: {since}");
        assert_eq!(since["since"]["left_out"], Value::Null, "{step}");
        assert_eq!(scene.stats(&[])["since"]["at"], begun, "{step}");
    }
}

#[test]
fn counters_begin_anew_with_enable_and_no_sample_of_the_old_ones_is_taken_off_them() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let daemon = GuardDaemon::start(&scene.guard);
    scene.send(3);
    until("the datagrams to be counted", || {
        scene.dropped(&scene.stats(&[])) == 6
    });
    drop(scene.guard.guardctl(&["stats", "--reset"]).ok());
    until("a sample", || scene.guard.run().join("samples").exists());
    drop(daemon);

    drop(scene.guard.guardctl(&["disable"]).ok());
    for words in [
        &["stats"][..],
        &["stats", "--reset"],
        &["stats", "--since", "reset"],
    ] {
        drop(
            scene
                .guard
                .guardctl(words)
                .exit(3)
                .says("guard is not active"),
        );
    }
    drop(scene.guard.guardctl(&["enable"]).ok());

    scene.send(1);
    until("the datagrams to be counted anew", || {
        scene.dropped(&scene.stats(&[])) == 2
    });
    let refused = scene.guard.guardctl(&["stats", "--since", "reset"]).exit(6);
    drop(refused.says("counters begin anew with `enable`"));
    // No sample is of these counters; the moment is before they began, or there is none to count from.
    let long_ago = scene.stats(&["--since", "1h"]);
    assert_eq!(scene.dropped(&long_ago), 2, "{long_ago}");
}

#[test]
fn the_daemon_keeps_samples_to_count_from() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    scene.send(2);
    until("the datagrams to be counted", || {
        scene.dropped(&scene.stats(&[])) == 4
    });
    // A moment of these counters that no sample is of.
    std::thread::sleep(Duration::from_millis(1100));
    let none = scene.guard.guardctl(&["stats", "--since", "0s"]).exit(6);
    drop(none.says("--reset"));

    let _daemon = GuardDaemon::start(&scene.guard);
    until("a sample", || {
        let sampled = scene.guard.guardctl(&["stats", "--since", "0s"]);
        sampled.code == Some(0)
    });
    scene.send(1);
    until("the datagrams to be counted", || {
        scene.dropped(&scene.stats(&[])) == 6
    });
    let since = scene.stats(&["--since", "0s"]);
    assert_eq!(scene.dropped(&since), 2, "{since}");
    assert!(
        since["since"]["seconds"].as_f64().is_some_and(|s| s < 60.0),
        "{since}"
    );
    let text = scene.guard.guardctl(&["stats", "--since", "0s"]).ok();
    drop(text.says("\nCounted since 2"));
}

#[test]
fn rates_are_those_of_the_flood() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let frames = scene.lab.forged_datagrams(CLOSED, Sources::Everywhere, 100);
    let wire = Wire::open(&scene.lab.wan, "srv");
    let flood = Flood::start(wire, frames, Rate::PerSecond(5000));
    let began = std::time::Instant::now();
    let rates = scene.stats(&["--rate"]);
    let sent = flood.stop() as f64 / began.elapsed().as_secs_f64();

    let mut ports = rates["ports"].as_array().expect("ports").iter();
    let port = ports.find(|port| port["port"] == CLOSED).expect("the port");
    let rate = |what: &str| port["dropped"][what].as_f64().expect("a rate");
    let off = (rate("packets_per_second") - sent).abs() / sent;
    assert!(off < 0.15, "{sent}/s sent: {rates}");
    let bits = rate("bits_per_second") / rate("packets_per_second");
    assert!(
        (8.0 * 142.0..=8.0 * 162.0).contains(&bits),
        "{bits} bits a packet: {rates}"
    );
}

#[test]
fn a_watch_ends_when_guard_does_and_says_so() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let mut child = scene
        .guard
        .command(&["stats", "--watch", "--json", "--by", "port"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("guardctl");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = lines.next().expect("a line").expect("text");
    let answer: Value = serde_json::from_str(&line).expect("JSON");
    assert!(
        answer["ports"].is_array() && answer["reasons"].is_null(),
        "{line}"
    );

    drop(scene.guard.guardctl(&["disable"]).ok());
    let last = lines.map_while(Result::ok).last().expect("its end");
    assert!(last.contains("guard is not active"), "{last}");
    assert_eq!(child.wait().expect("our own child").code(), Some(3));
}

#[test]
fn bans_are_shown_by_who_made_them_and_interfaces_by_their_own_count() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let guard = &scene.guard;
    assert_eq!(scene.stats(&["--by", "bans"])["bans"], json!([]));
    drop(
        guard
            .guardctl(&["ban", "198.51.100.77", "2001:db8:77::/48", "--for", "1h"])
            .ok(),
    );
    drop(
        guard
            .guardctl(&["ban", "198.51.100.78", "--jail", "door", "--permanent"])
            .ok(),
    );

    let stats = scene.stats(&["--by", "bans", "--by", "interface"]);
    let bans = stats["bans"].as_array().expect("bans");
    let found: Vec<(&Value, &Value)> = bans
        .iter()
        .map(|ban| (&ban["origin"], &ban["in_force"]))
        .collect();
    assert_eq!(
        found,
        [
            (&json!("jail door"), &json!(1)),
            (&json!("operator"), &json!(2))
        ]
    );
    assert_eq!(bans[0]["next_end"], Value::Null);
    assert!(
        bans[1]["next_end"]
            .as_u64()
            .is_some_and(|s| (3500..=3600).contains(&s)),
        "{stats}"
    );
    assert!(
        stats["ports"].is_null() && stats["flows"].is_null(),
        "{stats}"
    );

    let received = |stats: &Value| {
        assert_eq!(stats["interfaces"][0]["name"], "eth0", "{stats}");
        assert_eq!(stats["interfaces"][0]["mode"], "native", "{stats}");
        stats["interfaces"][0]["received"]["packets"]
            .as_u64()
            .expect("packets")
    };
    let before = received(&stats);
    scene.send(5);
    until("the interface to count them", || {
        received(&scene.stats(&[])) >= before + 10
    });
}

#[test]
fn words_that_make_no_sense_are_refused() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    for words in [
        &["--since", "yesterday"][..],
        &["--since", ""],
        &["--since", "-5m"],
        &["--since", "10m", "--rate"],
        &["--reset", "--watch"],
        &["--by", "weather"],
        &["--watch", "x"],
    ] {
        let words = [&["stats"], words].concat();
        drop(scene.guard.guardctl(&words).exit(2));
    }
    let later = scene
        .guard
        .guardctl(&["stats", "--since", "2999-01-01T00:00:00Z"]);
    drop(later.exit(2).says("yet to come"));
}
