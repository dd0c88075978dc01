//! Rules decide about real sockets of real hosts.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use guard_tests::{
    lab::{Answer, Capture, Host, Instance, TcpEcho, Topology, UdpEcho},
    require,
};

use Answer::{Echo, Refused, Silence};

/// Hosts, guard off, and echo servers on these ports.
struct Scene {
    guard: Instance,
    _echoes: Vec<(TcpEcho, UdpEcho)>,
    lab: Topology,
}

impl Scene {
    fn with_echo(ports: &[u16]) -> Self {
        let lab = Topology::new();
        Self {
            guard: Instance::new(&lab.srv),
            _echoes: ports
                .iter()
                .map(|port| {
                    let tcp = TcpEcho::start(&lab.srv, *port);
                    (tcp, UdpEcho::start(&lab.srv, *port))
                })
                .collect(),
            lab,
        }
    }

    /// Both addresses of the server.
    fn server(&self) -> [IpAddr; 2] {
        [self.lab.srv.v4, self.lab.srv.v6]
    }

    fn guardctl(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        drop(self.guard.guardctl(&words).ok());
    }

    #[track_caller]
    fn expect_tcp(&self, from: &Host, port: u16, expected: Answer) {
        for to in self.server() {
            let answer = from.ask_tcp(to, port);
            assert_eq!(answer, expected, "{} to {to} tcp {port}", from.name());
        }
    }

    #[track_caller]
    fn expect_udp(&self, from: &Host, port: u16, expected: Answer) {
        for to in self.server() {
            let answer = from.ask_udp(to, port);
            assert_eq!(answer, expected, "{} to {to} udp {port}", from.name());
        }
    }
}

#[test]
fn an_open_port_answers_and_every_other_is_silent() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000, 9001]);
    let attacker = &scene.lab.attacker;
    scene.expect_tcp(attacker, 9002, Refused);
    scene.expect_udp(attacker, 9001, Echo);

    scene.guardctl("allow 9000");
    scene.guardctl("allow 9001/tcp");
    scene.guardctl("enable --iface eth0");

    scene.expect_tcp(attacker, 9000, Echo);
    scene.expect_udp(attacker, 9000, Echo);
    scene.expect_tcp(attacker, 9001, Echo);
    scene.expect_udp(attacker, 9001, Silence);
    scene.expect_tcp(attacker, 9002, Silence);
    scene.expect_udp(attacker, 9002, Silence);

    scene.guardctl("delete allow 9001/tcp");
    scene.expect_tcp(attacker, 9001, Silence);

    scene.guardctl("disable");
    scene.expect_tcp(attacker, 9002, Refused);
    scene.expect_udp(attacker, 9001, Echo);
}

#[test]
fn a_port_opened_to_one_source_is_silent_to_others() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000]);
    scene.guardctl("allow 198.51.100.10 9000");
    scene.guardctl("allow from 2001:db8:100::/64 to any port 9000");
    scene.guardctl("enable --iface eth0");

    for host in [&scene.lab.friend, &scene.lab.attacker] {
        let expected = if host.v4 == scene.lab.friend.v4 {
            Echo
        } else {
            Silence
        };
        scene.expect_tcp(host, 9000, expected);
        scene.expect_udp(host, 9000, expected);
    }
}

#[test]
fn a_denied_network_is_kept_out_of_open_ports() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000]);
    scene.guardctl("allow 9000");
    scene.guardctl("enable --iface eth0");
    scene.expect_tcp(&scene.lab.attacker, 9000, Echo);

    scene.guardctl("insert 1 deny from 203.0.113.0/24");
    scene.guardctl("insert 1 deny from 2001:db8:66::/64");

    scene.expect_tcp(&scene.lab.attacker, 9000, Silence);
    scene.expect_udp(&scene.lab.attacker, 9000, Silence);
    scene.expect_tcp(&scene.lab.friend, 9000, Echo);
    scene.expect_udp(&scene.lab.friend, 9000, Echo);
}

#[test]
fn ping_is_answered_once_it_is_allowed() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[]);
    scene.guardctl("enable --iface eth0");
    for to in scene.server() {
        assert!(!scene.lab.friend.can_ping(to), "{to} answers");
    }

    scene.guardctl("allow ping");

    for to in scene.server() {
        assert!(scene.lab.friend.can_ping(to), "{to} is silent");
    }
}

#[test]
fn neighbours_are_found_while_everything_is_denied() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000]);
    scene.guardctl("allow 9000/tcp");
    scene.guardctl("enable --iface eth0");

    for _ in 0..3 {
        scene.lab.srv.ip("neigh flush all");
        scene.lab.wan.ip("neigh flush all");
        scene.expect_tcp(&scene.lab.friend, 9000, Echo);
    }
    let counted = scene.guard.counted();
    assert!(counted.reason("arp") > 0, "{counted:?}");
    assert!(counted.reason("ndp") > 0, "{counted:?}");
}

#[test]
fn every_datagram_is_counted_under_its_port_and_verdict() {
    if !require::root() {
        return;
    }
    const EACH: u64 = 100;
    let scene = Scene::with_echo(&[9000, 9001]);
    scene.guardctl("allow 9000/udp");
    scene.guardctl("enable --iface eth0");
    let capture = Capture::start(&scene.lab.srv, "eth0");

    for to in scene.server() {
        scene.lab.friend.run(|| {
            let any: IpAddr = if to.is_ipv4() {
                [0; 4].into()
            } else {
                [0; 16].into()
            };
            let socket = std::net::UdpSocket::bind((any, 0)).unwrap();
            for _ in 0..EACH {
                socket.send_to(b"x", (to, 9000)).unwrap();
                socket.send_to(b"x", (to, 9001)).unwrap();
            }
        });
    }

    let seen = capture.stop();
    let arrived = |port| {
        let is_it = |seen: &&guard_tests::lab::Seen| !seen.is_outgoing && seen.port() == Some(port);
        seen.iter().filter(is_it).count() as u64
    };
    let counted = scene.guard.counted();
    assert_eq!(counted.passed("udp", 9000), 2 * EACH);
    assert_eq!(counted.dropped("udp", 9001), 2 * EACH);
    assert_eq!(
        counted.passed("udp", 9001) + counted.dropped("udp", 9000),
        0
    );
    assert_eq!(counted.reason("rule-allow"), 2 * EACH);
    assert_eq!(arrived(("udp", 9000)), 2 * EACH);
    assert_eq!(arrived(("udp", 9001)), 0);
}

#[test]
fn generic_mode_filters_where_the_driver_refuses_native_mode() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000, 9001]);
    // Frames of this size do not fit into the page that native XDP hands a program on veth.
    scene.lab.wan.ip("link set srv mtu 9000");
    scene.guardctl("allow 9000");

    let enabled = scene.guard.guardctl(&["enable", "--iface", "eth0"]).ok();

    assert!(enabled.stdout.contains("generic mode"), "{enabled}");
    assert!(
        enabled
            .stdout
            .contains("slower than native: the MTU at the other end of its cable"),
        "{enabled}"
    );
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(status["interfaces"][0]["mode"], "generic", "{status}");
    drop(
        scene
            .guard
            .guardctl(&["status"])
            .ok()
            .says("eth0 (generic: the MTU at the other end of its cable"),
    );
    for host in [&scene.lab.attacker, &scene.lab.friend] {
        scene.expect_tcp(host, 9000, Echo);
        scene.expect_udp(host, 9000, Echo);
        scene.expect_tcp(host, 9001, Silence);
        scene.expect_udp(host, 9001, Silence);
    }
}

#[test]
fn native_mode_is_used_where_the_driver_can() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[]);

    drop(
        scene
            .guard
            .guardctl(&["enable", "--iface", "eth0"])
            .ok()
            .says("native mode"),
    );

    let link = scene.lab.srv.ip("-d link show dev eth0");
    assert!(link.contains("prog/xdp id"), "{link}");
    drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
}

#[test]
fn without_a_name_the_interface_of_the_default_route_is_protected() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[]);
    second_link(&scene);

    drop(
        scene
            .guard
            .guardctl(&["enable"])
            .ok()
            .says("eth0: attached"),
    );

    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    let interfaces = status["interfaces"].as_array().unwrap();
    assert_eq!(interfaces.len(), 1, "{status}");
    assert_eq!(interfaces[0]["name"], "eth0");
}

#[test]
fn a_rule_for_one_of_two_interfaces_holds_on_that_one() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_echo(&[9000, 9001]);
    let second: IpAddr = "10.9.9.1".parse().unwrap();
    second_link(&scene);
    scene.guardctl("allow 9000/tcp");
    scene.guardctl("allow in on eth1 to any port 9001 proto tcp");

    scene.guardctl("enable --iface eth0 eth1");

    let friend = &scene.lab.friend;
    scene.expect_tcp(friend, 9000, Echo);
    scene.expect_tcp(friend, 9001, Silence);
    assert_eq!(friend.ask_tcp(second, 9000), Echo);
    assert_eq!(friend.ask_tcp(second, 9001), Echo);
    assert_eq!(friend.ask_udp(second, 9001), Silence);
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(
        status["interfaces"].as_array().unwrap().len(),
        2,
        "{status}"
    );

    scene.guardctl("enable --iface eth0");
    assert_eq!(
        friend.ask_udp(second, 9001),
        Echo,
        "eth1 is not protected any more"
    );
    scene.expect_udp(friend, 9001, Silence);
}

/// A cable from the server's eth1, 10.9.9.1, straight to the friend's, 10.9.9.2.
fn second_link(scene: &Scene) {
    let (srv, friend) = (&scene.lab.srv, &scene.lab.friend);
    srv.ip_batch(&format!(
        "link add eth1 type veth peer name eth1 netns {}\naddr add 10.9.9.1/24 dev eth1\n\
         link set eth1 up\n",
        friend.name()
    ));
    friend.ip_batch("addr add 10.9.9.2/24 dev eth1\nlink set eth1 up\n");
}

#[test]
fn a_fragmented_datagram_arrives_whole_on_an_open_port_only() {
    if !require::root() {
        return;
    }
    const DATAGRAM: usize = 4000;
    let scene = Scene::with_echo(&[]);
    scene.guardctl("allow 53/udp");
    scene.guardctl("enable --iface eth0");
    for server in scene.server() {
        for (port, arrives) in [(53, true), (54, false)] {
            let address = SocketAddr::new(server, port);
            let any = if server.is_ipv4() {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            };
            let socket = scene
                .lab
                .srv
                .run(|| UdpSocket::bind(address))
                .expect("binds");
            socket
                .set_read_timeout(Some(Duration::from_secs(2)))
                .expect("a timeout");
            let sent = scene
                .lab
                .attacker
                .run(|| UdpSocket::bind(any)?.send_to(&[7; DATAGRAM], address))
                .expect("sends");
            assert_eq!(sent, DATAGRAM);
            let received = socket.recv(&mut [0; 2 * DATAGRAM]).ok();
            assert_eq!(received, arrives.then_some(DATAGRAM), "{address}");
        }
    }
    let stats = scene.guard.guardctl(&["stats", "--json"]).ok().json();
    let packets = |wanted: &str| {
        let reasons = stats["reasons"].as_array().expect("reasons");
        let found = reasons.iter().find(|reason| reason["reason"] == wanted);
        found
            .and_then(|reason| reason["packets"].as_u64())
            .unwrap_or(0)
    };
    // Three fragments each; the first one is decided by its port.
    assert!(packets("fragment-rest") >= 4, "{stats}");
    assert!(packets("fragment") >= 4, "{stats}");
}
