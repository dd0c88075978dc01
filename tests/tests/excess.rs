//! `on-excess = "ban …"`: who goes on above a limit with a session is banned, by the daemon and for the time said; who
//! stays below it is not, and neither is anybody in whose name others forge packets, sessions or none. Nor do these
//! lose anything.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use guard_common::{
    abi::watch,
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6, peers::DATA},
};
use guard_tests::{
    lab::{
        Answer, Background, Conversation, Flood, GuardDaemon, Host, Instance, Rate, Sshd, TcpEcho,
        Topology, UdpEcho, Wire, until, within,
    },
    require,
};
use guard_user::host::clock::boot_time_ns;
use serde_json::Value;

/// With a limit that bans.
const PORT: u16 = 7000;
/// Open to everybody, and so is SSH.
const OTHER: u16 = 7001;
const LIMIT: &str = "packets = \"1000/s\"\n";
const BANS: &str = "on-excess = \"ban 5s\"\n";
/// How long nothing must happen.
const WHILE: Duration = Duration::from_secs(4);
/// Between two messages of a session.
const PAUSE: Duration = Duration::from_millis(20);

struct Scene {
    daemon: Option<GuardDaemon>,
    guard: Instance,
    _echoes: (TcpEcho, UdpEcho),
    lab: Topology,
}

impl Scene {
    fn new(first: &str, limit: &str) -> Option<Self> {
        let mut scene = Self::without_daemon(first, limit)?;
        scene.daemon = Some(GuardDaemon::start(&scene.guard));
        scene.until_watched();
        Some(scene)
    }

    fn without_daemon(first: &str, limit: &str) -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&policy(first, limit));
        drop(guard.guardctl(&["enable", "--force"]).ok());
        Some(Self {
            daemon: None,
            guard,
            _echoes: (
                TcpEcho::start(&lab.srv, PORT),
                UdpEcho::start(&lab.srv, OTHER),
            ),
            lab,
        })
    }

    /// Somebody watches what limits drop, or nobody.
    fn watchers(&self) -> usize {
        let (words, now) = (self.guard.watch_words(), boot_time_ns());
        (0..watch::WATCHERS)
            .filter(|place| words[watch::until_at(*place) as usize] > now)
            .count()
    }

    fn until_watched(&self) {
        until("somebody to watch", || self.watchers() == 1);
    }

    fn said(&self) -> String {
        self.daemon
            .as_ref()
            .map(GuardDaemon::said)
            .unwrap_or_default()
    }

    fn until_banned(&self, source: &str) {
        until(&format!("{source} to be banned: {}", self.said()), || {
            self.guard.banned().iter().any(|banned| banned == source)
        });
    }

    #[track_caller]
    fn assert_nobody_is_banned(&self) {
        assert_eq!(self.guard.banned(), [""; 0], "{}", self.said());
    }

    /// Does `status` warn that there is no daemon, for people and for programs?
    fn warns_of_nobody_who_bans(&self) -> bool {
        const WARNING: &str = "nobody is banned by `on-excess`";
        let shown = self.guard.guardctl(&["status"]).ok();
        let listed = self.guard.guardctl(&["status", "--json"]).ok().json();
        let warnings = listed["warnings"].as_array().expect("warnings");
        let warns = |warning: &Value| warning.as_str().is_some_and(|text| text.contains(WARNING));
        let warned = warnings.iter().any(warns);
        assert_eq!(shown.stderr.contains(WARNING), warned, "{shown}");
        warned
    }

    fn limited(&self) -> u64 {
        self.guard.counted().reason("limited")
    }

    /// Frames from the router to the limited port that say they are of this address.
    fn frame(&self, from: SocketAddr, flags: u8) -> Vec<u8> {
        let base: PacketBuilder = if from.is_ipv4() {
            packet().to_ip(self.lab.srv.v4)
        } else {
            packet_v6().to_ip(self.lab.srv.v6)
        };
        let macs = (self.lab.srv.mac("eth0"), self.lab.wan.mac("srv"));
        base.from(&from.ip().to_string())
            .macs(macs.0, macs.1)
            .tcp_between(from.port(), PORT, flags)
            .build()
    }

    fn flood(&self, frames: Vec<Vec<u8>>, per_second: u32) -> Flood {
        Flood::start(
            Wire::open(&self.lab.wan, "srv"),
            frames,
            Rate::PerSecond(per_second),
        )
    }

    fn banned_as(&self, source: &str) -> Value {
        let listed = self.guard.guardctl(&["bans", "list", "--json"]).ok().json();
        let bans = listed["bans"].as_array().cloned().unwrap_or_default();
        let found = bans.into_iter().find(|ban| ban["source"] == source);
        found.unwrap_or_else(|| panic!("{source} is not listed: {listed}"))
    }
}

fn policy(first: &str, limit: &str) -> String {
    format!(
        "interfaces = [\"eth0\"]\n{first}\n[[rule]]\naction = \"allow\"\nport = [22, {OTHER}]\n\n[[rule]]\naction = \
         \"limit\"\nport = {PORT}\nproto = \"tcp\"\n{limit}"
    )
}

/// A session that has had an answer.
fn session(host: &Host, to: IpAddr) -> TcpStream {
    let connect = || TcpStream::connect_timeout(&(to, PORT).into(), Duration::from_secs(5));
    let mut stream = host.run(connect).expect("a session");
    asks(&mut stream).expect("an answer");
    stream
}

fn asks(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let mut answer = [0; 5];
    stream.write_all(b"hello")?;
    stream.read_exact(&mut answer)
}

fn end_of(stream: &TcpStream) -> SocketAddr {
    stream.local_addr().expect("its address")
}

#[test]
fn who_goes_on_above_the_limit_is_banned_for_the_time_said_and_comes_back() {
    let Some(scene) = Scene::new("", &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let (attacker, srv) = (&scene.lab.attacker, &scene.lab.srv);
    for (to, source) in [(srv.v4, "203.0.113.66"), (srv.v6, "2001:db8:66::/64")] {
        let stream = session(attacker, to);
        let flood = scene.flood(vec![scene.frame(end_of(&stream), DATA)], 10_000);
        scene.until_banned(source);
        let _ = flood.stop();
        let ban = scene.banned_as(source);
        assert_eq!(ban["origin"], "limit", "{ban}");
        let reason = ban["reason"].as_str().unwrap_or_default();
        assert_eq!(reason, "above packets 1000/s of rule 2 (7000/tcp)");
        // From everything, and nobody else is.
        assert_eq!(attacker.ask_udp(to, OTHER), Answer::Silence);
        assert_eq!(scene.lab.friend.ask_udp(to, OTHER), Answer::Echo);
        let back = within(Duration::from_secs(15), || {
            (attacker.ask_udp(to, OTHER) == Answer::Echo).then_some(())
        });
        assert!(back.is_some(), "the ban does not end");
        drop(session(attacker, to));
    }
    assert!(
        scene
            .said()
            .contains("goes on above packets 1000/s: ban 5s"),
        "{}",
        scene.said()
    );
}

#[test]
fn a_session_below_the_limit_is_left_alone() {
    let Some(scene) = Scene::new("", &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let mut stream = session(&scene.lab.friend, scene.lab.srv.v4);
    let flood = scene.flood(vec![scene.frame(end_of(&stream), DATA)], 600);
    thread::sleep(WHILE);
    asks(&mut stream).expect("an answer");
    assert!(flood.stop() > 1000);
    scene.assert_nobody_is_banned();
}

#[test]
fn nobody_has_somebody_else_banned_by_forging_his_address() {
    let Some(scene) = Scene::new("", &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let srv = &scene.lab.srv;
    let streams = [srv.v4, srv.v6].map(|to| session(&scene.lab.friend, to));
    let ends = streams.each_ref().map(end_of);
    // Segments of no session, from the ports beside his, and SYNs from all of them, his own too.
    let mut frames = Vec::new();
    for end in ends {
        for away in 1..500 {
            let port = end.port().wrapping_add(away).max(1);
            frames.push(scene.frame(SocketAddr::new(end.ip(), port), DATA));
            frames.push(scene.frame(SocketAddr::new(end.ip(), port), TcpFlags::SYN));
        }
        frames.push(scene.frame(end, TcpFlags::SYN));
    }
    let before = scene.limited();
    let flood = scene.flood(frames, 20_000);
    // His own segments are within his limit.
    let wire = Wire::open(&scene.lab.wan, "srv");
    let begun = Instant::now();
    while begun.elapsed() < WHILE {
        for (stream, end) in streams.iter().zip(ends) {
            (&*stream).write_all(b"x").ok();
            // In bursts, and at half of what he may.
            wire.send(&vec![scene.frame(end, DATA); 10]);
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(flood.stop() > 20_000);
    assert!(scene.limited() - before > 5000, "the SYNs exceed the limit");
    scene.assert_nobody_is_banned();
}

#[test]
fn sessions_lose_nothing_in_a_flood_of_syns_in_their_name() {
    let Some(scene) = Scene::without_daemon("", LIMIT) else {
        return;
    };
    let (friend, srv) = (&scene.lab.friend, &scene.lab.srv);
    let streams = [srv.v4, srv.v6].map(|to| session(friend, to));
    let mut frames = Vec::new();
    for end in streams.each_ref().map(end_of) {
        for away in 0..500 {
            let port = end.port().wrapping_add(away).max(1);
            frames.push(scene.frame(SocketAddr::new(end.ip(), port), TcpFlags::SYN));
        }
    }
    let before = (scene.limited(), lost(friend, srv));
    let flood = scene.flood(frames, 20_000);
    let talks = streams.map(|stream| Conversation::tcp_every(PAUSE, "a session", stream, 64));
    thread::sleep(WHILE);
    for talk in talks {
        let report = talk.stop();
        assert_eq!(report.failure, None, "{report:?}");
        assert!(report.answers > 20, "{report:?}");
    }
    let lost = lost(friend, srv) - before.1;
    assert!(flood.stop() > 20_000);
    assert!(
        scene.limited() - before.0 > 5000,
        "the SYNs exceed the limit"
    );
    // One may be on its way still when this is read, and one may have found the ring of the virtual cable full.
    assert!(lost < 5, "{lost} segments were lost");
}

/// Segments that a host has sent again and that did not arrive twice. A busy machine answers so late, once in a while,
/// that a segment is sent again which was not lost.
fn lost(from: &Host, to: &Host) -> i64 {
    let sent_again = counter(from, "snmp", "Tcp: ", "RetransSegs");
    sent_again - counter(to, "netstat", "TcpExt: ", "TCPDSACKOldSent")
}

fn counter(host: &Host, file: &str, lines: &str, name: &str) -> i64 {
    let read = || fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    let text = host.run(read).expect("counters of TCP");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(lines));
    let (names, values) = (lines.next(), lines.next());
    let (names, values) = (names.unwrap_or_default(), values.unwrap_or_default());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(found, _)| *found == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no counter {name}"));
    value.parse().expect("a number")
}

#[test]
fn who_is_on_the_never_list_or_logged_in_is_not_banned() {
    if !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let first = "never = [\"198.51.100.10\"]\n";
    let Some(mut scene) = Scene::without_daemon(first, &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let srv = &scene.lab.srv;
    let sshd = Sshd::start(srv);
    let mut shell = sshd.session(&scene.lab.attacker, srv.v4);
    scene.daemon = Some(GuardDaemon::start(&scene.guard));
    scene.until_watched();
    let srv = &scene.lab.srv;
    let friend = session(&scene.lab.friend, srv.v4);
    let operator = session(&scene.lab.attacker, srv.v4);
    let frames = [&friend, &operator].map(|stream| scene.frame(end_of(stream), DATA));
    let flood = scene.flood(frames.to_vec(), 20_000);
    if let Some(daemon) = &scene.daemon {
        daemon.says("limit of rule 2 (7000/tcp): not banned");
    }
    thread::sleep(WHILE);
    let _ = flood.stop();
    scene.assert_nobody_is_banned();
    assert!(shell.answers(), "the operator is shut out");
    // It is said once, and of the never list nothing, which no limit holds.
    let said = scene.said();
    assert_eq!(said.matches("not banned").count(), 1, "{said}");
    assert!(said.contains("where somebody is logged in from"), "{said}");
}

#[test]
fn while_others_have_all_places_of_watchers_the_daemon_says_so_and_then_takes_one() {
    let Some(mut scene) = Scene::without_daemon("", &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let monitors: Vec<Background> = (0..watch::WATCHERS)
        .map(|place| {
            let log = scene.guard.folder().join(format!("monitor-{place}"));
            Background::start(&mut scene.guard.command(&["monitor", "--for", "5m"]), log)
        })
        .collect();
    until("all places to be taken", || {
        scene.watchers() == monitors.len()
    });
    scene.daemon = Some(GuardDaemon::start(&scene.guard));
    let stream = session(&scene.lab.attacker, scene.lab.srv.v4);
    let flood = scene.flood(vec![scene.frame(end_of(&stream), DATA)], 10_000);
    if let Some(daemon) = &scene.daemon {
        daemon.says("who goes on above a limit with on-excess is not banned: ");
    }
    scene.assert_nobody_is_banned();
    drop(monitors);
    scene.until_banned("203.0.113.66");
    let _ = flood.stop();
}

#[test]
fn without_the_key_or_the_daemon_the_limit_drops_and_nobody_is_banned() {
    let Some(mut scene) = Scene::without_daemon("", &format!("{LIMIT}{BANS}")) else {
        return;
    };
    let stream = session(&scene.lab.attacker, scene.lab.srv.v4);
    let frames = vec![scene.frame(end_of(&stream), DATA)];
    let flooded = |scene: &Scene| {
        let before = scene.limited();
        let flood = scene.flood(frames.clone(), 10_000);
        thread::sleep(Duration::from_secs(2));
        let _ = flood.stop();
        assert!(scene.limited() - before > 5000);
        scene.assert_nobody_is_banned();
    };
    flooded(&scene);
    assert!(scene.warns_of_nobody_who_bans());
    scene.guard.write_policy(&policy("", LIMIT));
    drop(scene.guard.guardctl(&["reload"]).ok());
    assert!(!scene.warns_of_nobody_who_bans(), "no rule bans");
    scene.daemon = Some(GuardDaemon::start(&scene.guard));
    flooded(&scene);
    assert_eq!(scene.watchers(), 0, "nobody watches for nothing");
    // A command asks for it, and takes it back.
    let rule = [
        "limit",
        "7000/tcp",
        "packets",
        "1000/s",
        "on-excess",
        "ban 5s",
    ];
    drop(scene.guard.guardctl(&rule).ok());
    scene.until_watched();
    let listed = scene.guard.guardctl(&["list", "--json"]).ok().json();
    assert_eq!(
        listed["rules"][1]["rule"],
        "limit 7000/tcp packets 1000/s on-excess 'ban 5s'"
    );
    assert_eq!(listed["rules"][1]["on_excess"], "ban 5s");
    let status = scene.guard.guardctl(&["status"]).ok();
    drop(status.says("on-excess ban 5s"));
    assert!(!scene.warns_of_nobody_who_bans(), "the daemon does");
    let explained = scene
        .guard
        .guardctl(&["explain", "203.0.113.66", "7000/tcp"]);
    drop(
        explained
            .ok()
            .says("who goes on above its limit with a session: ban 5s"),
    );
    let flood = scene.flood(frames.clone(), 10_000);
    scene.until_banned("203.0.113.66");
    let _ = flood.stop();
    drop(scene.guard.guardctl(&["unban", "203.0.113.66"]).ok());
    drop(
        scene
            .guard
            .guardctl(&["limit", "7000/tcp", "packets", "1000/s"])
            .ok(),
    );
    until("the watcher to leave", || scene.watchers() == 0);
    flooded(&scene);
}
