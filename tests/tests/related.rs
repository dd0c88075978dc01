//! ICMP errors pass when they are about something that this host can have sent, and only then
//! (acceptance A8): path MTU discovery works, and nobody else can end our sessions.

use guard_common::{
    abi::{
        counters::Event,
        reason::Reason::{self, *},
    },
    packet::TcpFlags,
    testing::PacketBuilder,
};
use guard_tests::{
    harness::Harness,
    peers::{DATA, ETHERNET, Ends, SYN_ACK, both_families},
    require,
};
use guard_user::ruleset::{
    model::Policy,
    sample::{allow, deny, policy},
};

/// Everything that a router may quote.
const WHOLE: usize = 1000;

fn guard_with(policy: &Policy) -> Option<Harness> {
    require::root().then(|| Harness::new(policy))
}

fn closed() -> Option<Harness> {
    guard_with(&Policy::default())
}

/// The errors of a family.
fn kinds(ends: &Ends) -> Vec<(u8, u8)> {
    ends.of(
        vec![
            (3, 0),
            (3, 1),
            (3, 3),
            (3, 4),
            (3, 13),
            (11, 0),
            (11, 1),
            (12, 0),
        ],
        vec![(1, 0), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1)],
    )
}

/// The error that stops path MTU discovery when it is lost.
fn too_big(ends: &Ends) -> (u8, u8) {
    ends.of((3, 4), (2, 0))
}

/// Conversations of all three kinds, with a packet of ours that an error may be about.
fn begin(guard: &mut Harness, ends: &Ends) -> [Vec<u8>; 3] {
    guard.sends(&ends.tcp_out(TcpFlags::SYN));
    guard.sends(&ends.udp_out());
    guard.sends(&ends.echo_out());
    [ends.tcp_out(DATA), ends.udp_out(), ends.echo_out()]
}

#[test]
fn an_error_about_a_flow_passes_whoever_sends_it() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for kind in kinds(&ends) {
            for ours in [ends.tcp_out(DATA), ends.udp_out(), ends.echo_out()] {
                let error = ends.error(kind, &ours, WHOLE);
                guard.expect("about nothing", &error.build(), IcmpUnrelated);
            }
        }
        let ours = begin(&mut guard, &ends);
        for kind in kinds(&ends) {
            for ours in &ours {
                let error = ends.error(kind, ours, WHOLE);
                guard.expect("of a router", &error.build(), IcmpRelated);
                let of_peer = error.clone().from_ip(ends.peer);
                guard.expect("of the peer", &of_peer.build(), IcmpRelated);
                let tagged = error.clone().vlan(0x8100).vlan(0x8100);
                guard.expect("in two VLANs", &tagged.build(), IcmpRelated);
                let behind = error.options(&[1; 12]);
                guard.expect("behind options", &behind.build(), IcmpRelated);
            }
        }
    }
}

#[test]
fn an_error_about_a_conversation_that_differs_in_one_thing_does_not() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        begin(&mut guard, &ends);
        let others = [
            (
                "another peer",
                Ends {
                    peer: ends.other_peer(),
                    ..ends
                },
                true,
            ),
            (
                "another port of the peer",
                Ends {
                    peer_port: ends.peer_port + 1,
                    ..ends
                },
                // An echo has no such port.
                false,
            ),
            (
                "another port of ours",
                Ends {
                    own_port: ends.own_port + 1,
                    ..ends
                },
                true,
            ),
            (
                "another address of ours",
                Ends {
                    own: ends.other_own(),
                    ..ends
                },
                true,
            ),
        ];
        for (case, other, has_echo) in others {
            for theirs in [other.tcp_out(DATA), other.udp_out()] {
                let error = other.error(too_big(&ends), &theirs, WHOLE);
                guard.expect(case, &error.build(), IcmpUnrelated);
                // Sent to the address that does have the flow.
                guard.expect(case, &error.to_ip(ends.own).build(), IcmpUnrelated);
            }
            let echo = other.error(too_big(&ends), &other.echo_out(), WHOLE);
            let reason = if has_echo { IcmpUnrelated } else { IcmpRelated };
            guard.expect(case, &echo.build(), reason);
        }
        // About the right packet, but told to another address of ours.
        let error = ends.error(too_big(&ends), &ends.udp_out(), WHOLE);
        let elsewhere = error.to_ip(ends.other_own());
        guard.expect("to another address", &elsewhere.build(), IcmpUnrelated);
        // What the peer sent is not what we sent.
        for theirs in [ends.tcp_in(SYN_ACK), ends.udp_in(), ends.echo_in()] {
            let error = ends.error(too_big(&ends), &theirs, WHOLE);
            guard.expect("about what arrived", &error.build(), IcmpUnrelated);
        }
    }
}

#[test]
fn an_error_about_an_answer_of_an_open_service_passes() {
    let service = |port| {
        let friends = allow()
            .udp(port)
            .from("198.51.100.7")
            .from("2001:db8:100::7");
        [allow().tcp(port), friends]
    };
    let Some(mut guard) = guard_with(&policy(service(40_001))) else {
        return;
    };
    for ends in both_families() {
        let error = |ends: &Ends, about: &[u8]| ends.error(too_big(ends), about, WHOLE).build();
        guard.expect("TCP", &error(&ends, &ends.tcp_out(DATA)), IcmpRelated);
        guard.sends(&ends.udp_out());
        guard.expect("UDP", &error(&ends, &ends.udp_out()), IcmpRelated);
        let other = Ends {
            peer: ends.other_peer(),
            ..ends
        };
        guard.expect(
            "open to all",
            &error(&other, &other.tcp_out(DATA)),
            IcmpRelated,
        );
        guard.expect(
            "open to another",
            &error(&other, &other.udp_out()),
            IcmpUnrelated,
        );
        let closed = Ends {
            own_port: 40_002,
            ..ends
        };
        guard.expect(
            "closed",
            &error(&closed, &closed.tcp_out(DATA)),
            IcmpUnrelated,
        );
        guard.expect("an echo", &error(&ends, &ends.echo_out()), IcmpUnrelated);
    }
    assert_eq!(guard.living(), 0);
    assert_eq!(guard.happened(Event::SocketAsked), 0);
}

#[test]
fn a_quotation_that_is_cut_short_is_about_nothing() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for ours in begin(&mut guard, &ends) {
            // The IP header and the eight bytes that every error quotes at least.
            let least = ends.of(20, 40) + 8;
            for bytes in 0..ours.len() - ETHERNET {
                let error = ends.error(too_big(&ends), &ours, bytes).build();
                let reason = if bytes < least {
                    IcmpUnrelated
                } else {
                    IcmpRelated
                };
                guard.expect(&format!("{bytes} bytes"), &error, reason);
            }
            // What follows the packet in the frame is no part of it.
            let mut error = ends.error(too_big(&ends), &ours, least - 1).build();
            error.extend([ours[ETHERNET + least - 1]; 9]);
            guard.expect("padding of the link", &error, IcmpUnrelated);
        }
    }
}

#[test]
fn a_quoted_header_is_read_with_its_options() {
    let Some(mut guard) = closed() else { return };
    let [v4, v6] = both_families();
    let options = |len: usize| {
        let out = v4.out().udp_between(v4.own_port, v4.peer_port);
        out.payload(8).options(&vec![1; len]).build()
    };
    begin(&mut guard, &v4);
    for len in (0..=40).step_by(4) {
        for (bytes, reason) in [(20 + len + 8, IcmpRelated), (20 + len + 7, IcmpUnrelated)] {
            let error = v4.error((3, 4), &options(len), bytes);
            guard.expect(&format!("{len}"), &error.build(), reason);
        }
    }
    let ours = v4.udp_out();
    let changed = |at: usize, byte: u8| {
        let mut frame = ours.clone();
        frame[ETHERNET + at] = byte;
        v4.error((3, 4), &frame, WHOLE).build()
    };
    for (case, at, byte) in [
        ("a header that is too short", 0, 0x44),
        ("no header at all", 0, 0x40),
        ("a header behind the end", 0, 0x4f),
        ("another version", 0, 0x65),
        ("a later fragment", 7, 1),
        ("another protocol", 9, 47),
    ] {
        guard.expect(case, &changed(at, byte), IcmpUnrelated);
    }
    guard.expect("more fragments", &changed(6, 0x20), IcmpRelated);
    guard.expect("not to be fragmented", &changed(6, 0x40), IcmpRelated);

    begin(&mut guard, &v6);
    let out = v6.out().udp_between(v6.own_port, v6.peer_port).payload(8);
    let quoting = |frame: &PacketBuilder, bytes| v6.error((2, 0), &frame.build(), bytes).build();
    let first = out.clone().fragment(0, true, 5);
    guard.expect("a first fragment", &quoting(&first, 56), IcmpRelated);
    guard.expect("cut short", &quoting(&first, 55), IcmpUnrelated);
    guard.expect(
        "in its fragment header",
        &quoting(&first, 44),
        IcmpUnrelated,
    );
    let later = out.clone().fragment(1, false, 5);
    guard.expect("a later fragment", &quoting(&later, 64), IcmpUnrelated);
    let behind = out.extension(60, &[0, 1, 4, 0, 0, 0, 0]);
    guard.expect("options", &quoting(&behind, 64), IcmpUnrelated);
    let mut version = v6.udp_out();
    version[ETHERNET] = 0x45;
    let error = v6.error((2, 0), &version, WHOLE);
    guard.expect("another version", &error.build(), IcmpUnrelated);
}

#[test]
fn a_quoted_address_of_the_other_family_is_about_nothing() {
    let Some(mut guard) = closed() else { return };
    let [v4, _] = both_families();
    guard.sends(&v4.udp_out());
    // The lower 32 bits of this address of ours are the IPv4 address of the flow, and the quoted
    // destination is the peer's, mapped: on no wire, and not this conversation.
    let disguised = Ends {
        own: guard_tests::peers::address("2001:db8::c000:201"),
        peer: guard_tests::peers::address("2001:db8::c633:6407"),
        ..v4
    };
    let mut ours = disguised.udp_out();
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 7];
    ours[ETHERNET + 24..ETHERNET + 40].copy_from_slice(&mapped);
    let error = disguised.error((1, 4), &ours, WHOLE);
    guard.expect("a mapped address", &error.build(), IcmpUnrelated);
}

#[test]
fn what_is_no_error_is_believed_in_nothing() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        begin(&mut guard, &ends);
        let others: Vec<(&str, (u8, u8), Reason)> = ends.of(
            vec![
                ("source quench", (4, 0), DefaultDrop),
                ("redirect", (5, 1), IcmpRedirect),
                ("timestamp", (13, 0), DefaultDrop),
                ("address mask", (17, 0), DefaultDrop),
                ("a type of the other family", (1, 0), DefaultDrop),
            ],
            vec![
                ("type 0", (0, 0), DefaultDrop),
                ("a private error", (100, 0), DefaultDrop),
                ("a reserved error", (127, 0), DefaultDrop),
                ("redirect", (137, 0), IcmpRedirect),
                ("a type of the other family", (11, 0), DefaultDrop),
            ],
        );
        for (case, kind, reason) in others {
            let frame = ends.error(kind, &ends.udp_out(), WHOLE);
            guard.expect(case, &frame.build(), reason);
        }
        // An error about an error, and about a reply of ours, is never sent.
        let ours = ends.error(too_big(&ends), &ends.udp_in(), WHOLE);
        let ours = ours.from_ip(ends.own).to_ip(ends.peer).build();
        let error = ends.error(too_big(&ends), &ours, WHOLE);
        guard.expect("about an error", &error.build(), IcmpUnrelated);
        let reply = ends.echo(ends.out(), ends.of(0, 129)).build();
        let error = ends.error(too_big(&ends), &reply, WHOLE);
        guard.expect("about an echo reply", &error.build(), IcmpUnrelated);
        // The ICMP of the other family says nothing in this one.
        let whole = ends.error(too_big(&ends), &ends.udp_out(), WHOLE).build();
        let message = &whole[ETHERNET + ends.of(20, 40)..];
        let other = ends.back().protocol(ends.of(58, 1), message);
        guard.expect("the other ICMP", &other.build(), DefaultDrop);
    }
}

#[test]
fn an_error_in_parts_is_no_error() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        begin(&mut guard, &ends);
        let error = ends.error(too_big(&ends), &ends.udp_out(), WHOLE);
        let first = error.clone().fragment(0, true, 3).build();
        guard.expect("the first part", &first, DefaultDrop);
        let later = error.fragment(2, false, 3).build();
        guard.expect("the rest", &later, Fragment);
    }
}

#[test]
fn rules_may_let_errors_in_and_do_not_keep_related_ones_out() {
    let router = deny().from("203.0.113.254").from("2001:db8:ffff::1");
    let Some(mut guard) = guard_with(&policy([router])) else {
        return;
    };
    for ends in both_families() {
        let about = |ours: &[u8]| ends.error(too_big(&ends), ours, WHOLE).build();
        guard.expect("of a denied router", &about(&ends.udp_out()), RuleDeny);
        for ours in begin(&mut guard, &ends) {
            guard.expect("about a flow", &about(&ours), IcmpRelated);
        }
    }
    let mut guard = Harness::new(&policy([allow().protocol(1), allow().protocol(58)]));
    for ends in both_families() {
        for kind in kinds(&ends) {
            let error = ends.error(kind, &ends.udp_out(), WHOLE);
            guard.expect("about nothing", &error.build(), RuleAllow);
        }
    }
}

#[test]
fn a_source_that_no_sender_has_tells_nothing() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for ours in begin(&mut guard, &ends) {
            let error = ends.error(too_big(&ends), &ours, WHOLE);
            let martian = error.clone().from(ends.of("127.0.0.1", "::1"));
            guard.expect("from loopback", &martian.build(), MartianSource);
            let forged = error.from_ip(ends.own);
            guard.expect("from an address of ours", &forged.build(), OwnSource);
        }
    }
}

/// Whoever told of a small path to a peer that this host never sent to would set the size of packets to there.
#[test]
fn an_error_about_an_open_udp_port_needs_a_peer_that_this_host_has_sent_to() {
    const OPEN: u16 = 5353;
    let Some(mut guard) = guard_with(&policy([allow().udp(OPEN)])) else {
        return;
    };
    for ends in both_families() {
        let ends = Ends {
            own_port: OPEN,
            ..ends
        };
        let answer = ends.udp_out();
        let error = ends.error(too_big(&ends), &answer, WHOLE);
        guard.expect("never sent to", &error.build(), IcmpUnrelated);
        guard.sends(&answer);
        let error = ends.error(too_big(&ends), &answer, WHOLE);
        guard.expect("sent to", &error.build(), IcmpRelated);
        let other = Ends {
            peer: ends.other_peer(),
            ..ends
        };
        let error = other.error(too_big(&ends), &other.udp_out(), WHOLE);
        guard.expect("somebody else", &error.build(), IcmpUnrelated);
        guard.wait_ticks(181);
        let error = ends.error(too_big(&ends), &answer, WHOLE);
        guard.expect("three minutes later", &error.build(), IcmpUnrelated);
    }
}

#[test]
fn a_flood_of_errors_about_nothing_is_looked_into_as_far_as_a_ceiling_and_keeps_none_out_that_is_about_a_flow()
 {
    const BURST: usize = 2000;
    let Some(mut guard) = closed() else { return };
    let ends = both_families()[0];
    guard.sends(&ends.udp_out());
    let error = ends.error(too_big(&ends), &ends.udp_out(), WHOLE).build();
    let other = Ends {
        peer: ends.other_peer(),
        ..ends
    };
    let forged = other.error(too_big(&ends), &other.udp_out(), WHOLE).build();
    for _ in 0..BURST {
        guard.expect("below the ceiling", &forged, IcmpUnrelated);
    }
    for _ in 0..100 {
        guard.expect("above it", &forged, IcmpCeiling);
        guard.expect("about a flow", &error, IcmpRelated);
    }
    guard.wait_ticks(1);
    guard.expect("a second later", &forged, IcmpUnrelated);
    guard.assert_identical();
}

#[test]
fn an_error_behind_extension_headers_is_none() {
    let Some(mut guard) = closed() else { return };
    let ends = both_families()[1];
    guard.sends(&ends.udp_out());
    let error = ends.error(too_big(&ends), &ends.udp_out(), WHOLE);
    guard.expect("the plainest", &error.clone().build(), IcmpRelated);
    let behind = error.extension(60, &[0, 1, 4, 0, 0, 0, 0]);
    guard.expect("behind options", &behind.build(), IcmpUnrelated);
}

/// Whoever asks all hosts of a link is answered by addresses that no flow knows.
#[test]
fn answers_to_a_question_to_a_group_pass_when_a_rule_opens_that_port() {
    const PORTS: [(u16, u16); 2] = [(5353, 5353), (1900, 40_999)];
    let opened = |port| {
        let near = allow().udp(port).from("198.51.100.0/24");
        near.from("2001:db8:100::/64")
    };
    let near = policy(PORTS.map(|(port, _)| opened(port)));
    let (Some(mut guard), Some(mut without)) = (guard_with(&near), closed()) else {
        return;
    };
    for ends in both_families() {
        for (port, from) in PORTS {
            let group = ends.of("239.255.255.250", "ff02::fb");
            let question = ends.out().to(group).udp_between(ends.own_port, port);
            let question = question.payload(32).build();
            let answer = |ends: &Ends| {
                let back = ends.back().udp_between(from, ends.own_port);
                back.payload(32).build()
            };
            guard.expect("before it asks", &answer(&ends), DefaultDrop);
            guard.sends(&question);
            without.sends(&question);
            guard.expect("of a neighbour", &answer(&ends), Reply);
            guard.expect("once more", &answer(&ends), Reply);
            without.expect("no rule opens the port", &answer(&ends), DefaultDrop);
            let stranger = Ends {
                peer: ends.router(),
                ..ends
            };
            guard.expect("whom no rule names", &answer(&stranger), DefaultDrop);
            let other = Ends {
                own_port: ends.own_port + 1,
                ..ends
            };
            guard.expect("to another port", &answer(&other), DefaultDrop);
            guard.wait_ticks(31);
            guard.expect("half a minute later", &answer(&ends), DefaultDrop);
        }
    }
    guard.assert_identical();
}
