//! Whose signs of life are believed: of whom a publisher waits for, and only what he himself says.

use std::{
    thread,
    time::{Duration, Instant},
};

use guard_tests::lab::{FleetHost, NatsClient, NatsServer};
use serde_json::{Value, json};

use super::words::{END, have_answered, headers, key, nobody};

/// Where the host of whoever attacks says what it bans.
fn own() -> String {
    format!("$KV.guard.ban.evil.e.{}", key(nobody(9), 32))
}

/// What a host says of itself.
fn sign(generation: u64, step: &str) -> String {
    let policy = json!({"generation": generation, "step": step, "why": "no room"});
    json!({"v": 1, "version": "1.0", "policy": policy}).to_string()
}

fn say(client: &mut NatsClient, host: &str, headers: &[u8], said: &str) {
    let subject = format!("$KV.hosts.{host}");
    let answer = client.ask(&subject, headers, said.as_bytes());
    let answer = answer.expect("an answer").json();
    assert!(answer.get("error").is_none(), "{answer}");
}

/// Has the server write this into the place of web/b, in every way that there is.
fn forge(evil: &mut NatsClient, said: &str) {
    const TO: &str = "$KV.hosts.web.b";
    let lines = [
        "Nats-Subject: $KV.hosts.web.b",
        "Nats-Stream: KV_hosts",
        "Nats-Sequence: 18446744073709551615",
        "Nats-Time-Stamp: 2031-01-01T00:00:00Z",
        "Nats-TTL: 60s",
    ];
    for with in [END.to_vec(), headers(&lines)] {
        let stored = evil.ask(&own(), &with, said.as_bytes());
        assert!(stored.is_some());
        have_answered(evil, &own(), TO);
        say(evil, "evil.e", &with, said);
        for ask in [
            json!({"last_by_subj": "$KV.hosts.evil.e"}),
            json!({"seq": 1, "next_by_subj": "$KV.hosts.evil.e", "batch": 2}),
        ] {
            let ask = ask.to_string();
            evil.publish("$JS.API.DIRECT.GET.KV_hosts", TO, b"", ask.as_bytes());
        }
        // That it was stored, said to somebody else.
        evil.publish("$KV.hosts.evil.e", TO, &with, said.as_bytes());
    }
    evil.publish("$JS.API.STREAM.INFO.KV_hosts", TO, b"", b"");
    assert!(evil.complaints().is_empty());
}

/// The generation that a host is listed with, if it is.
fn listed(nats: &NatsServer, host: &str) -> Option<Value> {
    let shown = nats.hosts().ok().json();
    let hosts = shown["hosts"].as_array().expect("a list");
    let found = hosts.iter().find(|found| found["host"] == host)?;
    Some(found["policy"]["generation"].clone())
}

#[test]
fn a_forged_sign_of_life_neither_completes_nor_stops_a_release() {
    let Some(nats) = NatsServer::start(&["web/b", "evil/e"]) else {
        return;
    };
    let (mut b, mut evil) = (nats.client("web-b"), nats.client("evil-e"));
    say(&mut b, "web.b", END, &sign(0, "waiting"));
    assert_eq!(listed(&nats, "web/b"), Some(json!(0)));
    for (generation, step) in [(1, "confirmed"), (7, "failed"), (u64::MAX, "confirmed")] {
        forge(&mut evil, &sign(generation, step));
        // Written over, it is missing until it is given again.
        assert_eq!(listed(&nats, "web/b"), None);
    }
    assert!(listed(&nats, "evil/e").is_none(), "two headers of each");
    say(&mut evil, "evil.e", END, &sign(u64::MAX, "confirmed"));
    assert_eq!(listed(&nats, "evil/e"), Some(json!(u64::MAX)));

    say(&mut b, "web.b", END, &sign(0, "waiting"));
    b.subscribe("fleet.policy.web");
    let options = ["--first", "100%", "--within", "10"];
    thread::scope(|scope| {
        let release =
            scope.spawn(|| nats.publish_from_elsewhere(FleetHost::POLICY, "web", &options));
        let policy = b.within(Duration::from_secs(10), |message| {
            message.subject == "fleet.policy.web"
        });
        assert!(policy.is_some(), "a policy");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            for (generation, step) in [(1, "confirmed"), (1, "failed"), (9, "confirmed")] {
                forge(&mut evil, &sign(generation, step));
                thread::sleep(Duration::from_millis(100));
            }
        }
        assert!(!release.is_finished(), "{:?}", release.join());
        say(&mut b, "web.b", END, &sign(1, "confirmed"));
        let released = release.join().expect("a release").ok();
        drop(released.says("policy 1 is in force on 1 hosts"));
    });
}

#[test]
fn a_sign_of_life_that_nobody_can_read_hides_no_other() {
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "evil/e"]) else {
        return;
    };
    let (mut a, mut b) = (nats.client("web-a"), nats.client("web-b"));
    let mut evil = nats.client("evil-e");
    say(&mut a, "web.a", END, &sign(3, "confirmed"));
    say(&mut evil, "evil.e", b"garbage", &sign(3, "confirmed"));
    let ask = json!({"last_by_subj": "$KV.hosts.evil.e"}).to_string();
    evil.publish(
        "$JS.API.DIRECT.GET.KV_hosts",
        "$KV.hosts.web.x",
        b"",
        ask.as_bytes(),
    );
    assert!(evil.complaints().is_empty());
    say(&mut b, "web.b", END, &sign(4, "confirmed"));
    let began = Instant::now();
    assert_eq!(listed(&nats, "web/a"), Some(json!(3)));
    println!("read past them in {:?}", began.elapsed());
    assert_eq!(listed(&nats, "web/b"), Some(json!(4)));
    // More of them than are passed over: no list that looks as if it were all.
    for n in 0..20 {
        let to = format!("$KV.hosts.web.x{n}");
        evil.publish("$JS.API.DIRECT.GET.KV_hosts", &to, b"", ask.as_bytes());
    }
    assert!(evil.complaints().is_empty());
    drop(nats.hosts().exit(12).says("nobody can read"));
}
