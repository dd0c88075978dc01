//! What comes where policies do: only what was signed, and nothing from before.

use std::{
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, FleetHost, NatsClient, NatsServer, until},
    require,
};
use guard_user::fleet::bundle::Bundle;
use nkeys::KeyPair;
use serde_json::json;

use super::words::{END, ban, have_answered, key, nobody};

const OPTIONS: [&str; 4] = ["--first", "100%", "--within", "10"];

fn letting_in(port: u16) -> String {
    format!(
        "{}\n[[rule]]\naction = \"allow\"\nport = {port}\n",
        FleetHost::POLICY
    )
}

fn is_open(host: &FleetHost, port: u16) -> bool {
    // Nothing listens there: the host refuses at an open port, and a closed one is silent.
    host.lab.attacker.ask_tcp(host.lab.srv.v4, port) == Answer::Refused
}

/// What no host may take, and what was signed before.
fn wrong(before: &str) -> Vec<Vec<u8>> {
    let of_nobody = Bundle {
        group: "web".to_owned(),
        generation: 99,
        released: u64::MAX,
        confirm_s: 10,
        policy: "default = \"allow\"".to_owned(),
    };
    let of_nobody = of_nobody.seal(&KeyPair::new_account()).expect("sealed");
    let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400));
    vec![
        Vec::new(),
        b"\x00\xff\x1b[2J".to_vec(),
        b"null".to_vec(),
        b"{\"body\":\"\",\"signature\":\"\"}".to_vec(),
        b"{\"body\":\"\\u001b[2J\",\"signature\":7}".to_vec(),
        deep.into_bytes(),
        vec![b'x'; 900],
        before.replace("\"body\":\"e", "\"body\":\"f").into_bytes(),
        of_nobody.into_bytes(),
        before.as_bytes().to_vec(),
    ]
}

/// Has the server send this where policies come, and store it in the place of the group's.
fn send(evil: &mut NatsClient, text: &[u8]) {
    let own = format!("$KV.guard.ban.web.e.{}", key(nobody(9), 32));
    let answer = evil.ask(&own, END, text).expect("an answer").json();
    assert!(answer.get("error").is_none(), "{answer}");
    for to in ["fleet.policy.web", "$KV.policy.web"] {
        have_answered(evil, &own, to);
    }
}

/// The same with headers that are none, by its sign of life, which no host reads.
fn send_unreadable(evil: &mut NatsClient) {
    let own = "$KV.hosts.web.e";
    assert!(evil.ask(own, b"garbage", b"x").is_some(), "stored");
    let ask = json!({"last_by_subj": own}).to_string();
    for to in ["fleet.policy.web", "$KV.policy.web"] {
        evil.publish("$JS.API.DIRECT.GET.KV_hosts", to, b"", ask.as_bytes());
    }
    assert!(evil.complaints().is_empty());
}

#[test]
fn what_a_member_sends_where_policies_come_opens_nothing_and_stops_none_that_was_signed() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "web/e"]) else {
        return;
    };
    let mut b = FleetHost::join(&nats, "web", "b");
    let (mut a, mut evil) = (nats.client("web-a"), nats.client("web-e"));
    let accept = ["fleet", "policy", "accept", &nats.signer()];
    drop(b.guard.guardctl(&accept).ok());
    until("the host to say that it takes policies", || {
        let shown = nats.hosts().ok().json();
        let hosts = shown["hosts"].as_array().expect("a list");
        hosts.iter().any(|host| host["policy"].is_object())
    });
    let publish = |port, options: &[&str]| {
        let options = [&OPTIONS[..], options].concat();
        nats.publish_from_elsewhere(&letting_in(port), "web", &options)
    };
    drop(publish(7001, &[]).ok().says("policy 1 is in force"));
    assert!(is_open(&b, 7001));
    let stored = evil.ask("$JS.API.DIRECT.GET.KV_policy.$KV.policy.web", b"", b"");
    let first = stored.expect("an answer").json().to_string();

    // While the next is pending.
    evil.subscribe("fleet.policy.web");
    thread::scope(|scope| {
        let release = scope.spawn(|| publish(7002, &[]));
        let policy = evil.within(Duration::from_secs(10), |message| {
            message.subject == "fleet.policy.web"
        });
        assert!(policy.is_some(), "a policy");
        for text in wrong(&first) {
            send(&mut evil, &text);
        }
        let released = release.join().expect("a release").ok();
        drop(released.says("policy 2 is in force on 1 hosts"));
    });
    // What is stored in its place instead, a host reads that comes anew.
    b.kill_fleet();
    b.start_fleet();
    for text in wrong(&first) {
        send(&mut evil, &text);
    }
    ban(&mut a, "web.a", nobody(1), 600);
    until("a ban beside it", || {
        b.guard.banned().contains(&nobody(1).to_string())
    });
    assert!(is_open(&b, 7002) && !is_open(&b, 7001));
    let status = b.until_status(0).says("policy: 2 confirmed");
    let is_printable = |letter: char| letter == '\n' || letter == ' ' || letter.is_ascii_graphic();
    assert!(status.stdout.chars().all(is_printable), "{status:?}");

    // What nobody can read keeps no host from hearing of bans, and the publisher from nothing.
    send_unreadable(&mut evil);
    let began = Instant::now();
    ban(&mut a, "web.a", nobody(2), 600);
    until("a ban behind it", || {
        b.guard.banned().contains(&nobody(2).to_string())
    });
    println!("heard behind what nobody can read in {:?}", began.elapsed());
    let ran = publish(7003, &["--generation", "3"]);
    drop(ran.ok().says("policy 3 is in force on 1 hosts"));
    assert!(is_open(&b, 7003) && !is_open(&b, 7002));
}
