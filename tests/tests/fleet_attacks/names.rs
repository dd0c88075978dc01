//! In whose name a host's key speaks: its own, whatever it asks of the server.

use std::time::Duration;

use guard_tests::{
    lab::{FleetHost, NatsServer, until},
    require,
};

use super::words::{END, ban, have_answered, headers, key, nobody, record};

#[test]
fn a_hosts_key_may_say_what_its_host_bans_and_nothing_else() {
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "db/c"]) else {
        return;
    };
    let (mut a, mut b) = (nats.client("web-a"), nats.client("web-b"));
    ban(&mut b, "web.b", nobody(1), 600);
    ban(&mut a, "web.a", nobody(2), 600);
    let before = nats.stream()["state"].clone();
    for subject in [
        "$KV.guard.ban.web.b.4-0b000001-32",
        "$KV.guard.ban.db.a.4-0b000001-32",
        "$KV.guard.ban.web.a",
        "$KV.guard.ban.web.a.4-0b000001-32.more",
        "$KV.guard.lift.4-0b000001-32",
        "$KV.guard.policy.web",
        "$KV.policy.web",
        "$KV.hosts.web.b",
        "fleet.ev.ban.web.a.4-0b000001-32",
        "fleet.now.ban.web.b.4-0b000001-32",
        "fleet.now.lift.4-0b000001-32",
        "_INBOX_web_b.1",
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.KV_guard",
        "$JS.API.STREAM.UPDATE.KV_guard",
        "$JS.API.STREAM.DELETE.KV_guard",
        "$JS.API.STREAM.PURGE.KV_guard",
        "$JS.API.STREAM.MSG.DELETE.KV_guard",
        "$JS.API.STREAM.CREATE.other",
        "$JS.API.STREAM.INFO.other",
        "$JS.API.DIRECT.GET.KV_policy",
        "$JS.API.DIRECT.GET.KV_policy.$KV.policy.db",
        "$JS.API.STREAM.MSG.GET.KV_policy",
        "$JS.API.STREAM.MSG.GET.KV_hosts",
        "$JS.API.CONSUMER.CREATE.KV_guard",
        "$JS.API.CONSUMER.CREATE.KV_guard.x.$KV.guard.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.KV_guard.x",
        "$SYS.REQ.SERVER.PING",
    ] {
        a.publish(subject, "", END, record(1, 0).as_bytes());
        let denied = a.complaints();
        let is_it = |line: &String| line.contains("Permissions Violation for Publish");
        assert!(
            denied.len() == 1 && denied.iter().all(is_it),
            "{subject}: {denied:?}"
        );
    }
    for subject in [
        ">",
        "*.>",
        "_INBOX_web_b.>",
        "_INBOX.>",
        "$KV.>",
        "fleet.policy.>",
        "fleet.policy.db",
        "$JS.>",
        "$SYS.>",
    ] {
        a.subscribe(subject);
        let denied = a.complaints();
        let is_it = |line: &String| line.contains("Permissions Violation for Subscription");
        assert!(
            denied.len() == 1 && denied.iter().all(is_it),
            "{subject}: {denied:?}"
        );
    }
    assert_eq!(nats.stream()["state"], before);
    // On its own key, the server refuses what would reach others.
    let own = "$KV.guard.ban.web.a.4-0b000003-32";
    for (line, why) in [
        ("Nats-Rollup: all", "rollup"),
        ("Nats-Rollup: sub", "rollup"),
        ("Nats-Schedule: @every 1s", "schedules"),
    ] {
        let answer = a.ask(own, &headers(&[line]), b"").expect("an answer");
        let said = answer.json()["error"].to_string();
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(nats.stream()["state"], before);
    // It may take its own ban out of the stream, which is nobody else's.
    let own = "$KV.guard.ban.web.a.4-0b000002-32";
    let delete = headers(&["KV-Operation: DEL", "Nats-TTL: never"]);
    let answer = a.ask(own, &delete, b"").expect("an answer").json();
    assert!(answer["seq"].is_u64(), "{answer}");
    let after = nats.stream();
    assert_eq!(after["state"]["num_subjects"], before["num_subjects"]);
    let ask = format!(
        "{{\"last_by_subj\":\"$KV.guard.ban.web.b.{}\"}}",
        key(nobody(1), 32)
    );
    let of_b = b.ask("$JS.API.DIRECT.GET.KV_guard", b"", ask.as_bytes());
    assert!(of_b.expect("an answer").text().contains("jail sshd"));
}

#[test]
fn whoever_has_the_server_answer_in_the_name_of_others_is_not_believed() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "evil/e"]) else {
        return;
    };
    let mut b = FleetHost::join(&nats, "web", "b");
    let (mut a, mut evil) = (nats.client("web-a"), nats.client("evil-e"));
    let (banned, innocent) = (nobody(1), b.lab.attacker.v4);
    let is_banned = |host: &FleetHost| host.guard.banned().contains(&banned.to_string());
    ban(&mut a, "web.a", banned, 600);
    until("the ban of a", || is_banned(&b));
    let own_words = ["ban", "11.0.0.200", "--for", "1h"];
    drop(b.guard.guardctl(&own_words).ok());

    let own = "$KV.guard.ban.evil.e.4-0b000009-32";
    let forged = |subject: &str| {
        let lines = [
            &format!("Nats-Subject: {subject}"),
            "Nats-Stream: KV_guard",
            "Nats-Sequence: 18446744073709551615",
            "Nats-TTL: 600s",
        ];
        headers(&lines)
    };
    // Lifts of what a banned, and a ban of whom nobody banned, both in the name of others.
    for (address, left) in [(banned, 0), (innocent, 600)] {
        let key = key(address, 32);
        for place in [format!("lift.{key}"), format!("ban.web.a.{key}")] {
            for begin in ["$KV.guard.", "fleet.ev.", "fleet.now."] {
                for with in [END.to_vec(), forged(&format!("$KV.guard.{place}"))] {
                    let answer = evil.ask(own, &with, record(1, left).as_bytes());
                    assert!(answer.is_some(), "stored");
                    have_answered(&mut evil, own, &format!("{begin}{place}"));
                }
            }
        }
    }
    // What was said after it is heard, and so it was.
    ban(&mut a, "web.a", nobody(3), 600);
    until("another ban of a", || {
        b.guard.banned().contains(&"11.0.0.3".to_owned())
    });
    let check = |b: &FleetHost| {
        let banned_now = b.guard.banned();
        assert!(is_banned(b), "{banned_now:?}");
        assert!(
            !banned_now.contains(&innocent.to_string()),
            "{banned_now:?}"
        );
        b.until_dropped(false);
    };
    check(&b);
    until("the status to say so", || {
        let status = b.guard.guardctl(&["fleet", "status"]);
        status.stdout.contains("somebody's key is misused")
    });

    // This host's own word was written over, and stands there again.
    let of_b = "$KV.guard.ban.web.b.4-0b0000c8-32";
    have_answered(&mut evil, own, of_b);
    evil.publish(own, of_b, END, record(1, 600).as_bytes());
    let ask = format!("{{\"last_by_subj\":\"{of_b}\"}}");
    until("the own ban to be published again", || {
        let answer = a.ask("$JS.API.DIRECT.GET.KV_guard", b"", ask.as_bytes());
        let text = answer.expect("an answer").text();
        text.contains("operator") && text.matches("Nats-Stream").count() == 1
    });

    // Whoever comes later reads the same out of the stream.
    b.kill_fleet();
    b.start_fleet();
    ban(&mut a, "web.a", nobody(4), 600);
    until("a third ban of a", || {
        b.guard.banned().contains(&"11.0.0.4".to_owned())
    });
    check(&b);
}

#[test]
fn headers_that_are_none_keep_nobody_from_hearing() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "evil/e"]) else {
        return;
    };
    let mut b = FleetHost::join(&nats, "web", "b");
    let (mut a, mut evil) = (nats.client("web-a"), nats.client("evil-e"));
    let has = |host: &FleetHost, n: u32| host.guard.banned().contains(&nobody(n).to_string());
    for (n, bad) in [
        &b"garbage"[..],
        b"NATS/1.0\r\n\xff\xfe no colon\r\n\r\n",
        b"NATS/1.0 many words\r\n\r\n",
        b"NATS/1.0\r\n: nothing\r\n\r\n",
        b"NATS/1.0 404 Gone\r\n\r\n",
    ]
    .iter()
    .enumerate()
    {
        let subject = format!("$KV.guard.ban.evil.e.{}", key(nobody(900 + n as u32), 32));
        let answer = evil.ask(&subject, bad, record(1, 600).as_bytes());
        assert!(answer.is_some(), "{bad:?} is stored");
    }
    ban(&mut a, "web.a", nobody(1), 600);
    until("what came behind it", || has(&b, 1));
    // Also by who reads all of it out of the stream.
    b.kill_fleet();
    b.start_fleet();
    ban(&mut a, "web.a", nobody(2), 600);
    let began = std::time::Instant::now();
    while !has(&b, 2) {
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{}",
            b.until_status(0)
        );
    }
    b.until_status(0);
    println!("read past them in {:?}", began.elapsed());
}
