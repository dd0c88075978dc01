//! A flood of SYNs from random sources, as fast as the generator goes, on a port that is open to everybody: honest
//! clients come in all the same, because a listener with a full queue answers with cookies before the stack
//! does. They have a cable of their own (`lab/second_cable.rs` says why); address, port, listener and guard's
//! tables are the flood's.

use std::{
    env,
    net::{SocketAddr, TcpStream},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Conversation, Flood, Instance, Rate, Sources, TcpEcho, Topology, Wire, within},
    require,
};

/// Open to everybody, and an echo server behind it.
const OPEN: u16 = 9000;
/// One of these tests at a time.
static ALONE: Mutex<()> = Mutex::new(());
/// What counts as "at once".
const LIMIT: Duration = Duration::from_secs(1);
/// Between two questions of a session that goes on.
const PAUSE: Duration = Duration::from_millis(200);

/// Honest connections while the flood lasts: ten times as many with `GUARD_LONG=1`.
fn honest() -> usize {
    if env::var_os("GUARD_LONG").is_some_and(|value| value == "1") {
        2000
    } else {
        200
    }
}

#[test]
fn honest_clients_come_in_during_a_flood_native() {
    flooded("native");
}

#[test]
fn honest_clients_come_in_during_a_flood_generic() {
    flooded("generic");
}

#[test]
fn whoever_turns_cookies_off_is_told_so() {
    if !require::root() {
        return;
    }
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    let off = "net.ipv4.tcp_syncookies is 0";
    lab.srv.sysctl("net/ipv4/tcp_syncookies", "0");
    drop(guard.guardctl(&["allow", "9000/tcp"]).ok());
    let enabled = guard.guardctl(&["enable", "--iface", "eth0"]).ok();
    assert!(enabled.stderr.contains(off), "{enabled}");
    let status = guard.guardctl(&["status"]).ok();
    let line = format!("SYN floods: no cookies ({off}), ceiling ");
    drop(status.says(&line));
    let floods =
        |guard: &Instance| guard.guardctl(&["--json", "status"]).ok().json()["floods"].clone();
    assert_eq!(floods(&guard)["syn_cookies"], false);

    lab.srv.sysctl("net/ipv4/tcp_syncookies", "1");
    let status = guard.guardctl(&["status"]).ok();
    drop(status.says("SYN floods: cookies when a listener's queue is full"));
    assert_eq!(floods(&guard)["syn_cookies"], true);
    let again = guard.guardctl(&["enable", "--iface", "eth0"]).ok();
    assert!(!again.stderr.contains(off), "{again}");
}

fn flooded(mode: &str) {
    if !require::root() {
        return;
    }
    // Two floods on two CPUs would both be half as fast.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let router = Instance::new(&lab.wan);
    if mode == "native" {
        // The other end of a veth pair takes what XDP sends back only if it runs an XDP program itself
        // (veth_xdp_flush wakes nobody else). This one lets pass what is for somebody who exists; the
        // Internet takes the answers to forged sources, and the lab's router need not.
        for line in [
            format!("allow from any to {}", lab.friend.v4),
            format!("allow from any to {}", lab.friend.v6),
            "enable --iface srv --iface srv1 --force --yes".to_owned(),
        ] {
            drop(router.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
        }
    } else {
        // A frame size that native XDP on veth cannot take.
        for (host, interface) in [
            (&lab.wan, "srv"),
            (&lab.wan, "srv1"),
            (&*lab.srv, "eth0"),
            (&*lab.srv, "eth1"),
        ] {
            host.ip(&format!("link set {interface} mtu 9000"));
        }
    }
    let guard = Instance::new(&lab.srv);
    let echo = TcpEcho::start(&lab.srv, OPEN);
    // The end of a handshake that brings a cookie back is part of no session yet: the cookie alone lets it in.
    guard.write_policy("[limits]\nout-of-state = \"0\"\n");
    for line in ["allow 9000/tcp", "enable --iface eth0 --iface eth1 --force"] {
        drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
    }
    let status = guard.guardctl(&["status"]).ok().stdout;
    assert!(status.contains(mode), "{status}");
    assert!(status.contains("SYN floods: cookies"), "{status}");
    let mut sessions: Vec<Conversation> = [lab.srv.v4, lab.srv.v6]
        .map(|to| {
            let server = SocketAddr::new(to, OPEN);
            let stream = lab.friend.run(|| TcpStream::connect(server));
            let stream = stream.expect("a connection before the flood");
            Conversation::tcp_every(PAUSE, format!("session with {to}"), stream, 64)
        })
        .into();
    Conversation::assert_go_on(&mut sessions);

    let lost = lab.overflowed();
    let wire = Wire::open(&lab.wan, "srv");
    let flood = Flood::start(
        wire,
        lab.forged_syns(OPEN, Sources::Everywhere),
        Rate::Unlimited,
    );
    let answered = within(Duration::from_secs(20), || {
        (guard.counted().reason("syn-cookie") > 1000).then_some(())
    });
    assert!(
        answered.is_some(),
        "no SYN was answered: {:?}",
        guard.counted().table()
    );
    let begun = (Instant::now(), flood.sent());
    let accepted = echo.accepted();
    let took: Vec<Option<Duration>> = (0..honest())
        .map(|number| {
            let to = [lab.srv.v4, lab.srv.v6][number % 2];
            lab.friend.time_tcp(to, OPEN)
        })
        .collect();
    let rate = (flood.sent() - begun.1) as f64 / begun.0.elapsed().as_secs_f64();
    Conversation::assert_go_on(&mut sessions);
    let sent = flood.stop();
    let counted = guard.counted();
    println!("{mode}: {sent} SYNs, {rate:.0}/s, {:?}", counted.table());
    println!(
        "slowest: {:?}; lost in front of guard: {}",
        took.iter().max(),
        lab.overflowed() - lost
    );
    println!("{}", guard.guardctl(&["stats"]).ok().stdout);
    for session in sessions {
        let report = session.stop();
        assert!(report.failure.is_none(), "{report:?}");
    }
    let in_time = took.iter().flatten().filter(|took| **took < LIMIT).count();
    assert!(
        in_time * 100 >= honest() * 99,
        "{in_time} of {}: {took:?}",
        honest()
    );
    assert!(echo.accepted() - accepted >= in_time as u64);
    let answered = counted.reason("syn-cookie");
    assert!(answered > sent / 2, "{answered} of {sent} answered");
    assert_eq!(counted.reason("ceiling"), 0, "a listener has no ceiling");
    assert_eq!(counted.flows("created"), 0, "flows by the flood");
}
