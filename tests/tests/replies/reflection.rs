//! Answers of strangers' servers to questions that somebody else asked in our name.

use guard_common::{
    packet::Transport,
    testing::{packet, packet_v6, random::Random},
};
use guard_tests::lab::{Answer, Capture, Flood, Rate, Seen, Wire, until};

use super::scene::{Scene, TIME};

/// Ports of servers that answer more than they are asked: names, time, SSDP, memcached.
const REFLECTORS: [u16; 4] = [53, 123, 1900, 11_211];
/// Frames that are sent at least.
const AT_LEAST: u64 = 50_000;

#[test]
fn a_reflection_flood_delivers_nothing_and_questions_are_answered_meanwhile() {
    let Some(scene) = Scene::new() else { return };
    scene.enable();
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    let mut random = Random::new(7);
    let frames: Vec<Vec<u8>> = (0..20_000)
        .map(|number| {
            let bytes: [u8; 4] = random.bytes();
            let base = if number % 2 == 0 {
                packet().from(&format!("198.18.{}.{}", bytes[0], bytes[1]))
            } else {
                packet_v6().from(&format!(
                    "2001:db8:f00::{:x}",
                    u16::from_be_bytes([bytes[0], bytes[1]])
                ))
            };
            let port = u16::from_be_bytes([bytes[2], bytes[3]]);
            base.macs(macs.0, macs.1)
                .udp_between(REFLECTORS[number / 2 % REFLECTORS.len()], port)
                .payload(200)
                .build()
        })
        .collect();
    let capture = Capture::start(&scene.lab.srv, "eth0");
    let before = scene.guard.counted();
    let wire = Wire::open(&scene.lab.wan, "srv");

    let flood = Flood::start(wire, frames, Rate::PerSecond(60_000));
    until("the flood", || flood.sent() > AT_LEAST / 2);
    for friend in [scene.lab.friend.v4, scene.lab.friend.v6] {
        assert_eq!(
            scene.lab.srv.ask_udp(friend, TIME),
            Answer::Echo,
            "{friend}"
        );
    }
    until("the flood", || flood.sent() > AT_LEAST);
    let sent = flood.stop();

    let after = scene.guard.counted();
    let seen = capture.stop();
    let friends = [scene.lab.friend.v4, scene.lab.friend.v6];
    let (asked, delivered): (Vec<&Seen>, Vec<&Seen>) = seen
        .iter()
        .filter(|seen| !seen.is_outgoing && is_from_reflector(seen))
        .partition(|seen| {
            seen.source()
                .is_some_and(|source| friends.contains(&source))
        });
    assert_eq!(delivered.len(), 0, "of {sent}: {:?}", delivered.first());
    assert!(asked.len() >= 2, "the capture has seen the answers");
    let dropped = after.reason("default-drop") - before.reason("default-drop");
    assert!(
        dropped > sent / 2,
        "{dropped} of {sent} counted: {:?}",
        after.table()
    );
    println!("{sent} sent, {dropped} dropped, 0 delivered");
}

fn is_from_reflector(seen: &Seen) -> bool {
    seen.packet()
        .is_some_and(|packet| match packet.transport() {
            Transport::Udp { source_port, .. } => REFLECTORS.contains(&source_port),
            Transport::None
            | Transport::Tcp { .. }
            | Transport::Icmp { .. }
            | Transport::Icmpv6 { .. }
            | Transport::Other => false,
        })
}
