//! Floods of segments that are part of no session, on ports that are open to everybody: of a listener of this host, and
//! of a service behind it. They must not reach the stack, the host must not answer them, and honest clients must not
//! notice: neither sessions that go on, nor idle ones, nor new connections, nor uploads.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use guard_common::{
    packet::TcpFlags,
    testing::{
        packet,
        peers::{DATA, FIN_ACK, SYN_ACK},
    },
};
use guard_tests::{
    lab::{
        Conversation, Flood, Instance, Namespace, Rate, Sources, TcpEcho, Topology, Wire, within,
    },
    require,
};

/// Open to everybody.
const OPEN: u16 = 9000;
const ACK: u8 = TcpFlags::ACK;
/// Of a flood, name, flags and bytes of data.
const KINDS: [(&str, u8, usize); 5] = [
    ("ACK", ACK, 0),
    ("PSH+ACK", DATA, 1400),
    ("FIN+ACK", FIN_ACK, 0),
    ("SYN+ACK", SYN_ACK, 0),
    ("RST", TcpFlags::RST, 0),
];
/// Honest connections during each flood.
const HONEST: usize = 40;
/// What counts as "at once".
const LIMIT: Duration = Duration::from_secs(1);
/// Frames of a flood at least, so that what the ceiling lets in is a small part.
const FRAMES: u64 = 300_000;
/// One flood at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn guard(lab: &Topology) -> Instance {
    let guard = Instance::new(&lab.srv);
    drop(guard.guardctl(&["allow", &format!("{OPEN}/tcp")]).ok());
    drop(
        guard
            .guardctl(&["enable", "--iface", "eth0", "--iface", "eth1", "--force"])
            .ok(),
    );
    guard
}

/// Sessions with the open port, over both families: two that go on, and two that are asked again at the end.
struct Honest {
    going_on: Vec<Conversation>,
    idle: Vec<TcpStream>,
}

impl Honest {
    fn connect(lab: &Topology) -> Self {
        let connect = |to: IpAddr| {
            let server = SocketAddr::new(to, OPEN);
            let stream = lab.friend.run(|| TcpStream::connect(server));
            stream.expect("a connection before the flood")
        };
        let servers = [lab.srv.v4, lab.srv.v6];
        let mut going_on: Vec<Conversation> = servers
            .map(|to| {
                let pause = Duration::from_millis(20);
                Conversation::tcp_every(pause, format!("session with {to}"), connect(to), 64)
            })
            .into();
        let mut idle: Vec<TcpStream> = servers.map(connect).into();
        Conversation::assert_go_on(&mut going_on);
        idle.iter_mut()
            .for_each(|stream| asks(stream, Duration::from_secs(10)));
        Self { going_on, idle }
    }

    /// Everything as before?
    fn assert_unharmed(mut self) {
        self.idle.iter_mut().for_each(|stream| asks(stream, LIMIT));
        for session in self.going_on {
            session.stop().assert_steady(LIMIT);
        }
    }
}

#[track_caller]
fn asks(stream: &mut TcpStream, patience: Duration) {
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let mut answer = [0; 5];
    stream.write_all(b"hello").expect("a session that goes on");
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"hello");
}

/// One flood, and what becomes of it.
fn flooded(lab: &Topology, guard: &Instance, (name, flags, payload): (&str, u8, usize)) {
    let frames = lab.forged_segments(OPEN, Sources::Everywhere, flags, payload);
    let before = (guard.counted(), lab.sent_back());
    let begun = Instant::now();
    let flood = Flood::start(Wire::open(&lab.wan, "srv"), frames, Rate::Unlimited);
    let acts = within(Duration::from_secs(20), || {
        (flood.sent() > FRAMES / 3).then_some(())
    });
    assert!(acts.is_some(), "no flood");
    let took: Vec<Option<Duration>> = (0..HONEST)
        .map(|number| {
            let to = [lab.srv.v4, lab.srv.v6][number % 2];
            lab.friend.time_tcp(to, OPEN)
        })
        .collect();
    let enough = within(Duration::from_secs(30), || {
        (flood.sent() > FRAMES).then_some(())
    });
    assert!(enough.is_some(), "a slow flood");
    let sent = flood.stop();
    let lasted = begun.elapsed().as_secs_f64();
    let after = guard.counted();
    let dropped = after.reason("out-of-state") - before.0.reason("out-of-state");
    let back = lab.sent_back() - before.1;
    println!(
        "{name}: {sent} in {lasted:.1} s, {dropped} dropped, {back} frames sent back, slowest {:?}",
        took.iter().max()
    );
    let in_time = took.iter().flatten().filter(|took| **took < LIMIT).count();
    assert!(
        in_time * 100 >= HONEST * 99,
        "{name}: {in_time} of {HONEST}: {took:?}"
    );
    // Some frames of a flood never come as far as guard.
    let arrived = sent - lab.overflowed().min(sent);
    assert!(
        dropped * 100 >= arrived * 95,
        "{name}: {dropped} of {arrived}"
    );
    // The honest clients have another cable; what goes back here is for the flood.
    assert!(
        back * 100 <= sent,
        "{name}: {back} answers to {sent} frames"
    );
}

fn all_kinds(lab: &Topology, guard: &Instance) {
    let honest = Honest::connect(lab);
    for kind in KINDS {
        flooded(lab, guard, kind);
    }
    explained(guard, &honest);
    honest.assert_unharmed();
    let status = guard.guardctl(&["status"]).ok();
    drop(status.says("Out-of-state TCP: dropped above 200/s per port"));
    println!("{}", guard.guardctl(&["stats"]).ok().stdout);
}

/// What `explain` says of a segment of a session, and of one of none.
fn explained(guard: &Instance, honest: &Honest) {
    for stream in &honest.idle {
        let (from, to) = (stream.local_addr(), stream.peer_addr());
        let (from, to) = (from.expect("an end"), to.expect("an end"));
        let ask = |port: u16, flags: &str| {
            let (from, to) = (from.ip(), to.ip());
            let words =
                format!("explain from {from} port {port} to {to} port {OPEN} flags {flags}");
            guard.guardctl(&words.split(' ').collect::<Vec<_>>()).ok()
        };
        drop(ask(from.port(), "ack").says("it is part of a session"));
        drop(
            ask(1, "ack")
                .says("part of no session of this host: passes below the ceiling of 200/s"),
        );
        drop(ask(1, "rst").says("part of no session of this host: dropped (out-of-state)"));
        assert!(!ask(1, "syn").stdout.contains("session"));
    }
}

#[test]
fn segments_of_no_session_do_not_reach_a_listener_of_this_host() {
    if !require::root() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let _echo = TcpEcho::start(&lab.srv, OPEN);
    let guard = guard(&lab);
    all_kinds(&lab, &guard);
}

#[test]
fn segments_of_no_session_do_not_reach_a_service_behind_this_host() {
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let inside = lab.lead_elsewhere(OPEN);
    let _echo = TcpEcho::start(&inside, 80);
    let guard = guard(&lab);
    all_kinds(&lab, &guard);
}

#[test]
fn sessions_that_are_older_than_guard_come_through() {
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for is_behind in [false, true] {
        let lab = Topology::for_floods();
        let inside = is_behind.then(|| lab.lead_elsewhere(OPEN));
        let _echo = match &inside {
            Some(inside) => TcpEcho::start(inside, 80),
            None => TcpEcho::start(&lab.srv, OPEN),
        };
        let honest = Honest::connect(&lab);
        let guard = guard(&lab);
        // Only an answer shows that answers leave by a guarded interface.
        assert!(lab.friend.time_tcp(lab.srv.v4, OPEN).is_some());
        assert!(lab.friend.time_tcp(lab.srv.v6, OPEN).is_some());
        flooded(&lab, &guard, KINDS[0]);
        honest.assert_unharmed();
    }
}

/// A client that sends 8 MB, which the server takes in silence.
fn upload(lab: &Topology, host: &Namespace, port: u16, to: IpAddr) -> Duration {
    const BYTES: usize = 8 << 20;
    let listener = host
        .run(|| TcpListener::bind(("::", port)))
        .expect("a listener");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            taken += length;
        }
        taken
    });
    let begun = Instant::now();
    let client = lab
        .friend
        .run(|| TcpStream::connect(SocketAddr::new(to, OPEN)));
    let mut client = client.expect("a connection");
    client
        .set_write_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    client.write_all(&vec![7; BYTES]).expect("an upload");
    drop(client);
    assert_eq!(server.join().expect("a server"), BYTES);
    begun.elapsed()
}

#[test]
fn uploads_to_a_server_that_only_acknowledges_come_through_a_flood() {
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for is_behind in [false, true] {
        let lab = Topology::for_floods();
        let inside = is_behind.then(|| lab.lead_elsewhere(OPEN));
        let (host, port): (&Namespace, u16) = match &inside {
            Some(inside) => (inside, 80),
            None => (&lab.srv, OPEN),
        };
        let guard = guard(&lab);
        let frames = lab.forged_segments(OPEN, Sources::Everywhere, ACK, 0);
        // A port without a listener answers with resets, and shows that answers leave here.
        assert!(
            lab.friend
                .run(|| TcpStream::connect(SocketAddr::new(lab.srv.v4, OPEN)))
                .is_err()
        );
        let flood = Flood::start(Wire::open(&lab.wan, "srv"), frames, Rate::Unlimited);
        let acts = within(Duration::from_secs(20), || {
            (guard.counted().reason("out-of-state") > 10_000).then_some(())
        });
        assert!(acts.is_some(), "{:?}", guard.counted().table());
        for to in [lab.srv.v4, lab.srv.v6] {
            let took = upload(&lab, host, port, to);
            println!("behind {is_behind}, {to}: {took:?}");
            assert!(took < Duration::from_secs(8), "{took:?}");
        }
        drop(flood);
    }
}

#[test]
fn a_forged_syn_buys_nothing_for_the_segments_behind_it() {
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for is_behind in [false, true] {
        let lab = Topology::for_floods();
        let inside = is_behind.then(|| lab.lead_elsewhere(OPEN));
        let _echo = match &inside {
            Some(inside) => TcpEcho::start(inside, 80),
            None => TcpEcho::start(&lab.srv, OPEN),
        };
        let guard = guard(&lab);
        let frame = |flags: u8| {
            packet()
                .from("11.1.2.3")
                .to_ip(lab.srv.v4)
                .macs(lab.srv.mac("eth0"), lab.wan.mac("srv"))
                .tcp_between(5000, OPEN, flags)
                .build()
        };
        let wire = Wire::open(&lab.wan, "srv");
        assert_eq!(wire.send(&[frame(TcpFlags::SYN)]), 1);
        thread::sleep(Duration::from_millis(200));
        let before = (guard.counted(), lab.sent_back());
        let begun = Instant::now();
        let sent = wire.send(&vec![frame(ACK); 20_000]) as u64;
        let lasted = begun.elapsed().as_secs_f64();
        thread::sleep(Duration::from_millis(200));
        let dropped = guard.counted().reason("out-of-state") - before.0.reason("out-of-state");
        let back = lab.sent_back() - before.1;
        println!(
            "behind {is_behind}: {sent} in {lasted:.2} s, {dropped} dropped, {back} sent back"
        );
        // Half of the burst is one network's, an eighth of the rate behind it, and the few of the handshake.
        let most = 200.0 + 25.0 * (lasted + 0.5) + 4.0 + 10.0;
        assert!(
            (sent - dropped) as f64 <= most,
            "{} of {sent} passed",
            sent - dropped
        );
        assert!(back as f64 <= most + 5.0, "{back} sent back");
    }
}
