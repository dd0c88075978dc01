//! Limits on real connections: how exactly a rate is kept on one and on two CPUs, who loses nothing while a
//! source is over its limit, and that nobody is shut out by whoever forges his address (acceptance A18).

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use guard_common::{packet::TcpFlags, testing::packet};
use guard_tests::{
    lab::{
        Answer, Conversation, Counted, Host, Instance, TcpEcho, Topology, UdpEcho, Wire, within,
    },
    peers::address,
    require,
};

/// Has a limit, and an echo server behind it.
const PORT: u16 = 9000;
/// Longest flood, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(60);

struct Scene {
    guard: Instance,
    _servers: (TcpEcho, UdpEcho),
    lab: Topology,
}

impl Scene {
    /// `None` skips the test.
    fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        // Answers to forged sources end at the router.
        lab.wan.ip("route add blackhole default");
        lab.wan.ip("-6 route add blackhole default");
        Some(Self {
            guard: Instance::new(&lab.srv),
            _servers: (
                TcpEcho::start(&lab.srv, PORT),
                UdpEcho::start(&lab.srv, PORT),
            ),
            lab,
        })
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.guard.guardctl(&words).ok().stdout
    }

    fn explain(&self, from: IpAddr) -> serde_json::Value {
        let words = format!(
            "--json explain from {from} port 40000 to {} port {PORT}",
            self.lab.srv.v4
        );
        let words = if from.is_ipv4() {
            words
        } else {
            words.replace(&self.lab.srv.v4.to_string(), &self.lab.srv.v6.to_string())
        };
        let words: Vec<&str> = words.split(' ').collect();
        self.guard.guardctl(&words).ok().json()
    }

    fn to(&self, from: IpAddr) -> IpAddr {
        if from.is_ipv4() {
            self.lab.srv.v4
        } else {
            self.lab.srv.v6
        }
    }

    /// Threads on these CPUs that send SYNs as if they came from `source`, as fast as they can.
    fn flood(&self, source: IpAddr, cpus: &[usize]) -> Vec<Forger> {
        let macs = (self.lab.srv.mac("eth0"), self.lab.wan.mac("srv"));
        cpus.iter()
            .map(|cpu| {
                let frames = (1..=256u16)
                    .map(|number| {
                        let port = 1024 + *cpu as u16 * 1000 + number;
                        let base = packet().macs(macs.0, macs.1);
                        base.from_ip(source)
                            .to_ip(self.to(source))
                            .tcp_between(port, PORT, TcpFlags::SYN)
                            .build()
                    })
                    .collect();
                Forger::start(Wire::open(&self.lab.wan, "srv"), frames, *cpu)
            })
            .collect()
    }
}

/// A thread on one CPU that sends until it is stopped. A virtual card has the frame evaluated on the CPU that
/// sends it.
struct Forger {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Forger {
    fn start(wire: Wire, frames: Vec<Vec<u8>>, cpu: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            pin(cpu);
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) && begin.elapsed() < LONGEST {
                counted.fetch_add(wire.send(&frames) as u64, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Keeps the calling thread on a CPU.
fn pin(cpu: usize) {
    // SAFETY: all-zero is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live set, and a number below its size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: a live set of the length that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    assert_eq!(result, 0, "CPU {cpu}");
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn a_rate_is_kept_within_a_tenth_on_one_cpu_and_on_two() {
    let Some(scene) = Scene::new() else { return };
    let lasts = Duration::from_secs(4);
    scene.run("enable --iface eth0 --force");
    for (rate, per_second) in [("20/s", 20.0), ("400/s", 400.0), ("2000/s", 2000.0)] {
        // Room for a fifth of a second in which whoever floods has no CPU.
        let burst = (per_second / 5.0) as u32 + 10;
        scene.run(&format!("limit {PORT}/tcp rate {rate} burst {burst}"));
        // Nobody is there who would answer, and be counted.
        for source in ["11.1.1.1", "2001:db8:ffff::1"].map(address) {
            for used in [&[0][..], &[0, 1]] {
                if used.len() > cpus() {
                    continue;
                }
                let flood = scene.flood(source, used);
                // The burst is spent.
                thread_sent(&flood, 5000);
                let (first, begin) = (scene.guard.counted(), Instant::now());
                let wait = within(lasts, || None::<()>);
                assert!(wait.is_none());
                let (last, took) = (scene.guard.counted(), begin.elapsed());
                // When the listener's queue is full, what passes is answered with a cookie.
                let let_in = |seen: &Counted| seen.passed("tcp", PORT) + seen.reason("syn-cookie");
                let passed = let_in(&last) - let_in(&first);
                let limited = last.reason("limited") - first.reason("limited");
                drop(flood);
                let wanted = per_second * took.as_secs_f64();
                let off = passed as f64 / wanted - 1.0;
                println!(
                    "{rate} of {source} on {} CPUs: {passed} passed in {took:?}, {:+.1} %, {limited} did not",
                    used.len(),
                    off * 100.0
                );
                assert!(off.abs() <= 0.1, "{rate}: {passed} of {wanted:.0}");
                assert!(limited as f64 > 5.0 * wanted, "no flood: {limited}");
            }
        }
    }
}

/// Waits until all of them have sent so many frames.
fn thread_sent(flood: &[Forger], frames: u64) {
    let all = || flood.iter().all(|one| one.sent() >= frames).then_some(());
    assert!(within(Duration::from_secs(20), all).is_some(), "no flood");
}

#[test]
fn others_and_established_sessions_lose_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.run(&format!("allow {PORT}/udp"));
    scene.run(&format!("limit {PORT}/tcp rate 20/s burst 40"));
    scene.run("enable --iface eth0 --force");
    let session = |from: &Host, to: IpAddr| {
        let stream = from.run(|| TcpStream::connect(SocketAddr::new(to, PORT)));
        let pause = Duration::from_millis(20);
        let name = format!("a session from {}", from.name());
        Conversation::tcp_every(pause, name, stream.expect("a connection"), 64)
    };
    let lab = &scene.lab;
    let mut sessions: Vec<Conversation> = [&lab.friend, &lab.attacker]
        .into_iter()
        .flat_map(|host| [session(host, lab.srv.v4), session(host, lab.srv.v6)])
        .collect();

    for source in [lab.attacker.v4, lab.attacker.v6] {
        let flood = scene.flood(source, &[0]);
        thread_sent(&flood, 20_000);
        Conversation::assert_go_on(&mut sessions);
        for number in 0..20 {
            for to in [lab.srv.v4, lab.srv.v6] {
                assert_eq!(
                    lab.friend.ask_tcp(to, PORT),
                    Answer::Echo,
                    "{number} to {to}"
                );
            }
        }
        assert_eq!(lab.friend.ask_udp(lab.srv.v4, PORT), Answer::Echo);
        assert_eq!(lab.attacker.ask_udp(lab.srv.v6, PORT), Answer::Echo);
        Conversation::assert_go_on(&mut sessions);
    }

    for session in sessions {
        let report = session.stop();
        assert!(report.failure.is_none(), "{report:?}");
    }
    assert!(scene.guard.counted().reason("limited") > 10_000);
}

#[test]
fn the_owner_of_a_forged_address_who_has_a_session_is_back_within_seconds() {
    let Some(scene) = Scene::new() else { return };
    let lab = &scene.lab;
    scene.run(&format!("allow {PORT}/tcp"));
    scene.run("enable --iface eth0 --force");
    // Only over IPv4 does the friend have a session when the limit comes into force.
    let session = lab
        .friend
        .run(|| TcpStream::connect(SocketAddr::new(lab.srv.v4, PORT)));
    let mut session = session.expect("a connection");
    // A connection over which nothing is said is anybody's.
    let mut byte = [0];
    session.write_all(b"x").expect("a question");
    session.read_exact(&mut byte).expect("an answer");
    let changed = scene.run(&format!("limit {PORT}/tcp"));
    assert!(
        changed.starts_with(&format!("changed rule 1: limit {PORT}/tcp")),
        "{changed}"
    );

    for source in [lab.friend.v4, lab.friend.v6] {
        thread_sent(&scene.flood(source, &[0]), 1000);
    }

    // Without a session he is shut out for a while, and may be put on the never list.
    assert_eq!(lab.friend.ask_tcp(lab.srv.v6, PORT), Answer::Silence);
    let printed = scene.explain(lab.friend.v6);
    assert_eq!(
        (
            printed["action"].as_str(),
            printed["reason"].as_str(),
            printed["rule"].as_u64()
        ),
        (Some("drop"), Some("limited"), Some(1)),
        "{printed}"
    );
    let way_in = printed["way_in"].as_str().expect("a command");
    assert_eq!(way_in, format!("guardctl never add {}", lab.friend.v6));
    scene.run(way_in.trim_start_matches("guardctl "));
    for number in 0..10 {
        let answer = lab.friend.ask_tcp(lab.srv.v6, PORT);
        assert_eq!(answer, Answer::Echo, "connection {number}");
    }
    // With a session he has four times as many beside the limit, which come back four times as fast.
    let back = within(Duration::from_secs(6), || {
        (lab.friend.ask_tcp(lab.srv.v4, PORT) == Answer::Echo).then_some(())
    });
    assert!(back.is_some(), "shut out");
    drop(session);
}

#[test]
fn to_explain_costs_nothing_and_status_and_stats_tell_of_limits() {
    let Some(scene) = Scene::new() else { return };
    let lab = &scene.lab;
    scene.run(&format!("limit {PORT} rate 1/min burst 2"));
    scene.run("enable --iface eth0 --force");
    // Neighbours look for each other meanwhile.
    let counted = || {
        let mut table = scene.guard.counted().table();
        table.retain(|(reason, ..)| reason != "ndp");
        table
    };
    let before = counted();
    for _ in 0..5 {
        let printed = scene.explain(lab.attacker.v4);
        assert_eq!(printed["action"], "pass", "{printed}");
        assert_eq!(
            printed["rule_words"],
            format!("limit {PORT} rate 1/min burst 2")
        );
    }
    assert_eq!(counted(), before);
    let left = |host: &Host| {
        let printed = scene.explain(host.v4);
        assert_eq!(printed["limit_left"]["at_most"], 2, "{printed}");
        printed["limit_left"]["now"].as_u64()
    };
    for (is_left, answer) in [(2, Answer::Echo), (1, Answer::Echo), (0, Answer::Silence)] {
        assert_eq!(left(&lab.attacker), Some(is_left));
        assert_eq!(lab.attacker.ask_tcp(lab.srv.v4, PORT), answer);
    }
    assert_eq!((left(&lab.attacker), left(&lab.friend)), (Some(0), Some(2)));
    // Datagrams of one socket are one conversation, and one rule has one meter.
    assert_eq!(lab.attacker.ask_udp(lab.srv.v4, PORT), Answer::Silence);
    assert_eq!(lab.friend.ask_udp(lab.srv.v4, PORT), Answer::Echo);
    assert_eq!(left(&lab.friend), Some(1));
    let words = format!("explain {} {PORT}", lab.friend.v4);
    let printed = scene.run(&words);
    assert!(
        printed.contains("limit: 1 of 2 left for this source"),
        "{printed}"
    );
    let after = scene.guard.counted();
    assert!(after.reason("limited") >= 2, "{:?}", after.table());
    assert!(after.dropped("tcp", PORT) >= 1 && after.dropped("udp", PORT) >= 1);
    let status = scene.run("status numbered");
    assert!(status.contains("LIMIT IN"), "{status}");
    let status = scene.run("status verbose");
    assert!(
        status.contains(&format!("limit {PORT} rate 1/min burst 2")),
        "{status}"
    );
}
