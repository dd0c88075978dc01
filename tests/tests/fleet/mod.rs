//! A34: banned on one host, dropped in XDP on the others, whatever happens to the server between them. Real NATS, real
//! guard-fleet, real daemons, real packets.

mod cluster;
mod policy;

use std::time::Instant;

use guard_tests::{
    lab::{FleetHost, GuardDaemon, NatsServer, until},
    require,
};

#[test]
fn an_attacker_banned_on_one_host_is_dropped_on_the_other_and_let_go_with_it() {
    if !require::root() {
        return;
    }
    let Some(mut nats) = NatsServer::start(&["web/a", "web/b"]) else {
        return;
    };
    let a = FleetHost::join(&nats, "web", "a");
    let mut b = FleetHost::join(&nats, "web", "b");
    b.until_dropped(false);
    a.with_attacker(&["ban", "--for", "1h"]);
    let begin = Instant::now();
    until("the ban to be in force on b", || {
        b.guard.banned().len() == 2
    });
    println!("banned on a, in force on b after {:?}", begin.elapsed());
    b.until_dropped(true);
    drop(
        b.guard
            .guardctl(&["fleet", "bans"])
            .ok()
            .says("fleet web/a"),
    );
    a.with_attacker(&["unban"]);
    b.until_dropped(false);

    for words in [["trust", "db", "full"], ["trust", "mail", "quorum 3"]] {
        let ran = b.guard.guardctl(&[&["fleet"], &words[..]].concat());
        drop(ran.ok().says(words[2]));
    }
    let wrong = ["fleet", "trust", "mail", "blindly"];
    drop(b.guard.guardctl(&wrong).exit(2).says("quorum N"));

    // The server is killed: both say so, what is banned meanwhile is told when it is back.
    nats.kill();
    drop(b.until_status(8).says("STALE"));
    a.with_attacker(&["ban", "--for", "1h"]);
    nats.run();
    b.until_dropped(true);
    b.until_status(0);

    // Nothing of it hangs on guard-fleet, nor on the daemon.
    b.kill_fleet();
    drop(b.guard.guardctl(&["daemon", "--stop"]).ok());
    b.daemon.wait();
    b.assert_dropped();
    b.daemon = GuardDaemon::start(&b.guard);
    b.assert_dropped();

    // The stream is wiped: each host publishes again what it banned, and nobody is let go.
    nats.kill();
    nats.wipe();
    nats.run();
    drop(nats.prepare("admin").ok());
    b.start_fleet();
    b.until_status(0);
    b.assert_dropped();
    a.until_status(0);
    a.with_attacker(&["unban"]);
    b.until_dropped(false);

    // Only operators lift for all, and only the admin makes streams.
    a.with_attacker(&["ban", "--for", "1h"]);
    b.until_dropped(true);
    let v4 = a.lab.attacker.v4.to_string();
    assert_ne!(nats.lift("web-a", &v4).code, Some(0));
    assert_ne!(nats.lift("web-b", &v4).code, Some(0));
    b.assert_dropped();
    drop(nats.lift("operator", &v4).ok());
    drop(nats.lift("operator", &format!("{}/64", prefix(&a))).ok());
    b.until_dropped(false);
    a.until_dropped(false);
    assert!(a.guard.banned().is_empty(), "{:?}", a.guard.banned());
}

/// The /64 of the attacker, which his IPv6 address was banned as.
fn prefix(host: &FleetHost) -> String {
    let std::net::IpAddr::V6(v6) = host.lab.attacker.v6 else {
        panic!("an IPv6 address");
    };
    let bits = v6.to_bits() >> 64 << 64;
    std::net::Ipv6Addr::from(bits).to_string()
}
