//! A flood of SYNs on a port that netfilter leads into another network. Nobody can answer it with cookies there,
//! so a ceiling bounds it: 1000 new connections in a second from all sources together, 2000 at once, and while
//! more than half of that is spent, an eighth for each /24 and /48. What that promises, and what is tested:
//! a flood from one network keeps no other out; a flood from everywhere passes as far as the ceiling and no
//! farther, costs no session anything, and leaves networks that have been served a share of their own. Whoever else
//! comes while it lasts has the flood's own chance with each SYN, which no number of a test can improve.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{
        Conversation, DOCKER_PROGRAMS, Dockerd, Flood, Instance, Namespace, Rate, Sources, TcpEcho,
        Topology, Wire, within,
    },
    require,
};

/// Published, and led to port 80 of another network.
const PUBLISHED: u16 = 8080;
/// New connections per second, and at once.
const CEILING: (f64, f64) = (1000.0, 2000.0);
/// What counts as "at once".
const LIMIT: Duration = Duration::from_secs(1);
/// With one SYN more, which the kernel sends after a second.
const RETRY: Duration = Duration::from_secs(2);
/// Honest connections during each flood, and how many of a hundred must come in within a second.
const HONEST: usize = 200;
/// One flood at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_container_s_port_keeps_its_ceiling_although_docker_s_proxy_listens_on_it() {
    if !require::root() || !require::programs(&DOCKER_PROGRAMS) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Topology::for_floods();
    let docker = Dockerd::start(&lab.srv);
    let publish = format!("{PUBLISHED}:80");
    let inside = docker.container("web", &["--publish", &publish], &["sleep", "600"]);
    assert!(
        listens(&lab.srv),
        "docker-proxy does not listen on {PUBLISHED}"
    );
    endure(&lab, &inside);
}

#[test]
fn a_port_led_elsewhere_has_a_ceiling_whether_or_not_somebody_listens_on_it_here() {
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for with_listener in [false, true] {
        println!("with a listener of the host's own: {with_listener}");
        let lab = Topology::for_floods();
        let inside = lab.lead_elsewhere(PUBLISHED);
        let listener = with_listener.then(|| TcpEcho::start(&lab.srv, PUBLISHED));
        assert_eq!(listens(&lab.srv), with_listener);
        endure(&lab, &inside);
        let accepted = listener.map_or(0, |listener| listener.accepted());
        assert_eq!(accepted, 0, "connections that were not led elsewhere");
    }
}

/// The ceiling that guard derives from what this host can track: half of it in 63 s. Floods of these rates once
/// kept 12 and 22 of 25 strangers out for a second.
#[test]
fn strangers_come_in_through_a_flood_below_the_derived_ceiling_and_retry_through_one_above_it() {
    const STRANGERS: usize = 25;
    if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for rate in [1500, 3000] {
        let lab = Topology::for_floods();
        let inside = lab.lead_elsewhere(PUBLISHED);
        let _echo = TcpEcho::start(&inside, 80);
        let guard = Instance::new(&lab.srv);
        drop(guard.guardctl(&["allow", &format!("{PUBLISHED}/tcp")]).ok());
        drop(
            guard
                .guardctl(&["enable", "--iface", "eth0", "--iface", "eth1", "--force"])
                .ok(),
        );
        let status = guard.guardctl(&["status", "--json"]).ok().json();
        let ceiling = status["floods"]["ceiling_per_second"]
            .as_f64()
            .expect("a ceiling");
        let flood = Flood::start(
            Wire::open(&lab.wan, "srv"),
            lab.forged_syns(PUBLISHED, Sources::Everywhere),
            Rate::PerSecond(rate),
        );
        // What may come at once has been used up by then, if the rate is above the ceiling.
        thread::sleep(Duration::from_secs(6));
        let took: Vec<Option<Duration>> = (0..STRANGERS)
            .map(|number| {
                let to = [lab.srv.v4, lab.srv.v6][number % 2];
                lab.friend.time_tcp(to, PUBLISHED)
            })
            .collect();
        let sent = flood.stop();
        let above = guard.counted().reason("ceiling");
        let within = |limit: Duration| took.iter().flatten().filter(|took| **took < limit).count();
        let (first, second) = (within(LIMIT), within(RETRY));
        println!(
            "{rate} SYNs/s, ceiling {ceiling:.0}/s: {first} of {STRANGERS} within a second, {second} with one try more; {above} of {sent} above it"
        );
        if f64::from(rate) < ceiling {
            assert_eq!((first, above), (STRANGERS, 0), "{took:?}");
        } else {
            assert!(above > 0, "no ceiling");
            // Of each SYN the flood's own chance.
            let chance = ceiling / f64::from(rate);
            let expected = STRANGERS as f64 * (1.0 - (1.0 - chance).powi(2));
            assert!(
                second as f64 > expected * 0.7,
                "{second} of {expected:.0}: {took:?}"
            );
        }
    }
}

/// Does a program of this host listen on the published port?
fn listens(host: &Namespace) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{PUBLISHED:04X}");
    ["tcp", "tcp6"].iter().any(|table| {
        let path = format!("/proc/thread-self/net/{table}");
        let table = host.run(|| fs::read_to_string(&path)).expect("sockets");
        table.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            matches!(words[..], [_, local, _, LISTEN, ..] if local.ends_with(&port))
        })
    })
}

/// Both floods, and what must come through them.
fn endure(lab: &Topology, inside: &Namespace) {
    let guard = Instance::new(&lab.srv);
    let _echo = TcpEcho::start(inside, 80);
    let guardctl = |line: &str| {
        drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
    };
    // As many as this host can track is not the same on every machine.
    guard.write_policy("[limits]\nceiling = \"1000/s\"\n");
    guardctl(&format!("allow {PUBLISHED}/tcp"));
    guardctl("enable --iface eth0 --iface eth1 --force");
    let servers = [lab.srv.v4, lab.srv.v6];
    // They also show guard that the port is another network's.
    let mut sessions: Vec<Conversation> = servers
        .map(|to| {
            let stream = lab
                .friend
                .run(|| TcpStream::connect(SocketAddr::new(to, PUBLISHED)));
            let stream = stream.expect("a connection before the flood");
            let pause = Duration::from_millis(50);
            Conversation::tcp_every(pause, format!("session with {to}"), stream, 64)
        })
        .into();
    Conversation::assert_go_on(&mut sessions);

    let took = during(lab, &guard, Sources::OneNetwork, &mut sessions);
    let in_time = took.iter().flatten().filter(|took| **took < LIMIT).count();
    assert!(
        in_time * 100 >= HONEST * 99,
        "{in_time} of {HONEST} from another network: {took:?}"
    );

    // Its network has been served before, so it has a share that no forged SYN touches.
    let took = during(lab, &guard, Sources::Everywhere, &mut sessions);
    let in_time = took.iter().flatten().filter(|took| **took < LIMIT).count();
    assert!(
        in_time * 100 >= HONEST * 99,
        "{in_time} of {HONEST} of a network that was served before: {took:?}"
    );

    for session in sessions {
        let report = session.stop();
        assert!(report.failure.is_none(), "{report:?}");
    }
    let counted = guard.counted();
    assert_eq!(
        counted.reason("syn-cookie"),
        0,
        "answered in the place of another network"
    );
    assert_eq!(counted.flows("created"), 0, "flows by the flood");
}

/// How long each honest connection took while the flood lasted, which must have passed as far as the
/// ceiling and no farther.
fn during(
    lab: &Topology,
    guard: &Instance,
    from: Sources,
    sessions: &mut [Conversation],
) -> Vec<Option<Duration>> {
    let (begun, before) = (Instant::now(), guard.counted());
    let flood = Flood::start(
        Wire::open(&lab.wan, "srv"),
        lab.forged_syns(PUBLISHED, from),
        Rate::Unlimited,
    );
    let above = || guard.counted().reason("ceiling") - before.reason("ceiling");
    let acts = within(Duration::from_secs(20), || (above() > 20_000).then_some(()));
    assert!(acts.is_some(), "no ceiling: {:?}", guard.counted().table());
    let took: Vec<Option<Duration>> = (0..HONEST)
        .map(|number| {
            let to = [lab.srv.v4, lab.srv.v6][number % 2];
            lab.friend.time_tcp(to, PUBLISHED)
        })
        .collect();
    Conversation::assert_go_on(sessions);
    let sent = flood.stop();
    let lasted = begun.elapsed().as_secs_f64();
    let after = guard.counted();
    let passed = after.passed("tcp", PUBLISHED) - before.passed("tcp", PUBLISHED);
    println!(
        "{from:?}: {sent} SYNs in {lasted:.1} s, {passed} frames passed, {} were above the ceiling",
        above()
    );
    println!("slowest: {:?}", took.iter().max());
    // And what is not the flood's: the segments of some connections.
    let most = 1.1 * (CEILING.0 * lasted + CEILING.1) + 1000.0;
    assert!((passed as f64) < most, "{passed} of at most {most:.0}");
    took
}
