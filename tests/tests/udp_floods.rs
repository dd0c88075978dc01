//! Floods of datagrams and of pings on ports that are open to everybody: most must not reach the stack, nor be answered,
//! and honest clients must not notice: neither those that have been answered nor those who come new and try again,
//! as every client over UDP does.

mod clients;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Conversation, Flood, Instance, Rate, Sources, Topology, UdpEcho, Wire, within},
    require,
};

/// Open to everybody, and answered.
const OPEN: u16 = 27_015;
/// Frames of a flood at least.
const FRAMES: u64 = 1_000_000;
/// Strangers who come while it lasts.
const STRANGERS: usize = 30;
/// One flood at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn guard(lab: &Topology, rules: &[&str]) -> Instance {
    let guard = Instance::new(&lab.srv);
    for rule in rules {
        drop(guard.guardctl(&rule.split(' ').collect::<Vec<_>>()).ok());
    }
    drop(
        guard
            .guardctl(&["enable", "--iface", "eth0", "--iface", "eth1", "--force"])
            .ok(),
    );
    guard
}

/// A client of its own address, that asks at most three times: which try was answered.
fn asks(lab: &Topology, number: usize) -> Option<usize> {
    let host = 20 + number;
    let (own, to): (IpAddr, IpAddr) = if number.is_multiple_of(2) {
        (
            format!("198.51.100.{host}").parse().expect("an address"),
            lab.srv.v4,
        )
    } else {
        (
            format!("2001:db8:100::{host}").parse().expect("an address"),
            lab.srv.v6,
        )
    };
    let bits = if own.is_ipv4() { 24 } else { 64 };
    let nodad = if own.is_ipv4() { "" } else { " nodad" };
    lab.friend
        .ip(&format!("addr add {own}/{bits} dev eth0{nodad}"));
    let socket = lab
        .friend
        .run(|| UdpSocket::bind((own, 0)))
        .expect("a socket");
    let mut answer = [0; 16];
    let patience = [500, 1000, 2000].map(Duration::from_millis);
    patience.iter().position(|patience| {
        socket.set_read_timeout(Some(*patience)).expect("a socket");
        socket.send_to(b"hello", (to, OPEN)).ok();
        socket.recv(&mut answer).is_ok()
    })
}

#[test]
fn a_flood_of_datagrams_from_everywhere_keeps_nobody_out() {
    flooded(true);
}

#[test]
fn a_flood_of_datagrams_from_a_fixed_set_of_sources_reaches_no_service() {
    flooded(false);
}

/// What `explain` says of a client and of a stranger.
fn explained(lab: &Topology, guard: &Instance) {
    for (client, stranger, to) in [
        (lab.friend.v4, "11.1.2.3", lab.srv.v4),
        (lab.friend.v6, "2a00::1", lab.srv.v6),
    ] {
        let ask = |from: &str| {
            let words = format!("explain from {from} to {to} port {OPEN} proto udp");
            guard.guardctl(&words.split(' ').collect::<Vec<_>>()).ok()
        };
        drop(ask(&client.to_string()).says(
            "this host has a conversation with the source: above 4000/s at its port it passes as long as this host answers it",
        ));
        drop(ask(stranger).says(
            "no conversation with the source: above 2000/s at its port it passes only when it repeats itself",
        ));
    }
    drop(
        guard
            .guardctl(&["status"])
            .ok()
            .says("UDP floods: clients go first above 2000/s per port"),
    );
}

fn flooded(is_fresh: bool) {
    if !require::root() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let echo = UdpEcho::start(&lab.srv, OPEN);
    let guard = guard(&lab, &["allow 27015/udp"]);
    let (srv, friend) = (&lab.srv, &lab.friend);
    let mut friends: Vec<Conversation> = [(friend.v4, srv.v4), (friend.v6, srv.v6)]
        .map(|(own, to)| {
            // Its own address: of IPv6 the kernel would choose the one that was added last, a stranger's.
            let socket = friend.run(|| UdpSocket::bind((own, 0)));
            let socket = socket.expect("a socket");
            let pause = Duration::from_millis(16);
            let server = SocketAddr::new(to, OPEN);
            Conversation::udp_every(pause, format!("game with {to}"), socket, Some(server))
        })
        .into();
    Conversation::assert_go_on(&mut friends);
    // Some seconds make a conversation.
    thread::sleep(Duration::from_secs(4));
    explained(&lab, &guard);

    let frames = lab.forged_datagrams(OPEN, Sources::Everywhere, 22);
    let before = (guard.counted(), lab.sent_back(), echo.received());
    let begun = Instant::now();
    let wire = Wire::open(&lab.wan, "srv");
    let flood = if is_fresh {
        Flood::start_fresh(wire, frames, Rate::Unlimited)
    } else {
        Flood::start(wire, frames, Rate::Unlimited)
    };
    let acts = within(Duration::from_secs(20), || {
        (guard.counted().reason("udp-ceiling") > 100_000).then_some(())
    });
    assert!(acts.is_some(), "{:?}", guard.counted().table());
    // Those who repeat themselves as the flood does cannot be told from it.
    let strangers = if is_fresh { STRANGERS } else { 0 };
    let came_in: Vec<Option<usize>> = (0..strangers).map(|number| asks(&lab, number)).collect();
    let enough = within(Duration::from_secs(40), || {
        (flood.sent() > FRAMES).then_some(())
    });
    assert!(enough.is_some(), "a slow flood");
    Conversation::assert_go_on(&mut friends);
    let sent = flood.stop();
    let lasted = begun.elapsed().as_secs_f64();
    let reached = echo.received() - before.2;
    let back = lab.sent_back() - before.1;
    println!(
        "{sent} in {lasted:.1} s, {reached} reached the service, {back} sent back; strangers {came_in:?}\n{:?}",
        guard.counted().table()
    );
    for friend in friends {
        friend.stop().assert_steady(Duration::from_millis(500));
    }
    assert!(reached * 100 < sent * 5, "{reached} of {sent}");
    // What answers the flood goes by its own cable.
    assert!(back * 100 < sent * 5, "{back} answers to {sent}");
    let in_time = came_in.iter().flatten().count();
    assert!(in_time * 100 >= strangers * 95, "{in_time}: {came_in:?}");
}

#[test]
fn a_flood_of_pings_is_answered_a_thousand_times_a_second() {
    if !require::root() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let guard = guard(&lab, &["allow ping"]);
    let frames = lab.forged_pings(Sources::Everywhere);
    let before = lab.sent_back();
    let begun = Instant::now();
    let flood = Flood::start(Wire::open(&lab.wan, "srv"), frames, Rate::Unlimited);
    let enough = within(Duration::from_secs(40), || {
        (flood.sent() > FRAMES / 2).then_some(())
    });
    assert!(enough.is_some(), "a slow flood");
    let sent = flood.stop();
    let lasted = begun.elapsed().as_secs_f64();
    let counted = guard.counted();
    let back = lab.sent_back() - before;
    println!(
        "{sent} in {lasted:.1} s, {back} sent back: {:?}",
        counted.table()
    );
    assert!(counted.reason("icmp-ceiling") > sent / 2);
    assert!(
        (back as f64) < 2000.0 + 1000.0 * (lasted + 1.0),
        "{back} sent back"
    );
}
