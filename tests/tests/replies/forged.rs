//! Answers that nobody gave: an open question is answered on the wire, right and wrong in each
//! field that tells a conversation from others.

use std::{
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use guard_common::{abi::service::protocol, packet::TcpFlags, testing::packet};
use guard_tests::lab::{Capture, Wire, until};

use super::scene::Scene;

/// A port of the friend's at which nobody answers, so that all answers are ours.
const SILENT: u16 = 5353;
/// Every question comes from here.
const CLIENT: u16 = 45_000;
/// Hop limit of the first answer; no host in the lab sends with it.
const FIRST_MARK: u8 = 101;
/// How long a question stays open.
const OPEN: Duration = Duration::from_millis(1500);

/// In which field an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    SourceAddress,
    DestinationAddress,
    SourcePort,
    DestinationPort,
    Protocol,
    Nothing,
}

const PORTS: [Wrong; 6] = [
    Wrong::SourceAddress,
    Wrong::DestinationAddress,
    Wrong::SourcePort,
    Wrong::DestinationPort,
    Wrong::Protocol,
    Wrong::Nothing,
];
/// An echo has no ports, but an identifier in their place.
const ECHO: [Wrong; 5] = [
    Wrong::SourceAddress,
    Wrong::DestinationAddress,
    Wrong::DestinationPort,
    Wrong::Protocol,
    Wrong::Nothing,
];

/// Guard is on and the friend's answers do not arrive.
fn scene() -> Option<Scene> {
    let scene = Scene::new()?;
    scene.enable();
    // Nothing of the friend's own: no answers, no resets, no ICMP errors.
    for line in [
        "route add blackhole 198.51.100.10/32",
        "-6 route add blackhole 2001:db8:100::10/128",
    ] {
        scene.lab.wan.ip(line);
    }
    let one_port = format!("{CLIENT} {CLIENT}");
    scene
        .lab
        .srv
        .sysctl("net/ipv4/ip_local_port_range", &one_port);
    Some(scene)
}

/// Server and friend, of each family.
fn pairs(scene: &Scene) -> [(IpAddr, IpAddr); 2] {
    [
        (scene.lab.srv.v4, scene.lab.friend.v4),
        (scene.lab.srv.v6, scene.lab.friend.v6),
    ]
}

#[test]
fn a_datagram_that_answers_another_question_is_dropped() {
    let Some(scene) = scene() else { return };
    for pair in pairs(&scene) {
        let socket = scene
            .lab
            .srv
            .run(|| UdpSocket::bind((pair.0, CLIENT)).unwrap());
        socket.send_to(b"question", (pair.1, SILENT)).unwrap();

        expect_only_the_right_one(&scene, pair, protocol::UDP, CLIENT, &PORTS);
    }
}

#[test]
fn a_segment_that_answers_another_question_is_dropped() {
    let Some(scene) = scene() else { return };
    for pair in pairs(&scene) {
        let to = SocketAddr::new(pair.1, SILENT);
        let capture = Capture::start(&scene.lab.wan, "srv");
        let asks = scene
            .lab
            .srv
            .spawn(move || TcpStream::connect_timeout(&to, OPEN));
        until("a SYN on the wire", || capture.count() > 0);
        drop(capture);

        expect_only_the_right_one(&scene, pair, protocol::TCP, CLIENT, &PORTS);

        assert!(asks.join().unwrap().is_err(), "a connection to nobody");
    }
}

#[test]
fn an_echo_that_answers_another_ping_is_dropped() {
    let Some(scene) = scene() else { return };
    for pair in pairs(&scene) {
        let capture = Capture::start(&scene.lab.wan, "srv");
        assert!(!scene.lab.srv.can_ping(pair.1), "nobody answers");
        let sent = capture.stop();
        let request = sent.iter().find_map(|seen| identifier(&seen.frame));
        let identifier = request.expect("an echo request on the wire");
        let protocol = if pair.0.is_ipv4() {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };

        expect_only_the_right_one(&scene, pair, protocol, identifier, &ECHO);
    }
}

/// Identifier of an echo request.
fn identifier(frame: &[u8]) -> Option<u16> {
    const ETHERNET: usize = 14;
    let (at, kind, number) = match frame.get(12..14)? {
        [0x08, 0x00] => (ETHERNET + 20, 8, frame.get(ETHERNET + 9)?),
        [0x86, 0xdd] => (ETHERNET + 40, 128, frame.get(ETHERNET + 6)?),
        _ => return None,
    };
    let is_icmp = [protocol::ICMP, protocol::ICMPV6].contains(number);
    let bytes = frame.get(at + 4..at + 6)?.try_into().ok()?;
    (is_icmp && *frame.get(at)? == kind).then(|| u16::from_be_bytes(bytes))
}

/// Sends answers, each wrong in one field and marked by its hop limit, the right one last.
#[track_caller]
fn expect_only_the_right_one(
    scene: &Scene,
    (client, friend): (IpAddr, IpAddr),
    protocol: u8,
    identifier: u16,
    cases: &[Wrong],
) {
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    let frames: Vec<Vec<u8>> = cases
        .iter()
        .zip(FIRST_MARK..)
        .map(|(wrong, mark)| {
            let is = |field| *wrong == field;
            let builder = packet()
                .macs(macs.0, macs.1)
                .from_ip(if is(Wrong::SourceAddress) {
                    neighbour(friend)
                } else {
                    friend
                })
                .to_ip(if is(Wrong::DestinationAddress) {
                    neighbour(client)
                } else {
                    client
                })
                .hop_limit(mark);
            let source_port = SILENT + u16::from(is(Wrong::SourcePort));
            let port = identifier.wrapping_add(u16::from(is(Wrong::DestinationPort)));
            match (protocol, is(Wrong::Protocol)) {
                (protocol::TCP, false) | (protocol::UDP, true) => {
                    builder.tcp_between(source_port, port, TcpFlags::SYN | TcpFlags::ACK)
                }
                (protocol::UDP, false) | (_, true) => {
                    builder.udp_between(source_port, port).payload(32)
                }
                (_, false) => {
                    let kind = if protocol == protocol::ICMP { 0 } else { 129 };
                    let [high, low] = port.to_be_bytes();
                    builder.protocol(protocol, &[kind, 0, 0, 0, high, low, 0, 1])
                }
            }
            .build()
        })
        .collect();
    let in_the_stack = Capture::start(&scene.lab.srv, "eth0");

    let sent = Wire::open(&scene.lab.wan, "srv").send(&frames);

    assert_eq!(sent, frames.len());
    until("the right answer", || in_the_stack.count() > 0);
    let delivered: Vec<Wrong> = in_the_stack
        .stop()
        .iter()
        .filter(|seen| !seen.is_outgoing)
        .filter_map(|seen| Some(seen.packet()?.hop_limit()))
        .filter_map(|mark| {
            cases
                .get(usize::from(mark.checked_sub(FIRST_MARK)?))
                .copied()
        })
        .collect();
    assert_eq!(delivered, [Wrong::Nothing], "{friend} protocol {protocol}");
}

/// Another address of the same network.
fn neighbour(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() + 1).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() + 1).into()),
    }
}

#[test]
fn fragments_are_delivered_only_of_an_answer() {
    let Some(scene) = scene() else { return };
    for (client, friend) in pairs(&scene) {
        let socket = scene
            .lab
            .srv
            .run(|| UdpSocket::bind((client, CLIENT)).unwrap());
        socket.send_to(b"question", (friend, SILENT)).unwrap();
        let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
        let stranger = neighbour(friend);
        // Three parts each of a datagram that the stranger and the friend send.
        let frames: Vec<Vec<u8>> = [(stranger, 7), (friend, 8)]
            .into_iter()
            .flat_map(|(source, id)| {
                let part = move |offset: u16, more| {
                    let base = packet().macs(macs.0, macs.1).from_ip(source).to_ip(client);
                    let base = base.fragment(offset, more, id);
                    let mut header = Vec::new();
                    if offset == 0 {
                        for field in [SILENT, CLIENT, 3 * PART, 0] {
                            header.extend(field.to_be_bytes());
                        }
                    }
                    let rest = usize::from(PART) - header.len();
                    base.protocol(protocol::UDP, &header).payload(rest).build()
                };
                [
                    part(0, true),
                    part(PART / 8, true),
                    part(2 * PART / 8, false),
                ]
            })
            .collect();
        let in_the_stack = Capture::start(&scene.lab.srv, "eth0");

        assert_eq!(
            Wire::open(&scene.lab.wan, "srv").send(&frames),
            frames.len()
        );

        until("the friend's parts", || in_the_stack.count() >= 3);
        let delivered: Vec<Vec<u8>> = in_the_stack
            .stop()
            .into_iter()
            .filter(|seen| !seen.is_outgoing && frames.contains(&seen.frame))
            .map(|seen| seen.frame)
            .collect();
        assert_eq!(delivered, frames[3..], "{friend}");
    }
}

/// Bytes of a part of a datagram; a multiple of eight.
const PART: u16 = 1280;
