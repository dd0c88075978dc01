//! Streams that are not as they must be, or have no room, and what travels over them.

use guard_tests::{
    lab::{FleetHost, NatsServer, until},
    require,
};
use serde_json::{Value, json};

use super::words::{END, key, nobody, record};

/// The stream as `guard-fleet prepare` makes it.
fn right() -> Value {
    json!({
        "name": "KV_guard", "subjects": ["$KV.guard.>"], "retention": "limits", "storage": "memory",
        "discard": "new", "num_replicas": 1, "max_msgs_per_subject": 1, "max_msg_size": 1024,
        "max_bytes": 1 << 20, "allow_rollup_hdrs": false, "deny_delete": true, "deny_purge": true,
        "allow_direct": true, "allow_msg_ttl": true,
        "republish": {"src": "$KV.guard.>", "dest": "fleet.ev.>"},
    })
}

/// Instead of the stream that is there, this one.
fn exchange(nats: &mut NatsServer, settings: &Value) {
    nats.kill();
    nats.wipe();
    nats.run();
    let answer = nats.client("admin").ask(
        "$JS.API.STREAM.CREATE.KV_guard",
        b"",
        settings.to_string().as_bytes(),
    );
    let answer = answer.expect("an answer").json();
    assert!(answer.get("error").is_none(), "{answer}");
}

#[test]
fn a_stream_that_a_member_could_misuse_is_refused_with_the_reason() {
    if !require::root() {
        return;
    }
    let Some(mut nats) = NatsServer::start(&["web/a"]) else {
        return;
    };
    let a = FleetHost::join(&nats, "web", "a");
    for (setting, value, reason) in [
        ("allow_msg_ttl", json!(false), "records would never end"),
        ("allow_rollup_hdrs", json!(true), "could wipe"),
        (
            "republish",
            json!({"src": "$KV.guard.lift.>", "dest": "fleet.ev.>"}),
            "nobody would hear",
        ),
        ("discard", json!("old"), "push out"),
    ] {
        let mut settings = right();
        settings[setting] = value;
        if setting == "allow_rollup_hdrs" {
            settings["deny_purge"] = json!(false);
        }
        exchange(&mut nats, &settings);
        until(reason, || {
            let status = a.guard.guardctl(&["fleet", "status"]);
            status.code == Some(8) && status.stdout.contains(reason)
        });
        drop(nats.prepare("admin").exit(7).says(setting));
    }
    exchange(&mut nats, &right());
    a.until_status(0);
}

#[test]
fn a_stream_that_a_member_has_filled_keeps_no_ban_from_those_who_listen() {
    if !require::root() {
        return;
    }
    let Some(mut nats) = NatsServer::start(&["web/a", "web/b", "web/e"]) else {
        return;
    };
    let mut settings = right();
    settings["max_bytes"] = json!(20_000);
    exchange(&mut nats, &settings);
    let a = FleetHost::join(&nats, "web", "a");
    let b = FleetHost::join(&nats, "web", "b");
    let mut evil = nats.client("web-e");
    let fill = [b' '; 700];
    for n in 0..60 {
        let subject = format!("$KV.guard.ban.web.e.{}", key(nobody(n), 32));
        evil.publish(&subject, "", END, &fill);
    }
    assert!(evil.complaints().is_empty());
    let small = format!("$KV.guard.ban.web.e.{}", key(nobody(99), 32));
    let answer = evil.ask(&small, END, &fill).expect("an answer").json();
    assert!(answer["error"]["description"].is_string(), "{answer}");
    let mut n = 100;
    while evil
        .ask(
            &format!("$KV.guard.ban.web.e.{}", key(nobody(n), 32)),
            END,
            record(1, 600).as_bytes(),
        )
        .is_some_and(|answer| answer.json().get("error").is_none())
    {
        n += 1;
    }
    a.with_attacker(&["ban", "--for", "1h"]);
    b.until_dropped(true);
    drop(a.until_status(8).says("does not store our bans"));
    b.until_status(0);
    a.with_attacker(&["unban"]);
    b.until_dropped(false);
}

#[test]
fn what_was_heard_is_never_published() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b"]) else {
        return;
    };
    let mut hosts = ["a", "b"].map(|name| FleetHost::join(&nats, "web", name));
    for (host, begin) in hosts.iter().zip([0, 100]) {
        let addresses: Vec<String> = (begin..begin + 20).map(|n| nobody(n).to_string()).collect();
        let mut words = vec!["ban"];
        words.extend(addresses.iter().map(String::as_str));
        words.extend(["--for", "1h"]);
        drop(host.guard.guardctl(&words).ok());
    }
    let all_have = |hosts: &[FleetHost; 2], count| {
        until(&format!("both to have {count} bans"), || {
            hosts.iter().all(|host| host.guard.banned().len() == count)
        });
    };
    all_have(&hosts, 40);
    assert_eq!(nats.stream()["state"]["last_seq"], 40);
    // Nor by a guard-fleet that begins anew, and compares.
    for host in &mut hosts {
        host.kill_fleet();
        host.start_fleet();
    }
    drop(hosts[0].guard.guardctl(&["ban", "11.0.9.9"]).ok());
    all_have(&hosts, 41);
    for host in &hosts {
        host.until_status(0);
    }
    assert_eq!(nats.stream()["state"]["last_seq"], 41);
}
