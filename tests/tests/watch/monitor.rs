//! `monitor`: lines, numbers and filters.

use std::{thread, time::Duration};

use guard_tests::lab::{Answer, Flood, Rate, Sources, Wire, within};
use serde_json::Value;

use super::scene::{CLOSED, DENIED, LIMITED, OPEN, Scene, interrupt, line, lines};

#[test]
fn a_dropped_packet_is_a_line_with_the_reason_and_the_rule() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut watcher = scene.watch("monitor", &["monitor", "--json"]);
    for (to, from) in [(srv.v4, attacker.v4), (srv.v6, attacker.v6)] {
        for (port, reason, rule) in [
            (CLOSED, "default-drop", Value::Null),
            (DENIED, "rule-deny", Value::from(2)),
        ] {
            assert_eq!(attacker.ask_tcp(to, port), Answer::Silence);
            let found = line(&watcher, &format!("{reason} from {from}"), |line| {
                line["source"] == from.to_string() && line["reason"] == reason
            });
            assert_eq!(found["kind"], "drop", "{found}");
            assert_eq!(found["action"], "drop", "{found}");
            assert_eq!(found["rule"], rule, "{found}");
            assert_eq!(found["destination"], to.to_string(), "{found}");
            assert_eq!(found["destination_port"], port, "{found}");
            assert_eq!(found["service"], format!("{port}/tcp"), "{found}");
            assert_eq!(found["protocol"], "tcp", "{found}");
            assert_eq!(found["flags"], serde_json::json!(["SYN"]), "{found}");
            assert_eq!(found["interface"], "eth0", "{found}");
            assert!(found["bytes"].as_u64() >= Some(54), "{found}");
        }
        // What is let in is no event.
        assert_eq!(attacker.ask_tcp(to, OPEN), Answer::Echo);
    }
    interrupt(&mut watcher);
    let passed = lines(&watcher)
        .into_iter()
        .find(|line| line["action"] == "pass");
    assert_eq!(passed, None);
}

#[test]
fn limits_bans_and_what_passes_have_kinds_of_their_own() {
    let Some(scene) = Scene::new() else { return };
    let (srv, friend, attacker) = (&scene.lab.srv, &scene.lab.friend, &scene.lab.attacker);
    let watcher = scene.watch("monitor", &["monitor", "--json", "--all"]);
    for _ in 0..3 {
        let _ = friend.ask_tcp(srv.v4, LIMITED);
    }
    let limited = line(&watcher, "a limit", |line| line["kind"] == "limit");
    assert_eq!(limited["source"], friend.v4.to_string(), "{limited}");
    assert_eq!(limited["rule"], 3, "{limited}");
    let passed = line(&watcher, "a packet that passes", |line| {
        line["action"] == "pass" && line["reason"] == "rule-allow"
    });
    assert_eq!(passed["rule"], 3, "{passed}");
    let attackers = attacker.v4.to_string();
    drop(scene.guard.guardctl(&["ban", &attackers]).ok());
    assert_eq!(attacker.ask_tcp(srv.v4, OPEN), Answer::Silence);
    let banned = line(&watcher, "a ban", |line| line["kind"] == "ban");
    assert_eq!(banned["source"], attackers, "{banned}");
}

#[test]
fn a_flood_is_a_few_lines_and_numbers_that_add_up() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.guard.counted().dropped("tcp", CLOSED);
    let mut watcher = scene.watch("monitor", &["monitor", "--json"]);
    for sources in [Sources::OneNetwork, Sources::Everywhere] {
        let frames = scene.lab.forged_syns(CLOSED, sources);
        let flood = Flood::start(
            Wire::open(&scene.lab.wan, "srv"),
            frames,
            Rate::PerSecond(40_000),
        );
        thread::sleep(Duration::from_secs(3));
        let _ = flood.stop();
    }
    // The last second's numbers.
    thread::sleep(Duration::from_secs(1));
    interrupt(&mut watcher);
    let dropped = scene.guard.counted().dropped("tcp", CLOSED) - before;
    let lines = lines(&watcher);
    let of_port = |line: &&Value| line["service"] == format!("{CLOSED}/tcp");
    let shown: u64 = lines
        .iter()
        .filter(of_port)
        .map(|line| line["more"].as_u64().unwrap_or(1))
        .sum();
    println!(
        "{dropped} dropped, {shown} shown of, in {} lines",
        lines.len()
    );
    assert!(dropped > 100_000, "{dropped} are no flood");
    assert!(
        shown.abs_diff(dropped) * 50 <= dropped,
        "{shown} of {dropped}"
    );
    // Ten lines and six numbers a second.
    assert!(lines.len() < 9 * 17, "{} lines", lines.len());
    let named = lines.iter().any(|line| line["from"] == "11.1.1.0/24");
    assert!(named, "the network of the first flood has no number");
    let many = lines
        .iter()
        .any(|line| line["networks"].as_u64() > Some(100));
    assert!(many, "the second flood has no number");
}

#[test]
fn only_what_was_asked_for_is_shown() {
    let Some(scene) = Scene::new() else { return };
    let (srv, friend, attacker) = (&scene.lab.srv, &scene.lab.friend, &scene.lab.attacker);
    let denied = format!("{DENIED}/tcp");
    let network = format!("{}/24", friend.v4);
    let watchers = [
        ("port", vec!["monitor", "--json", "--port", denied.as_str()]),
        (
            "from",
            vec!["monitor", "--json", "--from", network.as_str()],
        ),
        ("reason", vec!["monitor", "--json", "--reason", "rule-deny"]),
    ]
    .map(|(name, words)| (name, scene.watch(name, &words)));
    for host in [friend, attacker] {
        for port in [CLOSED, DENIED] {
            assert_eq!(host.ask_tcp(srv.v4, port), Answer::Silence);
        }
    }
    for (name, watcher) in &watchers {
        line(watcher, name, |line| line["source"].is_string());
    }
    thread::sleep(Duration::from_millis(300));
    for (name, mut watcher) in watchers {
        interrupt(&mut watcher);
        for line in lines(&watcher) {
            match name {
                "port" => assert_eq!(line["service"], denied, "{line}"),
                "reason" => assert_eq!(line["reason"], "rule-deny", "{line}"),
                _ if line["source"].is_string() => {
                    assert_eq!(line["source"], friend.v4.to_string(), "{line}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn it_ends_by_count_and_by_time_and_in_words_for_people() {
    let Some(scene) = Scene::new() else { return };
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let mut watcher = scene.watch("count", &["monitor", "--count", "1"]);
    let _ = attacker.ask_tcp(srv.v4, CLOSED);
    let ended = within(Duration::from_secs(10), || {
        watcher.has_ended().then_some(())
    });
    assert!(ended.is_some(), "{}", watcher.said());
    let said = watcher.said();
    let words = format!("{}:{CLOSED} tcp SYN  default-drop  eth0", srv.v4);
    assert!(said.contains(&words), "{said}");
    assert!(said.contains("  drop   "), "{said}");
    // Nothing comes, and the time is over.
    let ran = scene
        .guard
        .guardctl(&["monitor", "--for", "500ms", "--port", "9"])
        .ok();
    assert_eq!(ran.stdout, "");
}
