//! Fragments (acceptance A14): the rest of a datagram follows its accepted first part, except where
//! it could change what was evaluated.

use guard_common::{
    abi::reason::Reason::*,
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::Harness,
    peers::{Ends, both_families},
    require,
};
use guard_user::ruleset::sample::{allow, deny, policy};

fn guard() -> Option<Harness> {
    require::root()
        .then(|| Harness::new(&policy([allow().tcp(22), allow().udp(53), allow().ping()])))
}

fn bases() -> [PacketBuilder; 2] {
    [packet(), packet_v6()]
}

/// A later part of a UDP datagram.
fn rest(base: &PacketBuilder, offset: u16, more: bool, id: u32) -> PacketBuilder {
    base.clone()
        .protocol(17, &[0xee; 64])
        .fragment(offset, more, id)
}

#[test]
fn the_rest_of_an_accepted_datagram_passes() {
    let Some(mut guard) = guard() else { return };
    for (base, id) in bases().into_iter().zip([100, 0x0001_0064]) {
        let first = base.clone().udp(53).payload(1400).fragment(0, true, id);
        guard.expect(
            "before the first",
            &rest(&base, 176, true, id).build(),
            Fragment,
        );
        guard.expect("the first", &first.build(), RuleAllow);
        guard.expect(
            "the second",
            &rest(&base, 176, true, id).build(),
            FragmentRest,
        );
        guard.expect(
            "the last",
            &rest(&base, 352, false, id).build(),
            FragmentRest,
        );
        guard.expect(
            "the second again",
            &rest(&base, 176, true, id).build(),
            FragmentRest,
        );
        guard.expect(
            "tagged",
            &rest(&base, 176, true, id).vlan(0x8100).build(),
            FragmentRest,
        );
    }
}

/// A datagram of 65 535 bytes in pieces of 576, which is the most that an honest sender has, and then a flood of one of
/// them.
#[test]
fn no_more_fragments_follow_than_a_datagram_has() {
    let Some(mut guard) = guard() else { return };
    for (base, id) in bases().into_iter().zip([100, 0x0001_0064]) {
        let first = base.clone().udp(53).payload(544).fragment(0, true, id);
        guard.expect("the first", &first.build(), RuleAllow);
        let parts = (1..=118).map(|part| rest(&base, part * 69, part < 118, id).build());
        assert_eq!(guard.passing_but(parts, FragmentRest, Fragment), 118);
        let again = (0..1000).map(|_| rest(&base, 69, true, id).build());
        assert_eq!(guard.passing_but(again, FragmentRest, Fragment), 128 - 118);
        guard.expect("the first again", &first.build(), RuleAllow);
        let again = (0..1000).map(|_| rest(&base, 69, true, id).build());
        assert_eq!(guard.passing_but(again, FragmentRest, Fragment), 128);
    }
}

#[test]
fn the_rest_of_an_accepted_ping_passes() {
    let Some(mut guard) = guard() else { return };
    for (base, kind, number) in [(packet(), 8, 1), (packet_v6(), 128, 58)] {
        let first = base
            .clone()
            .icmp(kind, 0)
            .payload(1400)
            .fragment(0, true, 7);
        let later = base.protocol(number, &[0; 64]).fragment(176, false, 7);
        guard.expect("first", &first.build(), RuleAllow);
        guard.expect("later", &later.build(), FragmentRest);
    }
}

#[test]
fn what_differs_in_one_thing_is_another_datagram() {
    let Some(mut guard) = guard() else { return };
    for (base, neighbour) in bases().into_iter().zip(["198.51.100.8", "2001:db8:100::8"]) {
        let id = 4711;
        let first = base.clone().udp(53).payload(1400).fragment(0, true, id);
        guard.expect("the first", &first.build(), RuleAllow);
        let later = rest(&base, 176, false, id);
        for (case, frame) in [
            ("another identification", rest(&base, 176, false, id + 1)),
            ("another source", later.clone().from(neighbour)),
            ("another destination", later.clone().to(neighbour)),
            (
                "another protocol",
                base.clone().protocol(47, &[0; 64]).fragment(176, false, id),
            ),
            (
                "TCP",
                base.clone().protocol(6, &[0; 64]).fragment(176, false, id),
            ),
        ] {
            guard.expect(case, &frame.build(), Fragment);
        }
        guard.expect("all the same", &later.build(), FragmentRest);
    }
}

#[test]
fn the_upper_half_of_an_ipv6_identification_counts() {
    let Some(mut guard) = guard() else { return };
    let first = packet_v6()
        .udp(53)
        .payload(1400)
        .fragment(0, true, 0x0001_0005);
    guard.expect("the first", &first.build(), RuleAllow);
    guard.expect(
        "the same lower half",
        &rest(&packet_v6(), 176, false, 5).build(),
        Fragment,
    );
}

#[test]
fn the_rest_of_a_refused_datagram_is_refused() {
    let Some(mut guard) = guard() else { return };
    for base in bases() {
        let first = base.clone().udp(54).payload(1400).fragment(0, true, 9);
        guard.expect("the first", &first.build(), DefaultDrop);
        guard.expect("the rest", &rest(&base, 176, false, 9).build(), Fragment);
    }
    let mut guard = Harness::new(&policy([deny().udp(53)]));
    for base in bases() {
        let first = base.clone().udp(53).payload(1400).fragment(0, true, 9);
        guard.expect("denied", &first.build(), RuleDeny);
        guard.expect("the rest", &rest(&base, 176, false, 9).build(), Fragment);
    }
}

#[test]
fn tcp_is_never_continued() {
    let Some(mut guard) = guard() else { return };
    for base in bases() {
        let first = base
            .clone()
            .tcp(22, TcpFlags::SYN)
            .payload(100)
            .fragment(0, true, 3);
        guard.expect(
            "a whole header in the first part",
            &first.build(),
            RuleAllow,
        );
        for (case, offset) in [
            ("over the flags", 1),
            ("over the end of the header", 2),
            ("behind the header", 3),
            ("far behind", 800),
            ("at the end of the world", 0x1fff),
        ] {
            let later = base
                .clone()
                .protocol(6, &[0xff; 32])
                .fragment(offset, false, 3);
            guard.expect(case, &later.build(), Fragment);
        }
    }
}

#[test]
fn a_first_part_holds_its_whole_transport_header() {
    let Some(mut guard) = guard() else { return };
    let syn = packet().tcp(22, TcpFlags::SYN).build();
    let tcp = &syn[34..];
    let udp = [156, 64, 0, 53, 0, 100, 0, 0];
    for base in bases() {
        let part = |number, bytes: &[u8]| {
            base.clone()
                .protocol(number, bytes)
                .fragment(0, true, 1)
                .build()
        };
        for len in 0..20 {
            guard.expect("TCP", &part(6, &tcp[..len]), TinyFragment);
        }
        guard.expect("all of TCP", &part(6, tcp), RuleAllow);
        for len in 0..8 {
            guard.expect("UDP", &part(17, &udp[..len]), TinyFragment);
        }
        guard.expect("all of UDP", &part(17, &udp), RuleAllow);
        let mut options = tcp.to_vec();
        options[12] = 10 << 4;
        guard.expect("TCP without its options", &part(6, &options), TinyFragment);
    }
    for len in 0..8 {
        let ping = packet()
            .protocol(1, &[8, 0, 0, 0, 0, 0, 0, 0][..len])
            .fragment(0, true, 1);
        guard.expect("ping", &ping.build(), TinyFragment);
    }
}

#[test]
fn an_extension_chain_ends_in_the_first_part() {
    let Some(mut guard) = guard() else { return };
    let rest = [0, 0, 0, 1, 0, 0, 0, 1];
    // The fragment header announces destination options that lie in the next part.
    let cut = packet_v6()
        .protocol(60, &[6, 0, 1][..])
        .fragment(0, true, 1);
    guard.expect("inside an extension", &cut.build(), TinyFragment);
    let none = packet_v6().protocol(60, &[]).fragment(0, true, 1);
    guard.expect("before an extension", &none.build(), TinyFragment);
    let whole = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &rest].concat();
    let tiny = packet_v6().protocol(60, &whole).fragment(0, true, 1);
    guard.expect(
        "inside TCP behind an extension",
        &tiny.build(),
        TinyFragment,
    );
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let Some(mut guard) = guard() else { return };
    for (port, reason) in [(22, RuleAllow), (23, DefaultDrop)] {
        let frame = packet_v6().tcp(port, TcpFlags::SYN).fragment(0, false, 8);
        guard.expect("TCP", &frame.build(), reason);
    }
    let atomic = packet_v6().udp(53).fragment(0, false, 8);
    guard.expect("UDP", &atomic.build(), RuleAllow);
    guard.expect(
        "it vouches for nothing",
        &rest(&packet_v6(), 1, false, 8).build(),
        Fragment,
    );
}

/// What the kernel keeps for 30 s while it waits for the rest is bounded (`ipfrag_high_thresh`).
#[test]
fn first_fragments_that_nobody_asked_for_pass_as_far_as_a_ceiling() {
    const BURST: usize = 400;
    let Some(mut guard) = guard() else { return };
    for (base, is_v4) in bases().into_iter().zip([true, false]) {
        let sources = (0..1000).map(|number: u32| {
            let [_, a, b, c] = (number << 8).to_be_bytes();
            if is_v4 {
                format!("203.{a}.{b}.{c}")
            } else {
                format!("2001:db8:{:x}::1", number + 0x1000)
            }
        });
        let firsts = sources.map(|source| {
            let first = base.clone().from(&source).udp(53).payload(1400);
            first.fragment(0, true, 5).build()
        });
        let passed = guard.passing_but(firsts, RuleAllow, FragmentCeiling);
        assert_eq!(
            passed,
            if is_v4 { BURST } else { 0 },
            "one for both families"
        );
        // What is above it is not remembered: the rest does not follow.
        let above = if is_v4 {
            "203.3.231.0"
        } else {
            "2001:db8:13e7::1"
        };
        let later = rest(&base, 176, false, 5).from(above);
        guard.expect("the rest", &later.build(), Fragment);
        guard.expect("what is whole", &base.clone().udp(53).build(), RuleAllow);
    }
    guard.wait_ticks(1);
    let base = packet().from("203.9.9.9").udp(53).payload(1400);
    guard.expect(
        "a second later",
        &base.fragment(0, true, 6).build(),
        RuleAllow,
    );
    guard.assert_identical();
}

#[test]
fn replies_in_fragments_are_under_no_ceiling() {
    let Some(mut guard) = guard() else { return };
    for ends in both_families() {
        guard.sends(&ends.udp_out());
        let back = ends.back().udp_between(ends.peer_port, ends.own_port);
        for id in 0..1000 {
            let first = back.clone().payload(1400).fragment(0, true, id);
            guard.expect("a reply", &first.build(), Reply);
        }
    }
}

/// Some hosts send the last part first. (What is held back until the first has come would be held in memory that
/// anybody could fill.)
#[test]
fn fragments_ahead_of_the_first_pass_from_whom_this_host_has_sent_to() {
    let Some(mut guard) = guard() else { return };
    for ends in both_families() {
        let early = |from: &Ends, id| {
            let part = from.back().protocol(17, &[0xee; 64]);
            part.fragment(176, false, id).build()
        };
        guard.expect("before it has", &early(&ends, 1), Fragment);
        guard.sends(&ends.udp_out());
        guard.expect("the last part", &early(&ends, 1), FragmentEarly);
        let back = ends.back().udp_between(ends.peer_port, ends.own_port);
        let first = back.payload(1400).fragment(0, true, 1);
        guard.expect("the first part", &first.build(), Reply);
        guard.expect("the last part again", &early(&ends, 1), FragmentRest);
        let other = Ends {
            peer: ends.other_peer(),
            ..ends
        };
        guard.expect("of somebody else", &early(&other, 1), Fragment);
        let of_tcp = ends.back().protocol(6, &[0xee; 64]);
        guard.expect("of TCP", &of_tcp.fragment(176, false, 1).build(), Fragment);
    }
    let ends = both_families()[0];
    let flood = (0..1000).map(|id| {
        let part = ends.back().protocol(17, &[0xee; 64]);
        part.fragment(176, false, 100 + id).build()
    });
    let passed = guard.passing_but(flood, FragmentEarly, FragmentCeiling);
    // Half of the burst, and the part of a prefix.
    assert!((190..=260).contains(&passed), "{passed}");
    guard.wait_ticks(181);
    let part = ends
        .back()
        .protocol(17, &[0xee; 64])
        .fragment(176, false, 9);
    guard.expect("three minutes later", &part.build(), Fragment);
    guard.assert_identical();
}
