//! The kernel keeps parts of datagrams until the rest has come, in 4 MB for all: parts that strangers send to an
//! open port must not take the place of those that this host has asked for.

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use guard_common::testing::packet;
use guard_tests::lab::Wire;

use super::scene::{ECHO, Scene};

/// Open to everybody.
const OPEN: u16 = 9000;
/// More than the kernel's memory for reassembly holds.
const PARTS: usize = 6000;
/// In three parts on an Ethernet.
const ANSWER: usize = 4000;
const QUESTIONS: usize = 20;

/// First parts to the open port, from as many sources, whose rest never comes.
fn first_parts(scene: &Scene, to: IpAddr) -> Vec<Vec<u8>> {
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    (0..PARTS)
        .map(|number| {
            let [.., a, b] = number.to_be_bytes();
            let from = match to {
                IpAddr::V4(_) => format!("198.{}.{a}.{b}", 20 + number % 100),
                IpAddr::V6(_) => format!("2001:db8:{:x}::7", 0x4000 + number),
            };
            let part = packet().from(&from).to_ip(to).macs(macs.0, macs.1);
            part.udp(OPEN).payload(1400).fragment(0, true, 7).build()
        })
        .collect()
}

/// How many long answers of the friend arrive.
fn answers(scene: &Scene, own: IpAddr, friend: IpAddr) -> usize {
    let socket = scene.lab.srv.run(|| UdpSocket::bind((own, 0)));
    let socket = socket.expect("a socket");
    let patience = Some(Duration::from_millis(300));
    socket.set_read_timeout(patience).expect("a socket");
    let (question, mut answer) = ([7; ANSWER], [0; 2 * ANSWER]);
    (0..QUESTIONS)
        .filter(|_| {
            socket.send_to(&question, (friend, ECHO)).expect("asks");
            matches!(socket.recv(&mut answer), Ok(ANSWER))
        })
        .count()
}

#[test]
fn unasked_fragments_to_an_open_port_leave_room_for_answers_in_fragments() {
    let Some(scene) = Scene::new() else { return };
    drop(
        scene
            .guard
            .guardctl(&["allow", &format!("{OPEN}/udp")])
            .ok(),
    );
    scene.enable();
    let (srv, friend) = (&scene.lab.srv, &scene.lab.friend);
    for (own, peer) in [(srv.v4, friend.v4), (srv.v6, friend.v6)] {
        assert_eq!(answers(&scene, own, peer), QUESTIONS, "before: {peer}");
        let parts = first_parts(&scene, own);
        assert_eq!(Wire::open(&scene.lab.wan, "srv").send(&parts), PARTS);
        assert_eq!(answers(&scene, own, peer), QUESTIONS, "after: {peer}");
    }
    // What the ceiling is for.
    scene.guard.write_policy(&format!(
        "[limits]\nceiling = \"off\"\n\n[[rule]]\naction = \"allow\"\nproto = \"udp\"\nport = {OPEN}\n"
    ));
    drop(scene.guard.guardctl(&["reload"]).ok());
    let parts = first_parts(&scene, srv.v4);
    assert_eq!(Wire::open(&scene.lab.wan, "srv").send(&parts), PARTS);
    let left = answers(&scene, srv.v4, friend.v4);
    assert!(left < QUESTIONS, "without a ceiling all the same: {left}");
}
