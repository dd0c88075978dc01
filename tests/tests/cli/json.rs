//! `--json`: one object with `"schema":1` on standard output, whatever happens.

use guard_common::abi::ABI_VERSION;
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};

use super::host::Host;

/// A line, its exit code, and fields that the answer must have with these values.
fn answers() -> Vec<(&'static str, i32, Value)> {
    vec![
        (
            "status",
            3,
            json!({"active": false, "generation": 0, "default": "deny", "rules": [], "interfaces": []}),
        ),
        ("check", 0, json!({"ok": true, "rules": 0})),
        (
            "stats",
            3,
            json!({"error": {"exit": 3, "message": "guard is not active", "help": "`guardctl enable` turns it on"}}),
        ),
        (
            "allow 22/tcp",
            0,
            json!({"changed": true, "rule": 1, "generation": null, "dry_run": false}),
        ),
        (
            "allow 22/tcp",
            0,
            json!({"changed": false, "rule": 1, "message": "already covered by rule 1"}),
        ),
        (
            "allow 80/tcp --dry-run",
            0,
            json!({"changed": true, "rule": 2, "dry_run": true}),
        ),
        (
            "enable --dry-run",
            0,
            json!({"active": false, "dry_run": true, "rules": 1, "interfaces": ["eth0"]}),
        ),
        (
            "enable",
            0,
            json!({"active": true, "dry_run": false, "generation": 1, "default": "deny"}),
        ),
        (
            "status",
            0,
            json!({"active": true, "protected": true, "generation": 1, "interfaces": [{"name": "eth0", "mode": "native", "why_generic": null, "fault": null, "protected": true, "replies": true}]}),
        ),
        (
            "status numbered",
            0,
            json!({"rules": [{"number": 1, "action": "allow", "to": "22/tcp", "from": "Anywhere", "rule": "allow 22/tcp", "comment": null, "name": null, "tags": [], "enabled": true, "hits": {"packets": 0, "bytes": 0}}]}),
        ),
        (
            "insert 1 deny from 203.0.113.7",
            0,
            json!({"changed": true, "rule": 1, "generation": 2}),
        ),
        (
            "prepend allow 22/tcp",
            0,
            json!({"changed": true, "rule": 1, "message": "moved rule 2 to 1: allow 22/tcp (generation 3)"}),
        ),
        (
            "delete 2",
            0,
            json!({"changed": true, "rule": 2, "generation": 4}),
        ),
        (
            "default allow",
            0,
            json!({"changed": true, "generation": 5}),
        ),
        ("default allow outgoing", 0, json!({"changed": false})),
        (
            "never add 198.51.100.10/24",
            0,
            json!({"changed": true, "warnings": ["prefix 198.51.100.10/24 has host bits set; taken as 198.51.100.0/24"]}),
        ),
        ("never list", 0, json!({"never": ["198.51.100.0/24"]})),
        (
            "reload",
            0,
            json!({"changed": true, "generation": 7, "difference": {"added": [], "removed": [], "unchanged": 1, "reordered": false}}),
        ),
        ("stats", 0, json!({})),
        ("version", 0, json!({"abi": ABI_VERSION})),
        (
            "delete 9",
            6,
            json!({"error": {"exit": 6, "message": "there is no rule 9; the only rule is 1", "help": "`guardctl status numbered` lists the rules"}}),
        ),
        (
            "check /nowhere/x.toml",
            5,
            json!({"error": {"exit": 5, "message": "/nowhere/x.toml: does not exist", "help": null}}),
        ),
        (
            "disable --dry-run",
            0,
            json!({"active": true, "dry_run": true}),
        ),
        ("disable", 0, json!({"active": false, "changed": true})),
        ("disable", 0, json!({"active": false, "changed": false})),
        ("reload", 3, json!({})),
    ]
}

#[test]
fn every_command_answers_in_json() {
    let Some(host) = Host::new() else { return };

    for (line, exit, fields) in answers() {
        let printed = host.run(&format!("{line} --json")).exit(exit);
        let answer = printed.json();
        assert!(printed.stdout.starts_with("{\"schema\":1,"), "{printed}");
        assert_eq!(printed.stdout.lines().count(), 1, "{printed}");
        assert_eq!(
            answer["error"].is_object(),
            exit == 5 || exit == 6 || answer["error"]["exit"] == exit,
            "{printed}"
        );
        for (key, value) in fields.as_object().expect("an object") {
            assert_eq!(answer[key], *value, "{key}\n{printed}");
        }
        if exit == 0 {
            assert_eq!(printed.stderr, "", "{printed}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_read_is_answered_in_json_too() {
    let Some(host) = Host::new() else { return };

    for line in [
        "--json frobnicate",
        "frobnicate --json",
        "-j limit ping",
        "reset -qj",
        "--json status sideways",
        "allow --json",
        "allow 22 --json --colour",
        "--json insert X allow 22",
        "--json delete 1 2",
        "--json allow 22/tpc",
        "--json",
    ] {
        let printed = host.run(line).exit(2);
        let error = &printed.json()["error"];
        assert_eq!(error["exit"], 2, "{printed}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{printed}"
        );
        assert!(
            error["help"].as_str().is_some_and(|text| !text.is_empty()),
            "{printed}"
        );
    }
}

#[test]
fn a_watch_prints_one_object_per_line_until_nobody_reads() {
    let Some(host) = Host::active("") else { return };

    let mut child = host
        .guard
        .command(&["stats", "--watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("guardctl");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..2 {
        let line = lines.next().expect("a line").expect("text");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(answer["schema"], 1);
        for key in ["ports", "protocols", "reasons"] {
            assert!(answer[key].is_array(), "{line}");
        }
    }
    drop(lines);

    // The next line finds the reader gone.
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
}
