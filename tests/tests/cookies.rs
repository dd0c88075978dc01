//! SYN admission, packet by packet: what is answered with a cookie and with which bytes, what passes as it
//! is, and what is above the ceiling of its port. Kernel and model give the same answer.

use std::net::TcpListener;

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::{Frame, Packet, TcpFlags, Transport, parse},
    policy::ListenerState,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::Harness,
    local_net::{LocalNet, in_local_net},
    require,
};
use guard_user::{
    dataplane::clock,
    ruleset::{
        ceiling::Ceiling,
        model::{DefaultAction, Policy},
        sample::{allow, deny, policy},
    },
};

/// A port with a listener of the host, and one without.
const SERVED: u16 = 80;
const FORWARDED: u16 = 8080;
/// Ethernet.
const LINK: usize = 14;
/// Kind 2: segments of 1400 bytes at most; then SACK permitted, timestamps, window scale.
const OPTIONS: [u8; 20] = [
    2, 4, 5, 120, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
];

/// A policy that opens both ports, in a net of its own with a listener whose kernel answers every
/// SYN with a cookie, or none.
fn scene(change: impl FnOnce(&mut Policy), play: impl FnOnce(&LocalNet, &mut Harness) + Send) {
    if !require::root() {
        return;
    }
    let mut policy = policy([allow().tcp(SERVED), allow().tcp(FORWARDED)]);
    change(&mut policy);
    in_local_net(|net| play(net, &mut Harness::new(&policy)));
}

/// Listeners at both addresses of the host.
fn listeners(net: &LocalNet, guard: &mut Harness, state: ListenerState) -> Vec<TcpListener> {
    net.families()
        .into_iter()
        .map(|(own, _)| {
            guard.model_listener((own, SERVED).into(), state);
            net.listen_at((own, SERVED).into())
        })
        .collect()
}

fn syn(base: PacketBuilder, port: u16) -> PacketBuilder {
    base.tcp(port, TcpFlags::SYN)
}

fn later(guard: &mut Harness, milliseconds: u64) {
    let jiffies = guard.jiffies();
    guard.set_jiffies(jiffies + (milliseconds * 1000).div_ceil(clock::jiffy_us()));
}

fn ip(frame: &[u8]) -> Packet {
    let packet = Packet::default();
    assert_eq!(parse(frame, &packet), Ok(Frame::Ip), "{frame:02x?}");
    packet
}

/// The sum of all words, folded: 0xffff over what a right checksum covers.
fn sum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.concat();
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn a_syn_is_turned_into_its_answer() {
    scene(
        |_| {},
        |net, guard| {
            if !guard.answers() {
                println!("this kernel makes no cookies");
                return;
            }
            net.always_cookies();
            let _listeners = listeners(net, guard, ListenerState::Full);
            for base in [packet(), packet_v6()] {
                for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100]] {
                    for (options, mss) in [(&[][..], None), (&OPTIONS, Some(1400))] {
                        for payload in [0, 1, 100] {
                            let tagged =
                                tags.iter().fold(base.clone(), |base, tag| base.vlan(*tag));
                            let mut asked =
                                syn(tagged, SERVED).tcp_options(options).payload(payload);
                            if mss.is_none() {
                                asked = asked.hop_limit(1);
                            }
                            let frame = asked.build();
                            let case =
                                format!("{tags:x?}, {} option bytes, {payload}", options.len());
                            let answer = guard.answer(&case, &frame);
                            assert_answers(&case, &frame, &answer, mss.is_some());
                        }
                    }
                }
            }
            guard.assert_identical();
        },
    );
}

/// Is this frame the right answer to that SYN, but for the cookie, which only the kernel knows?
fn assert_answers(case: &str, syn: &[u8], answer: &[u8], has_options: bool) {
    let (asked, answered) = (ip(syn), ip(answer));
    let at = answered.network_at() as usize;
    assert_eq!(asked.network_at() as usize, at, "{case}: the tags stay");
    assert_eq!(answer[..6], syn[6..12], "{case}: back to the sender");
    assert_eq!(answer[6..12], syn[..6], "{case}: from the host");
    assert_eq!(answer[12..at], syn[12..at], "{case}: tags and EtherType");
    assert_eq!(
        (answered.source(), answered.destination()),
        (asked.destination(), asked.source())
    );
    assert_eq!(answered.hop_limit(), 64, "{case}");
    assert_eq!(answered.end() as usize, answer.len(), "{case}: no padding");
    let tcp_at = answered.transport_at() as usize;
    let (question, tcp) = (&syn[asked.transport_at() as usize..], &answer[tcp_at..]);
    assert_eq!(tcp.len(), 24, "{case}");
    assert!(
        matches!(answered.transport(), Transport::Tcp { flags, .. } if flags == TcpFlags(0x12)),
        "{case}: {:?}",
        answered.transport()
    );
    assert_eq!((&tcp[..2], &tcp[2..4]), (&question[2..4], &question[..2]));
    let sequence = u32::from_be_bytes(question[4..8].try_into().expect("four bytes"));
    assert_eq!(tcp[8..12], (sequence + 1).to_be_bytes(), "{case}");
    let is_v4 = asked.source().is_v4();
    let mss = u16::from_be_bytes([tcp[22], tcp[23]]);
    // The largest of the kernel's table (net/ipv4/syncookies.c, net/ipv6/syncookies.c) that the
    // peer takes.
    let expected = match (has_options, is_v4) {
        (true, true) => 1300,
        (false, true) => 536,
        (_, false) => 1220,
    };
    assert_eq!((tcp[20], tcp[21], mss), (2, 4, expected), "{case}: MSS");
    let addresses = if is_v4 {
        assert_eq!(sum(&[&answer[at..at + 20]]), 0xffff, "{case}: IPv4");
        &answer[at + 12..at + 20]
    } else {
        &answer[at + 8..at + 40]
    };
    let pseudo = [0, 6, 0, tcp.len() as u8];
    assert_eq!(sum(&[addresses, &pseudo, tcp]), 0xffff, "{case}: TCP");
}

#[test]
fn a_listener_with_room_gets_the_syn_as_it_is_and_has_no_ceiling() {
    scene(
        |policy| policy.ceiling = Ceiling::per_second(1),
        |net, guard| {
            if !guard.answers() {
                println!("this kernel makes no cookies");
                return;
            }
            let _listeners = listeners(net, guard, ListenerState::Ready);
            for base in [packet(), packet_v6()] {
                for number in 0..20 {
                    let frame = syn(base.clone(), SERVED).tcp_options(&OPTIONS).build();
                    guard.expect(&format!("SYN {number}"), &frame, RuleAllow);
                }
            }
        },
    );
}

#[test]
fn nobody_is_answered_whom_the_rules_do_not_let_in() {
    scene(
        |policy| {
            policy.rules.splice(
                0..0,
                guard_user::ruleset::sample::policy([
                    deny().from("198.51.100.0/24").tcp(SERVED),
                    deny().from("2001:db8:100::/48").tcp(SERVED),
                ])
                .rules,
            );
        },
        |net, guard| {
            net.always_cookies();
            let _listeners = listeners(net, guard, ListenerState::Full);
            for base in [packet(), packet_v6()] {
                guard.expect("denied", &syn(base.clone(), SERVED).build(), RuleDeny);
                guard.expect("closed", &syn(base, 81).build(), DefaultDrop);
            }
        },
    );
}

#[test]
fn what_is_no_plain_syn_is_passed_on() {
    scene(
        |_| {},
        |net, guard| {
            net.always_cookies();
            let _listeners = listeners(net, guard, ListenerState::Full);
            let with_options = packet().options(&[1, 1, 1, 0]);
            // Padding options in a destination options header.
            let extended = packet_v6().extension(60, &[0, 1, 4, 0, 0, 0, 0]);
            for base in [with_options, extended] {
                guard.expect("extended", &syn(base, SERVED).build(), RuleAllow);
            }
            for base in [packet(), packet_v6()] {
                let ack = base.clone().tcp(SERVED, TcpFlags::ACK).build();
                guard.expect("an ACK", &ack, RuleAllow);
                let answer = base.tcp(SERVED, TcpFlags::SYN | TcpFlags::ACK).build();
                guard.expect("a SYN-ACK", &answer, RuleAllow);
            }
        },
    );
}

/// Sends SYNs of these sources in turn; how many pass.
fn passing(guard: &mut Harness, sources: &[PacketBuilder], times: usize) -> usize {
    let frame = |number: usize| syn(sources[number % sources.len()].clone(), FORWARDED).build();
    guard.passing((0..times).map(frame), RuleAllow)
}

fn sources(v4: &str, v6: &str) -> [PacketBuilder; 2] {
    [packet().from(v4), packet_v6().from(v6)]
}

#[test]
fn a_port_without_a_listener_gets_its_burst_and_then_its_rate() {
    let rate = |policy: &mut Policy| policy.ceiling = Ceiling::per_second(8);
    scene(rate, |_, guard| {
        // Nobody else's share is looked at: each source is of a prefix of its own.
        let many: Vec<PacketBuilder> = (0..64)
            .map(|number| packet().from(&format!("198.18.{number}.1")))
            .collect();
        assert_eq!(passing(guard, &many, 64), 16, "the burst");
        for _ in 0..3 {
            later(guard, 1000);
            let passed = passing(guard, &many, 32);
            assert!((8..=9).contains(&passed), "{passed} in a second");
        }
        for base in [packet(), packet_v6()] {
            let ack = base.tcp(FORWARDED, TcpFlags::ACK).build();
            guard.expect("established", &ack, RuleAllow);
        }
        later(guard, 60_000);
        assert_eq!(passing(guard, &many, 32), 16, "after a pause");
        guard.assert_identical();
    });
}

#[test]
fn a_source_prefix_that_floods_leaves_room_for_the_others() {
    let rate = |policy: &mut Policy| policy.ceiling = Ceiling::per_second(40);
    scene(rate, |_, guard| {
        for [flood, other] in [
            [packet().from("198.18.1.1"), packet().from("198.18.2.1")],
            [
                packet_v6().from("2001:db8:a::1"),
                packet_v6().from("2001:db8:b::1"),
            ],
        ] {
            later(guard, 60_000);
            let passed = passing(guard, std::slice::from_ref(&flood), 200);
            assert!((40..=51).contains(&passed), "{passed} of the flood");
            for second in 0..5 {
                later(guard, 1000);
                passing(guard, std::slice::from_ref(&flood), 100);
                let passed = passing(guard, std::slice::from_ref(&other), 5);
                assert_eq!(passed, 5, "of another prefix, second {second}");
            }
        }
        guard.assert_identical();
    });
}

#[test]
fn the_never_list_and_other_ports_are_under_no_ceiling_of_this_port() {
    scene(
        |policy| {
            policy.ceiling = Ceiling::per_second(1);
            let never = ["203.0.113.9/32", "2001:db8:9::/64"];
            policy.never = never
                .iter()
                .map(|text| text.parse().expect("a prefix"))
                .collect();
        },
        |_, guard| {
            let strangers = sources("203.0.113.8", "2001:db8:8::1");
            assert_eq!(passing(guard, &strangers, 10), 2);
            if guard.answers() {
                let friends = sources("203.0.113.9", "2001:db8:9::1");
                assert_eq!(passing(guard, &friends, 20), 20, "the never list");
            }
            for base in strangers {
                guard.expect("another port", &syn(base, SERVED).build(), RuleAllow);
            }
        },
    );
}

#[test]
fn a_ceiling_that_is_off_is_none() {
    let off = |policy: &mut Policy| policy.ceiling = Ceiling::Off;
    scene(off, |_, guard| {
        let strangers = sources("203.0.113.8", "2001:db8:8::1");
        assert_eq!(passing(guard, &strangers, 5000), 5000);
    });
}

#[test]
fn monitor_mode_answers_and_drops_nothing() {
    scene(
        |policy| {
            policy.default = DefaultAction::Monitor;
            policy.ceiling = Ceiling::per_second(1);
        },
        |net, guard| {
            net.always_cookies();
            let _listeners = listeners(net, guard, ListenerState::Full);
            for base in sources("203.0.113.8", "2001:db8:8::1") {
                let frame = syn(base, SERVED).build();
                guard.expect_monitored("a full listener", &frame, RuleAllow);
            }
            let frame = syn(packet(), FORWARDED).build();
            for _ in 0..2 {
                guard.expect_monitored("below", &frame, RuleAllow);
            }
            guard.expect_monitored("above", &frame, Reason::Ceiling);
            guard.assert_identical();
        },
    );
}

#[test]
fn a_syn_has_no_room_to_lie_about_its_length() {
    // Frames that a driver pads: the answer has no padding.
    scene(
        |_| {},
        |net, guard| {
            if !guard.answers() {
                return;
            }
            net.always_cookies();
            let _listeners = listeners(net, guard, ListenerState::Full);
            let mut frame = syn(packet(), SERVED).build();
            assert_eq!(frame.len(), LINK + 40);
            frame.resize(LINK + 46, 0xaa);
            let answer = guard.answer("padded", &frame);
            assert_answers("padded", &frame, &answer, false);
        },
    );
}
