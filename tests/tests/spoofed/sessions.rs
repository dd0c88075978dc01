//! What lives while the flood lasts, and who comes in meanwhile.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use guard_tests::{
    lab::{Conversation, Instance, Sshd, TcpEcho, Topology, UdpEcho, finish, within},
    require,
};

use crate::{flood::Forged, memory};

/// Open to everybody, over TCP and UDP, and an echo server behind it.
const OPEN: u16 = 9000;
/// Open to the friend, and sshd behind it.
const SSH: u16 = 22;
/// Living flows, half of them TCP, half of them IPv6.
const FLOWS: usize = 50;
/// Between two questions of a flow.
const PAUSE: Duration = Duration::from_millis(200);

/// Between two steps of a flood during which logins are timed: 100 000 frames a second. Who sends
/// them works on the very CPUs that the server needs, which no attacker does.
const PACE: Duration = Duration::from_micros(2_560);

/// How much there is: the short form is what CI runs.
struct Extent {
    /// As fast as the wire takes them.
    frames: u64,
    logins: usize,
    /// Of these, within a second.
    at_least: usize,
}

const SHORT: Extent = Extent {
    frames: 500_000,
    logins: 20,
    at_least: 18,
};
/// With `GUARD_LONG=1`.
const LONG: Extent = Extent {
    frames: 5_000_000,
    logins: 100,
    at_least: 99,
};

#[test]
fn a_flood_from_forged_sources_makes_no_flow_and_costs_no_session() {
    if !require::root() || !require::programs(&["sshd", "ssh"]) {
        return;
    }
    let extent = if env::var_os("GUARD_LONG").is_some_and(|value| value == "1") {
        LONG
    } else {
        SHORT
    };
    let lab = Topology::new();
    // Answers to forged sources end at the router.
    lab.wan.ip("route add blackhole default");
    lab.wan.ip("-6 route add blackhole default");
    let guard = Instance::new(&lab.srv);
    let sshd = Sshd::start(&lab.srv);
    let _open = (
        TcpEcho::start(&lab.srv, OPEN),
        UdpEcho::start(&lab.srv, OPEN),
    );
    let _friends = (
        TcpEcho::start(&lab.friend, OPEN),
        UdpEcho::start(&lab.friend, OPEN),
    );
    let mut idle = [lab.srv.v4, lab.srv.v6].map(|to| sshd.session(&lab.attacker, to));
    for line in [
        "allow 9000",
        "allow 198.51.100.10 22/tcp",
        "allow from 2001:db8:100::/64 to any port 22 proto tcp",
        "enable --iface eth0 --force",
    ] {
        drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
    }
    let (mut flows, ports): (Vec<_>, Vec<_>) = (0..FLOWS).map(|number| flow(&lab, number)).unzip();
    Conversation::assert_go_on(&mut flows);
    let before = guard.counted();
    let memory = memory::of_tables(&guard);

    let calm = login(&sshd, &lab, 0).expect("a login before the flood");
    // A second, or on a busy machine a few times what a login takes there anyway.
    let limit = Duration::from_secs(1).max(6 * calm);

    let flood = Forged::start(&lab, OPEN, SSH, Duration::ZERO);
    let all = within(Duration::from_secs(100), || {
        (flood.sent() >= extent.frames).then_some(())
    });
    assert!(all.is_some(), "only {} frames", flood.sent());
    Conversation::assert_go_on(&mut flows);
    for session in &mut idle {
        assert!(session.answers(), "an idle session was lost");
    }
    let at_full_speed = flood.sent();
    drop(flood);

    let flood = Forged::start(&lab, OPEN, SSH, PACE);
    let logins: Vec<Option<Duration>> = (0..extent.logins)
        .map(|number| login(&sshd, &lab, number))
        .collect();
    Conversation::assert_go_on(&mut flows);
    let sent = at_full_speed + flood.sent();
    drop(flood);

    let after = guard.counted();
    println!("{sent} sent, {:?}", after.table());
    println!("{at_full_speed} of them at full speed; login before: {calm:?}, during: {logins:?}");
    for flow in flows {
        let report = flow.stop();
        assert!(report.failure.is_none(), "{report:?}");
    }
    for (protocol, port) in &ports {
        let dropped = after.dropped(protocol, *port) - before.dropped(protocol, *port);
        assert_eq!(
            dropped, 0,
            "dropped of the flow from {protocol} port {port}"
        );
    }
    for name in ["created", "evicted"] {
        assert_eq!(
            after.flows(name),
            before.flows(name),
            "flows {name} by the flood"
        );
    }
    assert!(
        after.flows("live") >= FLOWS as u64,
        "{} live",
        after.flows("live")
    );
    assert_eq!(memory::of_tables(&guard), memory, "bytes of tables");
    let judged = after.all("drop") - before.all("drop");
    assert!(judged > sent / 4, "the flood has not taken place: {judged}");
    assert!(
        logins.iter().all(Option::is_some),
        "a login was lost: {logins:?}"
    );
    let is_in_time = |took: &&Option<Duration>| took.is_some_and(|took| took < limit);
    let in_time = logins.iter().filter(is_in_time).count();
    assert!(
        in_time >= extent.at_least,
        "{in_time} of {} logins",
        extent.logins
    );
}

/// How long a new login of the friend's takes, if it succeeds.
fn login(sshd: &Sshd, lab: &Topology, number: usize) -> Option<Duration> {
    let to = [lab.srv.v4, lab.srv.v6][number % 2];
    let mut ssh = sshd.client(&lab.friend, to);
    let ran = finish(ssh.arg("true"), Duration::from_secs(20));
    (ran.code == Some(0)).then_some(ran.took)
}

/// A flow of the server's own with an echo server of the friend's; its protocol and local port.
fn flow(lab: &Topology, number: usize) -> (Conversation, (&'static str, u16)) {
    let is_v4 = number % 4 < 2;
    let friend = SocketAddr::new(if is_v4 { lab.friend.v4 } else { lab.friend.v6 }, OPEN);
    let name = format!("flow {number} with {friend}");
    if number.is_multiple_of(2) {
        let stream = lab
            .srv
            .run(|| TcpStream::connect(friend))
            .expect("a connection");
        let port = stream.local_addr().expect("an address").port();
        let flow = Conversation::tcp_every(PAUSE, name, stream, 64);
        (flow, ("tcp", port))
    } else {
        let any: IpAddr = if is_v4 {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = lab.srv.run(|| UdpSocket::bind((any, 0))).expect("a port");
        socket.connect(friend).expect("a route");
        let port = socket.local_addr().expect("an address").port();
        let flow = Conversation::udp_every(PAUSE, name, socket, None);
        (flow, ("udp", port))
    }
}
