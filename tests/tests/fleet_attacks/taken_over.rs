//! A host that was taken over, with its key: it floods, and bans what must not be banned.

use std::time::Instant;

use guard_tests::{
    lab::{Answer, FleetHost, NatsServer, Sshd, until},
    require,
};

use super::words::{END, ban, key, nobody, record};

#[test]
fn a_host_that_was_taken_over_is_capped_and_quarantined_and_others_are_heard_meanwhile() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "web/e"]) else {
        return;
    };
    let b = FleetHost::join(&nats, "web", "b");
    let (mut a, mut evil) = (nats.client("web-a"), nats.client("web-e"));
    let place = |key: String| format!("$KV.guard.ban.web.e.{key}");
    for n in 0..5_000 {
        let subject = place(key(nobody(n), 32));
        evil.publish(&subject, "", END, record(1, 600).as_bytes());
    }
    assert!(evil.complaints().is_empty());
    let began = Instant::now();
    let attacker = b.lab.attacker.v4;
    ban(&mut a, "web.a", attacker, 600);
    until("a's ban beside the flood", || {
        b.guard.banned().contains(&attacker.to_string())
    });
    println!("heard beside a flood of 5000 after {:?}", began.elapsed());
    let of_evil = b.guard.banned().len() - 1;
    assert!(of_evil < 2_000, "{of_evil}");

    ban(&mut a, "web.a", nobody(80_000), 600);
    until("another ban of a", || {
        b.guard.banned().contains(&nobody(80_000).to_string())
    });
    let status = b.guard.guardctl(&["fleet", "status"]).exit(0);
    assert!(status.stdout.contains("web/e"), "{status}");
}

#[test]
fn a_host_that_bans_what_must_not_be_banned_bans_nobody_and_is_quarantined() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "web/e"]) else {
        return;
    };
    let b = FleetHost::join(&nats, "web", "b");
    let (mut a, mut evil) = (nats.client("web-a"), nats.client("web-e"));
    let place = |key: String| format!("$KV.guard.ban.web.e.{key}");
    // Whoever is logged in, whom this host needs, and subjects that are none.
    let sshd = Sshd::start(&b.lab.srv);
    let friend = &b.lab.friend;
    let mut sessions = [b.lab.srv.v4, b.lab.srv.v6].map(|to| sshd.session(friend, to));
    let mut protected = vec![
        key(friend.v4, 32),
        key("198.51.100.0".parse().expect("its network"), 24),
        key(friend.v6, 128),
        key("2001:db8:100::".parse().expect("its network"), 64),
        key(b.lab.srv.v4, 32),
        key(b.lab.srv.v6, 128),
        key("192.0.2.254".parse().expect("the gateway"), 32),
        key("127.0.0.1".parse().expect("an address"), 32),
        key("224.0.0.1".parse().expect("an address"), 32),
        key("fe80::1".parse().expect("an address"), 128),
        "4-".to_owned(),
        "6-\u{1b}[2J".to_owned(),
    ];
    protected.push("x".repeat(300));
    for key in protected {
        evil.publish(&place(key), "", END, record(2, 600).as_bytes());
    }
    let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400));
    for (n, junk) in [
        &b"\x00\xff\x1b[2J"[..],
        deep.as_bytes(),
        &[b'x'; 1024],
        b"{\"v\":1,\"id\":1,\"left\":-5}",
        b"{\"v\":1,\"id\":1,\"left\":1e308}",
        b"{\"v\":1,\"id\":99999999999999999999,\"left\":60}",
        b"{\"v\":9,\"id\":1,\"left\":60}",
        b"{\"v\":1,\"id\":1,\"left\":60,\"reason\":[]}",
        b"",
    ]
    .iter()
    .enumerate()
    {
        let subject = place(key(nobody(60_000 + n as u32), 32));
        evil.publish(&subject, "", END, junk);
    }
    let loud =
        b"{\"v\":1,\"id\":3,\"left\":4294967295,\"reason\":\"\\u001b[2J\\nroot: all is well\"}";
    evil.publish(&place(key(nobody(70_000), 32)), "", END, loud);
    for n in 0..12 {
        let wide = [format!("4-{:08x}-8", n << 24), "4-00000000-0".to_owned()];
        for key in wide {
            evil.publish(&place(key), "", END, record(4, 600).as_bytes());
        }
    }
    assert!(evil.complaints().is_empty());
    b.daemon.says("web/e is quarantined");
    let status = b.until_status(0);
    drop(status.clone().says("unreadable"));
    assert!(status.stdout.contains("QUARANTINED"), "{status}");
    let is_printable = |letter: char| letter == '\n' || letter == ' ' || letter.is_ascii_graphic();
    assert!(status.stdout.chars().all(is_printable), "{status:?}");

    // The kernel has neither networks nor anybody whom this host needs, and still hears of a.
    let banned = b.guard.banned();
    let loud = nobody(70_000).to_string();
    assert!(banned.iter().all(|source| *source == loud), "{banned:?}");
    drop(
        b.guard
            .guardctl(&["bans"])
            .ok()
            .says("?[2J?root: all is well"),
    );
    for to in [b.lab.srv.v4, b.lab.srv.v6] {
        assert_eq!(b.lab.friend.ask_udp(to, 7000), Answer::Echo);
    }
    for session in &mut sessions {
        assert!(session.answers());
    }
    let attacker = b.lab.attacker.v4;
    ban(&mut a, "web.a", attacker, 600);
    until("a's ban after the quarantine", || {
        b.guard.banned().contains(&attacker.to_string())
    });
}
