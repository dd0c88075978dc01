//! Verdict, reason and number of the rule, of the running firewall and of the file.

use serde_json::{Value, json};

use super::scene::{HEAD, RULES, Scene, over_v6};

/// Words, action, reason, rule.
type Case = (&'static str, &'static str, &'static str, Option<u64>);

const CASES: &[Case] = &[
    ("203.0.113.66 3000", "drop", "default-drop", None),
    ("203.0.113.66 3000/udp", "drop", "default-drop", None),
    ("203.0.113.66 1000", "pass", "rule-allow", Some(1)),
    ("203.0.113.66 1000/udp", "pass", "rule-allow", Some(1)),
    ("203.0.113.66 2000", "drop", "rule-deny", Some(2)),
    ("203.0.113.66 2000/udp", "drop", "rule-deny", Some(2)),
    ("198.51.100.10 2000", "pass", "rule-allow", Some(3)),
    ("198.51.100.10 4000/udp", "pass", "rule-allow", Some(4)),
    ("203.0.113.66 4000", "drop", "default-drop", None),
    (
        "203.0.113.66 1000 flags syn,fin",
        "drop",
        "tcp-syn-fin",
        None,
    ),
    (
        "203.0.113.66 1000 flags syn,rst",
        "drop",
        "tcp-syn-rst",
        None,
    ),
    (
        "203.0.113.66 1000 flags fin,psh,urg",
        "drop",
        "tcp-xmas",
        None,
    ),
    ("203.0.113.66 1000 flags fin", "drop", "tcp-bare-fin", None),
    ("203.0.113.66 1000 flags none", "drop", "tcp-null", None),
    ("127.0.0.1 1000", "drop", "martian-source", None),
    ("192.0.2.1 1000", "drop", "own-source", None),
    ("203.0.113.66 ping", "drop", "default-drop", None),
    ("from 203.0.113.66 proto gre", "drop", "default-drop", None),
    // Somebody listens there, and that opens nothing: `nmap -sA`, `nmap -sM`.
    ("203.0.113.66 3000 flags ack", "drop", "default-drop", None),
    (
        "203.0.113.66 3000 flags fin,ack",
        "drop",
        "default-drop",
        None,
    ),
    ("203.0.113.66 3000 flags rst", "drop", "default-drop", None),
    (
        "203.0.113.66 3000 flags syn,ack",
        "drop",
        "default-drop",
        None,
    ),
    ("203.0.113.66 1000 flags ack", "pass", "rule-allow", Some(1)),
    (
        "in on eth0 from 203.0.113.66 port 53 to 192.0.2.1 port 3000 proto udp",
        "drop",
        "default-drop",
        None,
    ),
];

#[test]
fn the_running_firewall_and_the_file_give_verdict_reason_and_rule() {
    let Some(scene) = Scene::new() else { return };
    for (words, action, reason, rule) in CASES {
        for words in [(*words).to_owned(), over_v6(words)] {
            for (who, answer) in [
                ("running", scene.explain(&words)),
                ("file", scene.explain_file(&words)),
            ] {
                let case = format!("{who}: {words}: {answer}");
                assert_eq!(answer["action"], *action, "{case}");
                assert_eq!(answer["reason"], *reason, "{case}");
                assert_eq!(answer["rule"], json!(rule), "{case}");
                assert_eq!(answer["rule_words"].is_string(), rule.is_some(), "{case}");
                assert_eq!(answer["would_drop"], false, "{case}");
                assert_eq!(answer["interface"], "eth0", "{case}");
                // A command where a rule can do it, none where the packet itself is the matter.
                let is_openable = ["default-drop", "rule-deny"].contains(reason);
                assert_eq!(answer["way_in"].is_string(), is_openable, "{case}");
            }
        }
    }
}

#[test]
fn a_person_reads_it_in_a_few_lines() {
    let Some(scene) = Scene::new() else { return };
    let printed = scene.guard.guardctl(&["explain", "203.0.113.66", "2000"]);
    let printed = printed.ok();
    assert_eq!(
        printed.stdout,
        "tcp 203.0.113.66:40000 -> 192.0.2.1:2000 (syn) on eth0\n\
         dropped: rule-deny (a deny rule matched)\n\
         rule 2: deny from @enemies to any port 2000\n\
         to let it in: guardctl insert 2 allow from 203.0.113.66 to any port 2000 proto tcp\n",
        "{printed}"
    );
    let printed = scene.guard.guardctl(&["explain", "127.0.0.1", "1000"]).ok();
    drop(printed.says("no rule lets it in: the packet itself is refused"));
}

#[test]
fn in_monitor_mode_it_says_what_would_be_dropped() {
    let Some(scene) = Scene::off() else { return };
    let monitor = format!("default = \"monitor\"\n{HEAD}{RULES}");
    scene.guard.write_policy(&monitor);
    drop(scene.guard.guardctl(&["enable"]).ok());
    for words in ["203.0.113.66 3000", "203.0.113.66 2000", "127.0.0.1 1000"] {
        for words in [words.to_owned(), over_v6(words)] {
            for answer in [scene.explain(&words), scene.explain_file(&words)] {
                assert_eq!(answer["action"], "pass", "{answer}");
                assert_eq!(answer["would_drop"], true, "{answer}");
            }
        }
    }
    let open: Value = scene.explain("203.0.113.66 1000");
    assert_eq!(open["would_drop"], false, "{open}");
    let printed = scene.guard.guardctl(&["explain", "203.0.113.66", "3000"]);
    drop(printed.ok().says("passes in monitor mode, else dropped"));
}

#[test]
fn a_change_that_waits_for_its_confirmation_is_explained_in_its_own_words() {
    let Some(scene) = Scene::new() else { return };
    let words = ["delete", "1", "--confirm", "1m"];
    drop(scene.guard.guardctl(&words).ok().says("PENDING"));
    for (words, rule, printed) in [
        (
            "203.0.113.66 2000",
            1,
            "deny from @enemies to any port 2000",
        ),
        ("198.51.100.10 2000", 2, "allow 2000"),
    ] {
        let answer = scene.explain(words);
        assert_eq!(answer["rule"], rule, "{answer}");
        assert_eq!(answer["rule_words"], printed, "{answer}");
    }
    let closed = scene.explain("203.0.113.66 1000");
    assert_eq!(closed["reason"], "default-drop", "{closed}");

    drop(scene.guard.guardctl(&["rollback"]).ok());
    let open = scene.explain("203.0.113.66 1000");
    assert_eq!(open["rule_words"], "allow 1000", "{open}");
}
