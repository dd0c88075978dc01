//! ICMP errors: those that quote a packet of ours reach the stack, all others do not.

use std::net::{IpAddr, UdpSocket};

use guard_common::{
    abi::service::protocol,
    packet::TcpFlags,
    testing::{PacketBuilder, packet},
};
use guard_tests::lab::{Capture, TcpEcho, Wire, until};

use super::scene::Scene;

/// The peer's port, and the ports of this host's conversations.
const PEER: u16 = 9000;
const ASKED: u16 = 45_000;

/// A quoted packet, and whether it is one of ours.
struct Case {
    what: &'static str,
    is_ours: bool,
    quote: fn(PacketBuilder) -> PacketBuilder,
}

/// Always from this host to the friend.
const CASES: [Case; 8] = [
    Case {
        what: "a question of ours",
        is_ours: true,
        quote: |packet| packet.udp_between(ASKED, PEER).payload(1300),
    },
    Case {
        what: "an answer of a service that a rule opens",
        is_ours: true,
        quote: |packet| packet.tcp_between(80, 50_000, TcpFlags::ACK).payload(1300),
    },
    Case {
        what: "a question to another port",
        is_ours: false,
        quote: |packet| packet.udp_between(ASKED, PEER + 1).payload(1300),
    },
    Case {
        what: "a question from another port",
        is_ours: false,
        quote: |packet| packet.udp_between(ASKED + 1, PEER).payload(1300),
    },
    Case {
        what: "a question of another protocol",
        is_ours: false,
        quote: |packet| packet.tcp_between(ASKED, PEER, TcpFlags::ACK).payload(1300),
    },
    Case {
        what: "an answer of a service that no rule opens",
        is_ours: false,
        quote: |packet| packet.tcp_between(81, 50_000, TcpFlags::ACK).payload(1300),
    },
    Case {
        what: "a packet that another host sent",
        is_ours: false,
        quote: |packet| {
            packet
                .from("203.0.113.99")
                .to("198.51.100.10")
                .udp_between(ASKED, PEER)
                .payload(1300)
        },
    },
    Case {
        what: "a protocol that has no ports",
        is_ours: false,
        quote: |packet| packet.protocol(47, &[0; 40]),
    },
];

#[test]
fn an_error_is_believed_only_about_a_packet_of_ours() {
    let Some(scene) = Scene::new() else { return };
    scene.enable();
    let wire = Wire::open(&scene.lab.wan, "srv");
    for (server, friend) in [
        (scene.lab.srv.v4, scene.lab.friend.v4),
        (scene.lab.srv.v6, scene.lab.friend.v6),
    ] {
        let socket = scene
            .lab
            .srv
            .run(|| UdpSocket::bind((server, ASKED)).unwrap());
        socket.send_to(b"question", (friend, PEER)).unwrap();
        for case in &CASES {
            let quoted = (case.quote)(packet().from_ip(server).to_ip(friend)).build();
            expect(&scene, &wire, server, case, &quoted);
        }
    }
}

#[test]
fn an_error_about_a_session_from_before_is_believed() {
    let Some(scene) = Scene::new() else { return };
    let _echo = TcpEcho::start(&scene.lab.friend, PEER);
    let sessions: Vec<_> = [scene.lab.friend.v4, scene.lab.friend.v6]
        .map(|friend| {
            scene
                .lab
                .srv
                .run(|| std::net::TcpStream::connect((friend, PEER)).unwrap())
        })
        .into();
    scene.enable();
    let wire = Wire::open(&scene.lab.wan, "srv");
    for session in &sessions {
        let (own, peer) = (session.local_addr().unwrap(), session.peer_addr().unwrap());
        let quoted = packet()
            .from_ip(own.ip())
            .to_ip(peer.ip())
            .tcp_between(own.port(), PEER, TcpFlags::ACK)
            .payload(1300)
            .build();
        let case = Case {
            what: "a session that is older than guard",
            is_ours: true,
            quote: |packet| packet,
        };
        expect(&scene, &wire, own.ip(), &case, &quoted);
    }
}

/// Sends "packet too big" about a quoted frame and looks whether it is delivered and counted.
#[track_caller]
fn expect(scene: &Scene, wire: &Wire, server: IpAddr, case: &Case, quoted: &[u8]) {
    let error = too_big(scene, server, quoted);
    let what = format!("{}, {server}", case.what);
    let before = scene.errors();
    let in_the_stack = Capture::start(&scene.lab.srv, "eth0");

    assert_eq!(wire.send(std::slice::from_ref(&error)), 1, "{what}");

    let counted = || {
        let after = scene.errors();
        (after.0 - before.0, after.1 - before.1)
    };
    let expected = if case.is_ours { (1, 0) } else { (0, 1) };
    until(&format!("the verdict on {what}"), || counted() != (0, 0));
    assert_eq!(counted(), expected, "believed and not, {what}");
    let seen = in_the_stack.stop();
    let delivered = seen
        .iter()
        .any(|seen| !seen.is_outgoing && seen.frame == error);
    assert_eq!(delivered, case.is_ours, "{what}");
}

/// "Fragmentation needed" or "packet too big" of a router of the lab, with what it quotes.
fn too_big(scene: &Scene, server: IpAddr, quoted: &[u8]) -> Vec<u8> {
    const ETHERNET: usize = 14;
    /// What routers quote at most in IPv4 (RFC 1812); of IPv6, everything that fits 1280 bytes.
    const QUOTE: usize = 548;
    let quote = &quoted[ETHERNET..quoted.len().min(ETHERNET + QUOTE)];
    let (router, number, kind, code) = match server {
        IpAddr::V4(_) => ("100.64.0.1", protocol::ICMP, 3, 4),
        IpAddr::V6(_) => ("2001:db8:64::1", protocol::ICMPV6, 2, 0),
    };
    // The MTU is the last field of both forms.
    let mtu = 1300u16.to_be_bytes();
    let header = [kind, code, 0, 0, 0, 0, mtu[0], mtu[1]];
    packet()
        .macs(scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"))
        .from(router)
        .to_ip(server)
        .protocol(number, &[&header, quote].concat())
        .build()
}
