//! The words of an end.

use std::time::Duration;

use guard_tests::lab::finish;

use super::scene::{POLICY, Scene};

/// What is typed, the exit code, and a part of what is said.
const REFUSED: [(&str, i32, &str); 9] = [
    ("allow 22 --for 0", 2, "lasts for one second at least"),
    ("allow 22 --for soon", 2, "\"soon\" is not a length of time"),
    ("allow 22 --for -1", 2, "\"-1\" is not a length of time"),
    ("allow 22 --for 99y", 2, "longer than ten years"),
    ("allow 22 --until noon", 2, "not a time with its zone"),
    (
        "allow 22 --until 2001-01-01T00:00:00Z",
        2,
        "2001-01-01T00:00:00Z is past",
    ),
    (
        "allow 22 --for 1h --until 2999-01-01T00:00:00Z",
        2,
        "cannot be used with",
    ),
    (
        "insert 1 deny 22 --until 2001-01-01T00:00:00Z",
        2,
        "is past",
    ),
    (
        "allow me 22 --for 1h",
        6,
        "does not come from a session of SSH",
    ),
];

#[test]
fn ends_that_are_none_are_refused_and_change_nothing() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    for (line, code, message) in REFUSED {
        let ran = scene.run(line).exit(code).says(message);
        assert_eq!(ran.stdout, "", "{ran}");
        assert_eq!(scene.guard.policy(), POLICY, "{line}");
    }
}

#[test]
fn me_is_where_the_session_comes_from() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    for (connection, address) in [
        ("198.51.100.10 50000 192.0.2.1 22", "198.51.100.10"),
        (
            "2001:db8:100::10 50000 2001:db8:2::1 22",
            "2001:db8:100::10",
        ),
    ] {
        let mut command = scene.guard.command(&["allow", "me", "22", "--for", "1h"]);
        let ran = finish(
            command.env("SSH_CONNECTION", connection),
            Duration::from_secs(20),
        );
        drop(ran.ok());
        let rules = scene.rules();
        let last = rules.last().expect("a rule");
        assert_eq!(last["from"], address);
        let rule = last["rule"].as_str().expect("words");
        let expected = format!("allow from {address} to any port 22 --until ");
        assert!(rule.starts_with(&expected), "{rule}");
    }
}

#[test]
fn explain_says_how_long_the_rule_acts() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let _ = scene.run("allow 7000/tcp --for 10m").ok();
    for source in ["198.51.100.10", "2001:db8:100::10"] {
        let line = format!("explain {source} 7000");
        let ran = scene.run(&line).ok();
        assert!(ran.stdout.contains("it acts until "), "{ran}");
        assert!(ran.stdout.contains(" left"), "{ran}");
    }
}
