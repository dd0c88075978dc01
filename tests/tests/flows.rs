//! Answers to what this host starts pass, and nothing else does: what begins a flow, what does not, and
//! who is taken for its other end.

use guard_common::{
    abi::{
        counters::Event,
        flow::{Phase, Tuple},
        reason::Reason::{self, *},
        service::protocol::{TCP, UDP},
    },
    packet::TcpFlags,
    testing::{packet, packet_v6, random::Random},
};
use guard_tests::{
    frames::random_frame,
    harness::Harness,
    peers::{DATA, Ends, FIN_ACK, SYN_ACK, address, both_families},
    require,
};
use guard_user::ruleset::{
    ceiling::Ceiling,
    model::Policy,
    sample::{NESTED, allow, deny, open_policy, policy},
};

fn closed() -> Option<Harness> {
    require::root().then(|| Harness::new(&Policy::default()))
}

/// Conversations that differ from this one in one thing.
fn strangers(ends: &Ends) -> [(&'static str, Ends); 5] {
    [
        (
            "another source",
            Ends {
                peer: ends.other_peer(),
                ..*ends
            },
        ),
        (
            "another source port",
            Ends {
                peer_port: ends.peer_port + 1,
                ..*ends
            },
        ),
        (
            "another port of ours",
            Ends {
                own_port: ends.own_port + 1,
                ..*ends
            },
        ),
        (
            "another address of ours",
            Ends {
                own: ends.other_own(),
                ..*ends
            },
        ),
        (
            "the ports the other way round",
            Ends {
                own_port: ends.peer_port,
                peer_port: ends.own_port,
                ..*ends
            },
        ),
    ]
}

#[test]
fn the_answers_of_a_connection_pass_and_no_others() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for flags in [SYN_ACK, TcpFlags::ACK, DATA, FIN_ACK, TcpFlags::RST] {
            guard.expect("before it begins", &ends.tcp_in(flags), DefaultDrop);
        }
        guard.sends(&ends.tcp_out(TcpFlags::SYN));
        guard.expect("SYN-ACK", &ends.tcp_in(SYN_ACK), Reply);
        guard.sends(&ends.tcp_out(TcpFlags::ACK));
        for (case, flags) in [
            ("ACK", TcpFlags::ACK),
            ("data", DATA),
            ("FIN", FIN_ACK),
            ("RST", TcpFlags::RST),
            ("RST with ACK", TcpFlags::RST | TcpFlags::ACK),
        ] {
            guard.expect(case, &ends.tcp_in(flags), Reply);
            for (case, stranger) in strangers(&ends) {
                guard.expect(case, &stranger.tcp_in(flags), DefaultDrop);
            }
        }
        guard.expect("a new connection", &ends.tcp_in(TcpFlags::SYN), DefaultDrop);
        guard.expect("another transport", &ends.udp_in(), DefaultDrop);
        guard.expect("no flags", &ends.tcp_in(0), TcpNull);
        let tagged = ends
            .back()
            .tcp_between(ends.peer_port, ends.own_port, DATA)
            .vlan(0x8100);
        guard.expect("in a VLAN", &tagged.build(), Reply);
    }
    assert_eq!(guard.living(), 2);
    assert_eq!(guard.happened(Event::SocketAsked), 0);
}

#[test]
fn the_answers_to_datagrams_pass_and_no_others() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        guard.expect("before", &ends.udp_in(), DefaultDrop);
        guard.sends(&ends.udp_out());
        let tuple = ends.tuple(UDP);
        let phase = |guard: &Harness| guard.flow(&tuple).expect("a flow").phase();
        assert_eq!(phase(&guard), Phase::OneWay);
        for (case, stranger) in strangers(&ends) {
            guard.expect(case, &stranger.udp_in(), DefaultDrop);
        }
        guard.expect("another transport", &ends.tcp_in(SYN_ACK), DefaultDrop);
        assert_eq!(phase(&guard), Phase::OneWay);
        guard.expect("the answer", &ends.udp_in(), Reply);
        assert_eq!(phase(&guard), Phase::BothWays);
        guard.sends(&ends.udp_out());
        assert_eq!(phase(&guard), Phase::BothWays);
        let behind_options = ends
            .back()
            .udp_between(ends.peer_port, ends.own_port)
            .options(&[1; 8])
            .extension(60, &[0, 1, 4, 0, 0, 0, 0]);
        guard.expect("behind options", &behind_options.build(), Reply);
    }
    assert_eq!(guard.living(), 2);
}

#[test]
fn echo_replies_pass_by_address_and_identifier() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        guard.expect("before", &ends.echo_in(), DefaultDrop);
        guard.sends(&ends.echo_out());
        guard.expect("the reply", &ends.echo_in(), Reply);
        for (case, stranger) in strangers(&ends).into_iter().take(4) {
            let reason = match case {
                // An echo has none.
                "another source port" => Reply,
                _ => DefaultDrop,
            };
            guard.expect(case, &stranger.echo_in(), reason);
        }
        let request = ends.echo(ends.back(), ends.of(8, 128));
        guard.expect("a request", &request.build(), DefaultDrop);
        let other_family = ends.back().protocol(ends.of(58, 1), &[129, 0, 0, 0, 0, 1]);
        guard.expect(
            "cut short, of the other family",
            &other_family.build(),
            Truncated,
        );
    }
    assert_eq!(guard.living(), 2);
}

#[test]
fn what_answers_or_leads_nowhere_begins_nothing() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let segment = |flags| ends.tcp_out(flags);
        let icmp = |kind| ends.echo(ends.out(), kind).build();
        let to = |group| {
            let ends = Ends {
                peer: address(group),
                ..ends
            };
            [ends.udp_out(), ends.echo_out(), ends.tcp_out(TcpFlags::SYN)]
        };
        let mut frames = vec![
            ("SYN-ACK", segment(SYN_ACK)),
            ("ACK", segment(TcpFlags::ACK)),
            ("data", segment(DATA)),
            ("RST", segment(TcpFlags::RST)),
            ("RST with ACK", segment(TcpFlags::RST | TcpFlags::ACK)),
            ("no flags", segment(0)),
            ("echo reply", icmp(ends.of(0, 129))),
            ("unreachable", icmp(ends.of(3, 1))),
            ("time exceeded", icmp(ends.of(11, 3))),
            ("parameter problem", icmp(ends.of(12, 4))),
            ("neighbour or timestamp", icmp(ends.of(13, 135))),
            ("a tunnel", ends.out().protocol(47, &[0; 32]).build()),
            (
                "a later fragment",
                ends.out()
                    .protocol(17, &[0; 32])
                    .fragment(9, false, 1)
                    .build(),
            ),
            (
                "a datagram whose length is a lie",
                ends.out().protocol(17, &[1, 2, 3, 4, 9, 9, 0, 0]).build(),
            ),
        ];
        let groups = ends.of(
            ["224.0.0.251", "239.1.2.3", "255.255.255.255"],
            ["ff02::fb", "ff05::2", "ff0e::1"],
        );
        frames.extend(
            groups
                .into_iter()
                .flat_map(to)
                .map(|frame| ("a group", frame)),
        );
        for (case, frame) in frames {
            guard.sends(&frame);
            assert_eq!(guard.living(), 0, "{case}");
        }
        assert!(guard.session_ports().contains(&ends.own_port));
    }
    let arp = packet().ether_type(0x0806).build();
    guard.sends(&arp);
    guard.sends(&[0xff; 64]);
    assert_eq!(guard.living(), 0);
    assert_eq!(guard.happened(Event::FlowCreated), 0);
    assert_eq!(guard.session_ports().len(), 1, "only the SYN-ACK marks");
}

#[test]
fn answers_of_an_open_service_begin_nothing_where_a_rule_lets_the_peer_in() {
    if !require::root() {
        return;
    }
    let friends = ["198.51.100.7/32", "2001:db8:100::7/128"];
    let mut guard = Harness::new(&policy([
        deny()
            .udp(5300)
            .from("198.51.100.6")
            .from("2001:db8:100::6"),
        allow().udp(53),
        allow().udp(5300),
        allow().udp(123).from(friends[0]).from(friends[1]),
        allow().tcp(22),
        allow().udp(69).on("eth0"),
        allow().protocol(1),
        allow().protocol(58),
    ]));
    for ends in both_families() {
        let from = |own_port, peer| Ends {
            own_port,
            peer,
            ..ends
        };
        let table = [
            ("open to all", 53, ends.peer, false),
            ("open to this peer", 123, ends.peer, false),
            ("open to another", 123, ends.other_peer(), true),
            ("open to all but this one", 5300, ends.other_peer(), true),
            ("open to all but another", 5300, ends.peer, false),
            ("open on another interface", 69, ends.peer, true),
            ("closed", 54, ends.peer, true),
        ];
        for (case, port, peer, begins) in table {
            let ends = from(port, peer);
            guard.sends(&ends.udp_out());
            assert_eq!(guard.knows(&ends.tuple(UDP)), begins, "{case}");
        }
        guard.sends(&ends.echo_out());
        assert!(!guard.knows(&ends.tuple(ends.icmp())), "echo");
        let ssh = from(22, ends.peer);
        guard.sends(&ssh.tcp_out(TcpFlags::SYN));
        // Its answer is no segment that anybody may send, although the rule lets it in.
        assert!(
            guard.knows(&ssh.tuple(TCP)),
            "a connection from an open port"
        );
    }
    assert_eq!(guard.session_ports(), [].into());
    assert_eq!(guard.happened(Event::FlowCreated), 10);
}

#[test]
fn what_arrives_makes_no_entry_and_marks_no_port() {
    const FRAMES: usize = 100_000;
    const AT_A_TIME: usize = 5_000;
    if !require::root() {
        return;
    }
    let mut random = Random::new(77);
    let services = [allow().tcp(22), allow().udp(53), allow().ping()];
    // What a ceiling counts is of no interest here.
    let mut guard = Harness::new(&Policy {
        ceiling: Ceiling::Off,
        ..policy(services)
    });
    let empty = guard.snapshot();
    let is_untouched = |guard: &Harness| {
        let now = guard.snapshot();
        now.has_flows_of(&empty)
    };
    for _ in 0..FRAMES / AT_A_TIME {
        for _ in 0..AT_A_TIME {
            let frame = random_frame(&mut random, &NESTED);
            guard.verdict(&frame, None).expect("runs");
        }
        // Pings have a limit, which the model has not seen.
        guard.forget_meters();
        assert!(is_untouched(&guard));
    }
    assert_eq!(guard.living(), 0);
    // The same look notices a single entry.
    let datagram = both_families()[0].udp_out();
    guard.kernel_sends(&datagram).expect("goes out");
    assert!(!is_untouched(&guard));
}

#[test]
fn the_rest_of_a_fragmented_answer_passes() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let part = |offset, more, id| {
            let part = ends.back().protocol(17, &[0xee; 64]);
            part.fragment(offset, more, id).build()
        };
        let first = |ends: &Ends, id| {
            let first = ends.back().udp_between(ends.peer_port, ends.own_port);
            first.payload(1400).fragment(0, true, id).build()
        };
        guard.expect("of nothing", &first(&ends, 5), DefaultDrop);
        guard.expect("the rest of nothing", &part(176, false, 5), Fragment);
        let out = ends.out().udp_between(ends.own_port, ends.peer_port);
        guard.sends(&out.payload(1400).fragment(0, true, 4).build());
        guard.expect("the answer", &first(&ends, 6), Reply);
        guard.expect("its rest", &part(176, true, 6), FragmentRest);
        guard.expect("its end", &part(352, false, 6), FragmentRest);
        guard.expect("of another datagram", &part(176, false, 7), FragmentEarly);
        let (_, stranger) = strangers(&ends)[0];
        guard.expect("of a stranger", &first(&stranger, 8), DefaultDrop);
        let rest = stranger.back().protocol(17, &[0xee; 64]);
        guard.expect("its rest", &rest.fragment(176, false, 8).build(), Fragment);

        let echo = ends.echo(ends.out(), ends.of(8, 128));
        guard.sends(&echo.payload(1400).fragment(0, true, 4).build());
        let reply = ends.echo(ends.back(), ends.of(0, 129));
        let reply = reply.payload(1400).fragment(0, true, 9).build();
        guard.expect("an echo reply", &reply, Reply);
        let rest = ends.back().protocol(ends.icmp(), &[0; 64]);
        guard.expect(
            "its rest",
            &rest.fragment(176, false, 9).build(),
            FragmentRest,
        );

        guard.sends(&ends.tcp_out(TcpFlags::SYN));
        let segment = ends
            .back()
            .tcp_between(ends.peer_port, ends.own_port, SYN_ACK)
            .fragment(0, true, 10);
        guard.expect("a segment", &segment.build(), Reply);
        let rest = ends.back().protocol(6, &[0; 64]).fragment(3, false, 10);
        guard.expect("TCP is never continued", &rest.build(), Fragment);
    }
}

#[test]
fn rules_do_not_cut_what_this_host_began() {
    if !require::root() {
        return;
    }
    let policies = [
        ("a deny rule for the source", {
            policy([deny().from("198.51.100.0/24").from("2001:db8:100::/64")])
        }),
        ("a deny rule for the port", {
            policy([deny().tcp(40_001), deny().udp(40_001), allow().tcp(22)])
        }),
        ("a rule for others", {
            let others = allow().from("10.0.0.0/8").from("fd00::/8");
            policy([others, deny().tcp(40_001).from("198.51.100.7")])
        }),
        ("a default of allow", {
            open_policy([deny().tcp(40_001), deny().udp(40_001)])
        }),
    ];
    for (case, policy) in policies {
        let mut guard = Harness::new(&policy);
        for ends in both_families() {
            let before = guard.model(&ends.tcp_in(SYN_ACK)).verdict.reason;
            assert!(before != Reply, "{case}");
            guard.expect(case, &ends.tcp_in(SYN_ACK), before);
            guard.sends(&ends.tcp_out(TcpFlags::SYN));
            guard.sends(&ends.udp_out());
            let reply = |reason: Reason| {
                if reason == DefaultAllow {
                    reason
                } else {
                    Reply
                }
            };
            guard.expect(case, &ends.tcp_in(SYN_ACK), reply(before));
            let (udp, before) = (ends.udp_in(), before);
            guard.expect(case, &udp, reply(before));
            let syn = guard.model(&ends.tcp_in(TcpFlags::SYN)).verdict.reason;
            assert!(syn == DefaultDrop || syn == RuleDeny, "{case}: {syn:?}");
            guard.expect(case, &ends.tcp_in(TcpFlags::SYN), syn);
        }
    }
}

#[test]
fn an_address_of_ours_never_answers() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let to_self = Ends {
            peer: ends.own,
            ..ends
        };
        guard.sends(&to_self.tcp_out(TcpFlags::SYN));
        guard.sends(&to_self.udp_out());
        guard.sends(&to_self.echo_out());
        guard.expect("a segment", &to_self.tcp_in(SYN_ACK), OwnSource);
        guard.expect("a datagram", &to_self.udp_in(), OwnSource);
        guard.expect("an echo", &to_self.echo_in(), OwnSource);
    }
}

#[test]
fn flows_outlive_a_change_of_policy() {
    if !require::root() {
        return;
    }
    // Also those that began when everything was allowed.
    let first = [open_policy([]), policy([allow().tcp(22)])];
    for before in first {
        let mut guard = Harness::new(&before);
        for ends in both_families() {
            guard.sends(&ends.tcp_out(TcpFlags::SYN));
            guard.sends(&ends.tcp_out(TcpFlags::ACK));
            guard.sends(&ends.udp_out());
        }
        guard.apply(&policy([deny().from("0.0.0.0/0").from("::/0")]));
        for ends in both_families() {
            guard.expect("a connection", &ends.tcp_in(DATA), Reply);
            guard.expect("datagrams", &ends.udp_in(), Reply);
            let (_, stranger) = strangers(&ends)[0];
            guard.expect("a stranger", &stranger.tcp_in(DATA), RuleDeny);
        }
        guard.apply(&before);
        assert_eq!(guard.living(), 4);
    }
}

#[test]
fn a_second_instance_on_the_same_maps_knows_the_flows() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        guard.sends(&ends.tcp_out(TcpFlags::SYN));
        guard.sends(&ends.udp_out());
        guard.sends(&ends.tcp_out(SYN_ACK));
    }
    let ports = guard.session_ports();
    let mut guard = guard.loaded_again();
    for ends in both_families() {
        guard.expect("a connection", &ends.tcp_in(SYN_ACK), Reply);
        guard.expect("datagrams", &ends.udp_in(), Reply);
        let (_, stranger) = strangers(&ends)[1];
        guard.expect("a stranger", &stranger.udp_in(), DefaultDrop);
    }
    assert_eq!(guard.session_ports(), ports);
    assert_eq!(guard.living(), 4);
}

#[test]
fn the_families_are_kept_apart() {
    let Some(mut guard) = closed() else { return };
    // The low 32 bits of this IPv6 address are the host's IPv4 address.
    let tuple = |local: &str, remote: &str| Tuple {
        remote: address(remote).into(),
        local: address(local).into(),
        remote_port: 53,
        local_port: 5353,
        protocol: UDP,
    };
    let v4 = Ends {
        own_port: 5353,
        peer_port: 53,
        ..both_families()[0]
    };
    guard.sends(&v4.udp_out());
    assert!(guard.knows(&tuple("192.0.2.1", "198.51.100.7")));
    assert!(!guard.knows(&tuple("::c000:201", "::c633:6407")));
    let look_alike = packet_v6()
        .from("::c633:6407")
        .to("::c000:201")
        .udp_between(53, 5353);
    guard.expect("an embedded address", &look_alike.build(), DefaultDrop);
}
