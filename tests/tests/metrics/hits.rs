//! What each rule let in or dropped: counted once a packet, for the rule that decided, whatever becomes of the policy
//! around it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

use guard_tests::{lab::until, require};
use serde_json::Value;

use super::scene::Scene;

/// Here datagrams may come in.
const OPEN: u16 = 8888;
const WEB: u16 = 80;
/// Six frames to connect, ask, be answered and part, and more.
const ANSWER: &[u8] = &[b'x'; 100_000];

/// Packets that the rule with these words let in or dropped.
fn hits(status: &Value, rule: &str) -> u64 {
    let rules = status["rules"].as_array().expect("rules");
    let found = rules.iter().find(|row| row["rule"] == rule);
    let row = found.unwrap_or_else(|| panic!("no {rule}: {status:#}"));
    row["hits"]["packets"]
        .as_u64()
        .unwrap_or_else(|| panic!("{row}"))
}

fn status(scene: &Scene) -> Value {
    scene
        .guard
        .guardctl(&["status", "numbered", "--json"])
        .json()
}

/// So many datagrams of each family to the open port, from ports of their own.
fn send_to_open(scene: &Scene, each: usize) {
    for (own, to) in [
        (scene.lab.attacker.v4, scene.lab.srv.v4),
        (scene.lab.attacker.v6, scene.lab.srv.v6),
    ] {
        scene.lab.attacker.run(|| {
            for _ in 0..each {
                let socket = UdpSocket::bind((own, 0)).expect("a socket");
                socket.send_to(b"x", (to, OPEN)).expect("sent");
            }
        });
    }
}

#[test]
fn hits_of_a_rule_go_on_over_changes_of_the_policy_the_program_and_the_maps() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let guardctl = |line: &str| {
        drop(
            scene
                .guard
                .guardctl(&line.split(' ').collect::<Vec<_>>())
                .ok(),
        )
    };
    guardctl("deny 9999/udp");
    guardctl("allow 8888/udp");

    let mut sent = 0;
    for step in [
        "nothing",
        "reload",
        "insert 1 deny 192.0.2.128/25",
        "delete 1",
        "load --new-program",
        "larger",
        "allow 81/tcp",
        "unconfirmed",
        "never add 203.0.113.9",
        "default monitor",
        "default deny",
    ] {
        match step {
            "nothing" => {}
            "larger" => {
                // More than the slots hold: the maps of the policy are made anew.
                let rules: String = (1..=20_000)
                    .map(|n| format!("100.{}.{}.0/24\n", n / 256, n % 256))
                    .collect();
                let list = scene.guard.etc().join("large.txt");
                std::fs::write(&list, rules).expect("written");
                let policy = scene.guard.policy();
                let more = "[sets]\nlarge = { file = \"large.txt\" }\n\n\
                    [[rule]]\naction = \"deny\"\nfrom = \"@large\"\n";
                scene.guard.write_policy(&format!("{policy}\n{more}"));
                guardctl("reload");
            }
            "unconfirmed" => {
                guardctl("allow 82/tcp --confirm 5s");
                sent += 4;
                scene.send(1);
                send_to_open(&scene, 1);
                until("the change to be taken back", || {
                    status(&scene)["pending"].is_null()
                });
                sent -= 2;
            }
            line => guardctl(line),
        }
        scene.send(2);
        send_to_open(&scene, 2);
        sent += 4;
        until(&format!("the datagrams after {step}"), || {
            let status = status(&scene);
            let (denied, allowed) = (
                hits(&status, "deny 9999/udp"),
                hits(&status, "allow 8888/udp"),
            );
            assert!(
                denied <= sent && allowed <= sent,
                "{step}: {denied} and {allowed} of {sent}"
            );
            (denied, allowed) == (sent, sent)
        });
    }
    let stats = scene.stats(&["--by", "reason", "--all"]);
    let reasons = stats["reasons"].as_array().expect("reasons");
    let denied = reasons.iter().find(|row| row["reason"] == "rule-deny");
    let packets = &denied.expect("denied packets")["packets"];
    assert_eq!(
        *packets,
        sent - 4,
        "all but those of monitor mode: {stats:#}"
    );

    let by_rule = scene.stats(&["--by", "rule"]);
    assert_eq!(hits(&by_rule, "deny 9999/udp"), sent, "{by_rule:#}");
    assert!(by_rule["ports"].is_null(), "{by_rule:#}");
    let since = ["stats", "--by", "rule", "--since", "1h"];
    drop(scene.guard.guardctl(&since).exit(2).says("since `enable`"));

    let text = scene.guard.guardctl(&["status", "numbered"]);
    assert!(text.stdout.contains("  Packets     Bytes  To"), "{text}");
}

#[test]
fn a_connection_is_one_hit_however_much_it_carries_and_a_stranger_is_a_hit_of_the_rule_that_drops_him()
 {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    for line in [
        vec!["deny", "from", "203.0.113.77", "to", "any", "port", "80"],
        vec!["allow", "80/tcp"],
        vec!["deny", "9999/udp"],
    ] {
        drop(scene.guard.guardctl(&line).ok());
    }
    for (own, to) in [
        (scene.lab.attacker.v4, scene.lab.srv.v4),
        (scene.lab.attacker.v6, scene.lab.srv.v6),
    ] {
        let listener = scene
            .lab
            .srv
            .run(|| TcpListener::bind((to, WEB)).expect("a listener"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.write_all(ANSWER).expect("answered");
        });
        let mut answer = Vec::new();
        scene.lab.attacker.run(|| {
            let mut stream = TcpStream::connect((to, WEB)).expect("connects");
            stream.read_to_end(&mut answer).expect("an answer");
        });
        server.join().expect("a server");
        assert_eq!(answer.len(), ANSWER.len(), "{own}");
    }
    scene.send(3);
    until("all of it to be counted", || {
        let status = status(&scene);
        let web = hits(&status, "allow 80/tcp");
        assert!(web <= 2, "{status:#}");
        web == 2 && hits(&status, "deny 9999/udp") == 6
    });
    // Off and on again: they begin anew.
    for line in ["disable", "enable"] {
        drop(scene.guard.guardctl(&[line]).ok());
    }
    assert_eq!(hits(&status(&scene), "deny 9999/udp"), 0);
}
