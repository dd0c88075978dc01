//! Random traffic in both directions: few conversations, so that answers, errors and segments of
//! sessions often meet what went out before.

use guard_common::{
    packet::TcpFlags,
    testing::{
        peers::{DATA, ETHERNET, Ends, FIN_ACK, OWN, SYN_ACK, address},
        random::Random,
    },
};

use super::{
    Palette,
    frames::{SOURCES_V4, SOURCES_V6, random_frame},
};

/// A frame and its direction.
#[derive(Clone, Debug)]
pub enum Step {
    /// It arrives.
    Arrives(Vec<u8>),
    /// The host sends it.
    Leaves(Vec<u8>),
}

/// One random frame of a conversation; `sessions` are TCP sessions that the host has.
pub fn random_step(random: &mut Random, palette: &Palette, sessions: &[Ends]) -> Step {
    match random.below(10) {
        0..=2 => Step::Leaves(leaving(random, palette)),
        3..=5 => {
            let ends = ends(random, palette);
            let frame = answer(random, &ends);
            Step::Arrives(damaged(random, frame))
        }
        6 | 7 => {
            let ends = ends(random, palette);
            let ours = about(random, &ends);
            Step::Arrives(damaged_error(random, &ends, &ours))
        }
        _ => of_session(random, sessions),
    }
}

/// A segment of a session, or an error about one. None of them begins a flow.
fn of_session(random: &mut Random, sessions: &[Ends]) -> Step {
    let ends = random.pick(sessions);
    match random.below(16) {
        0 => Step::Leaves(ends.tcp_out(random.pick(&[SYN_ACK, DATA, FIN_ACK]))),
        1..=3 => Step::Arrives(damaged_error(random, &ends, &ends.tcp_out(DATA))),
        _ => {
            let flags = segment(random);
            Step::Arrives(damaged(random, ends.tcp_in(flags)))
        }
    }
}

fn ends(random: &mut Random, palette: &Palette) -> Ends {
    const PORTS: [u16; 3] = [40_001, 40_002, 40_003];
    let peers = random.pick(&[(OWN[0], SOURCES_V4), (OWN[1], SOURCES_V6)]);
    Ends {
        own: address(peers.0),
        peer: address(random.pick(&peers.1)),
        own_port: if random.once_in(3) {
            random.pick(palette.ports)
        } else {
            random.pick(&PORTS)
        },
        peer_port: random.pick(&[53, 443]),
    }
}

fn segment(random: &mut Random) -> u8 {
    random.pick(&[
        TcpFlags::SYN,
        TcpFlags::SYN,
        SYN_ACK,
        TcpFlags::ACK,
        DATA,
        FIN_ACK,
        TcpFlags::RST,
    ])
}

/// What the host sends in a conversation.
fn about(random: &mut Random, ends: &Ends) -> Vec<u8> {
    match random.below(5) {
        0 | 1 => ends.tcp_out(segment(random)),
        2 | 3 => ends.udp_out(),
        _ => ends.echo_out(),
    }
}

/// What comes back.
fn answer(random: &mut Random, ends: &Ends) -> Vec<u8> {
    match random.below(5) {
        0 | 1 => ends.tcp_in(segment(random)),
        2 | 3 => ends.udp_in(),
        _ => ends.echo_in(),
    }
}

/// Mostly conversations; else anything, from an address of the host.
fn leaving(random: &mut Random, palette: &Palette) -> Vec<u8> {
    let ends = ends(random, palette);
    let frame = match random.below(8) {
        0 => {
            let kind = random.pick(&[0, 3, 8, 11, 128, 129, 1]);
            ends.echo(ends.out(), kind).build()
        }
        1 => {
            let group = ends.of("224.0.0.251", "ff02::fb");
            let out = ends.out().to(group);
            out.udp_between(ends.own_port, ends.peer_port).build()
        }
        2 => {
            let part = ends.out().udp_between(ends.own_port, ends.peer_port);
            part.payload(64)
                .fragment(random.below(2) as u16 * 8, true, 1)
                .build()
        }
        3 => random_frame(random, palette),
        _ => about(random, &ends),
    };
    let mut frame = damaged(random, frame);
    // A test run takes no frame that ends within its IP header.
    let least = match frame[12..14] {
        [0x86, 0xdd] => ETHERNET + 40,
        _ => ETHERNET + 20,
    };
    frame.resize(frame.len().max(least), 0);
    frame
}

/// An error about a frame of ours, with any type and now and then cut short.
fn damaged_error(random: &mut Random, ends: &Ends, ours: &[u8]) -> Vec<u8> {
    let kinds = ends.of([3, 3, 3, 11, 12, 4], [1, 2, 2, 3, 4, 0]);
    let kind = (random.pick(&kinds), random.below(6) as u8);
    let bytes = if random.once_in(4) {
        random.below(90)
    } else {
        ours.len()
    };
    let mut error = ends.error(kind, ours, bytes);
    if random.once_in(16) {
        error = error.to_ip(ends.other_own());
    }
    if random.once_in(16) {
        error = error.vlan(0x8100);
    }
    damaged(random, error.build())
}

/// Now and then with a bit that is wrong.
fn damaged(random: &mut Random, mut frame: Vec<u8>) -> Vec<u8> {
    if random.once_in(12) {
        let at = random.below(frame.len());
        frame[at] ^= 1 << random.below(8);
    }
    frame
}
