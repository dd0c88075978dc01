//! Sources that the service answers: a flood in the name of one is no conversation, and who sends much and waits for
//! answers loses nothing.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use guard_common::testing::{packet, packet_v6};
use guard_tests::{
    lab::{Conversation, Flood, Host, Rate, Topology, UdpEcho, Wire, within},
    require,
};

use super::{ALONE, FRAMES, OPEN, guard};

/// A flood lasts so long at least.
const FLOODED: Duration = Duration::from_secs(3);
/// Frames of a flood, each from a port of its own.
const PORTS: u16 = 8192;

/// Asks and is answered until it is stopped.
fn converses(name: &str, from: &Host, to: IpAddr) -> Conversation {
    let own = if to.is_ipv4() { from.v4 } else { from.v6 };
    let socket = from.run(|| UdpSocket::bind((own, 0))).expect("a socket");
    let pause = Duration::from_millis(16);
    let server = SocketAddr::new(to, OPEN);
    Conversation::udp_every(pause, format!("{name} with {to}"), socket, Some(server))
}

/// Any address of this family.
fn any(to: IpAddr) -> &'static str {
    if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }
}

/// Datagrams from the router to the open port, in the name of somebody.
fn forged(lab: &Topology, from: IpAddr, to: IpAddr) -> Vec<Vec<u8>> {
    let (own, router) = (lab.srv.mac("eth0"), lab.wan.mac("srv"));
    let base = if to.is_ipv4() { packet() } else { packet_v6() };
    let base = base.from_ip(from).to_ip(to).macs(own, router).payload(22);
    (0..PORTS)
        .map(|number| base.clone().udp_between(20_000 + number, OPEN).build())
        .collect()
}

#[test]
fn a_flood_in_the_name_of_a_client_does_not_reach_the_service() {
    if !require::root() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let _echo = UdpEcho::start(&lab.srv, OPEN);
    let guard = guard(&lab, &["allow 27015/udp"]);
    // The flood comes by the attacker's way, so it is he in whose name it comes.
    for (client, to) in [(lab.attacker.v4, lab.srv.v4), (lab.attacker.v6, lab.srv.v6)] {
        let mut friends = [lab.srv.v4, lab.srv.v6].map(|to| converses("friend", &lab.friend, to));
        let mut known = [converses("client", &lab.attacker, to)];
        Conversation::assert_go_on(&mut known);
        Conversation::assert_go_on(&mut friends);
        // Some seconds make a conversation.
        thread::sleep(Duration::from_secs(4));
        let [client_before] = known;
        client_before
            .stop()
            .assert_steady(Duration::from_millis(500));

        let before = (guard.counted(), lab.sent_back());
        let begun = Instant::now();
        let wire = Wire::open(&lab.wan, "srv");
        let flood = Flood::start(wire, forged(&lab, client, to), Rate::Unlimited);
        let enough = within(Duration::from_secs(40), || {
            (flood.sent() > FRAMES && begun.elapsed() > FLOODED).then_some(())
        });
        assert!(enough.is_some(), "a slow flood");
        Conversation::assert_go_on(&mut friends);
        let sent = flood.stop();
        let after = guard.counted();
        let passed = after.passed("udp", OPEN) - before.0.passed("udp", OPEN);
        let dropped = after.dropped("udp", OPEN) - before.0.dropped("udp", OPEN);
        let (back, lasted) = (lab.sent_back() - before.1, begun.elapsed().as_secs_f64());
        println!(
            "{client}: {sent} in {lasted:.1} s, {passed} passed, {dropped} dropped, {back} sent back"
        );
        for friend in friends {
            friend.stop().assert_steady(Duration::from_millis(500));
        }
        assert!(passed * 100 < sent * 5, "{passed} of {sent}");
        // Where the flood is slow that is what strangers get, and what comes at once: of the client, of strangers and
        // of who repeats himself.
        let least = 16_000.0 + 5000.0 * lasted;
        assert!(
            back * 100 < sent || (back as f64) < least,
            "{back} answers to {sent}"
        );
        // He owes for what was sent in his name, and for no longer than some seconds.
        let begun = Instant::now();
        let mut known = [converses("client", &lab.attacker, to)];
        Conversation::assert_go_on(&mut known);
        println!("{client}: answered after {:?}", begun.elapsed());
        let [client_behind] = known;
        client_behind.stop().assert_steady(Duration::from_secs(5));
    }
}

/// Datagrams that a sender has under way at most.
const WINDOW: u64 = 64;
/// The sink acknowledges one of so many.
const ACKNOWLEDGED: u64 = 16;
/// A sender goes on when no acknowledgement has come for so long.
const RESEND: Duration = Duration::from_millis(20);
/// The sink ends then, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(60);
/// Datagrams of one sender in a second at most: a gigabit of full size.
const GIGABIT: f64 = 85_000.0;

/// Takes datagrams and acknowledges one of sixteen, as QUIC and tunnels do of those that come in a row.
fn takes(socket: &UdpSocket, stop: &AtomicBool, taken: &AtomicU64) {
    socket.set_read_timeout(Some(RESEND)).expect("a socket");
    let mut buffer = [0; 2048];
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) && begun.elapsed() < LONGEST {
        if let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let number = taken.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(ACKNOWLEDGED) {
                socket.send_to(b"taken", peer).ok();
            }
        }
    }
}

/// Sends as fast as it is acknowledged, up to a gigabit. How many datagrams.
fn uploads(from: &Host, to: SocketAddr) -> u64 {
    let socket = from
        .run(|| UdpSocket::bind(any(to.ip())))
        .expect("a socket");
    socket.set_read_timeout(Some(RESEND)).expect("a socket");
    let (mut sent, mut under_way) = (0_u64, 0_u64);
    let begun = Instant::now();
    let mut next = begun;
    while begun.elapsed() < FLOODED {
        let before = sent;
        while under_way < WINDOW {
            sent += u64::from(socket.send_to(&[0; 200], to).is_ok());
            under_way += 1;
        }
        under_way = match socket.recv(&mut [0; 16]) {
            Ok(_) => under_way.saturating_sub(ACKNOWLEDGED),
            Err(_) => 0,
        };
        // What was missed is not made up for.
        let took = Duration::from_secs_f64((sent - before) as f64 / GIGABIT);
        next = next.max(Instant::now()) + took;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sent
}

#[test]
fn a_client_that_uploads_loses_nothing() {
    if !require::root() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let guard = guard(&lab, &["allow 27015/udp"]);
    let sink = lab.srv.run(|| UdpSocket::bind(("::", OPEN)));
    let sink = sink.expect("a socket");
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    let uploads = thread::scope(|scope| {
        scope.spawn(|| takes(&sink, &stop, &taken));
        let uploads = [lab.srv.v4, lab.srv.v6].map(|to| {
            let before = (guard.counted(), taken.load(Ordering::Relaxed));
            let begun = Instant::now();
            let sent = uploads(&lab.friend, SocketAddr::new(to, OPEN));
            let per_second = sent as f64 / begun.elapsed().as_secs_f64();
            let lost = guard.counted().reason("udp-ceiling") - before.0.reason("udp-ceiling");
            let taken = taken.load(Ordering::Relaxed) - before.1;
            println!("{to}: {sent}, {per_second:.0} per second, {taken} taken, {lost} lost");
            (sent, per_second, lost)
        });
        stop.store(true, Ordering::Relaxed);
        uploads
    });
    for (sent, per_second, lost) in uploads {
        assert!(per_second > 8000.0, "a slow upload: {per_second:.0}/s");
        assert!(lost * 100 <= sent, "{lost} of {sent}");
    }
}
