//! How long flows live, what keeps them alive, and which one gives way when a bucket is full.

use guard_common::{
    abi::{
        counters::Event,
        flow::{OWN_WAYS, Phase, Tuple},
        reason::Reason::{self, *},
        service::protocol::{TCP, UDP},
    },
    packet::TcpFlags,
};
use guard_tests::{
    harness::Harness,
    peers::{DATA, Ends, FIN_ACK, SYN_ACK, both_families},
    require,
};
use guard_user::ruleset::model::Policy;

const DAY: u32 = 24 * 3600;

fn closed() -> Option<Harness> {
    require::root().then(|| Harness::new(&Policy::default()))
}

/// A conversation in this phase, with the frame that arrives in it.
fn conversation(guard: &mut Harness, ends: &Ends, phase: Phase) -> (Tuple, Vec<u8>) {
    match phase {
        Phase::SynSent => guard.sends(&ends.tcp_out(TcpFlags::SYN)),
        Phase::Open | Phase::Closing => {
            guard.sends(&ends.tcp_out(TcpFlags::SYN));
            guard.sends(&ends.tcp_out(TcpFlags::ACK));
            if phase == Phase::Closing {
                guard.sends(&ends.tcp_out(FIN_ACK));
            }
        }
        Phase::OneWay => guard.sends(&ends.udp_out()),
        Phase::BothWays => {
            guard.sends(&ends.udp_out());
            guard.expect("an answer", &ends.udp_in(), Reply);
        }
        Phase::Echo => guard.sends(&ends.echo_out()),
    }
    let (protocol, frame) = match phase {
        Phase::SynSent => (TCP, ends.tcp_in(SYN_ACK)),
        Phase::Open | Phase::Closing => (TCP, ends.tcp_in(DATA)),
        Phase::OneWay | Phase::BothWays => (UDP, ends.udp_in()),
        Phase::Echo => (ends.icmp(), ends.echo_in()),
    };
    let tuple = ends.tuple(protocol);
    let state = guard.flow(&tuple).expect("a flow");
    assert_eq!(state.phase(), phase);
    (tuple, frame)
}

const PHASES: [Phase; 6] = [
    Phase::SynSent,
    Phase::Open,
    Phase::Closing,
    Phase::OneWay,
    Phase::BothWays,
    Phase::Echo,
];

/// What becomes of a frame in kernel and model, when its flow was silent for so long.
fn after_silence(
    guard: &mut Harness,
    (tuple, phase): (&Tuple, Phase),
    frame: &[u8],
    ticks: u32,
) -> (Reason, Reason) {
    guard.was_silent(tuple, phase, ticks);
    let kernel = guard.run(frame).counted[0];
    (kernel, guard.model(frame).verdict.reason)
}

#[test]
fn a_flow_lives_to_the_end_of_its_lifetime_and_not_longer() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for phase in PHASES {
            let (tuple, frame) = conversation(&mut guard, &ends, phase);
            let lifetime = phase.lifetime();
            for (ticks, reason) in [
                (0, Reply),
                (lifetime - 1, Reply),
                (lifetime, Reply),
                (lifetime + 1, DefaultDrop),
                (lifetime + DAY, DefaultDrop),
            ] {
                let got = after_silence(&mut guard, (&tuple, phase), &frame, ticks);
                assert_eq!(got, (reason, reason), "{phase:?} after {ticks}");
            }
            // The next packet out begins it anew.
            let (_, frame) = conversation(&mut guard, &ends, phase);
            guard.expect("begun anew", &frame, Reply);
        }
    }
}

#[test]
fn lifetimes_are_those_of_the_field() {
    for (phase, seconds) in [
        (Phase::SynSent, 60),
        (Phase::Open, 8 * 3600),
        (Phase::Closing, 60),
        (Phase::OneWay, 30),
        (Phase::BothWays, 180),
        (Phase::Echo, 10),
    ] {
        assert_eq!(phase.lifetime(), seconds, "{phase:?}");
    }
}

#[test]
fn a_packet_is_noted_once_in_an_eighth_of_the_lifetime() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for phase in PHASES {
            let (tuple, arrives) = conversation(&mut guard, &ends, phase);
            let leaves = match phase {
                Phase::SynSent => ends.tcp_out(TcpFlags::SYN),
                Phase::Open | Phase::Closing => ends.tcp_out(DATA),
                Phase::OneWay | Phase::BothWays => ends.udp_out(),
                Phase::Echo => ends.echo_out(),
            };
            let due = phase.lifetime() / 8;
            // What arrives keeps nothing alive but sessions of TCP, whose segments this end answers.
            let by_arrival = match phase {
                Phase::Open | Phase::Closing => [due, 0],
                Phase::SynSent | Phase::Echo | Phase::OneWay | Phase::BothWays => [due, due + 1],
            };
            for (case, frame, is_sent, ages) in [
                ("out", &leaves, true, [due, 0]),
                ("in", &arrives, false, by_arrival),
            ] {
                for (silence, age) in [due, due + 1].into_iter().zip(ages) {
                    guard.was_silent(&tuple, phase, silence);
                    if is_sent {
                        guard.kernel_sends(frame).expect("goes out");
                        guard.model_sends(frame);
                    } else {
                        guard.verdict(frame, None).expect("runs");
                        let _ = guard.model(frame);
                    }
                    guard.drain();
                    let got = guard.flow(&tuple).expect("a flow").age(guard.ticks());
                    assert_eq!(got, age, "{phase:?} {case} after {silence}");
                    guard.assert_in_step();
                }
            }
        }
    }
}

/// Whoever forges a resolver would keep its flow open as long as he likes.
#[test]
fn a_flood_of_forged_answers_ends_three_minutes_after_the_last_question() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        guard.sends(&ends.udp_out());
        for second in 0..180 {
            guard.expect(&format!("{second} s"), &ends.udp_in(), Reply);
            guard.wait_ticks(1);
        }
        guard.expect("three minutes", &ends.udp_in(), Reply);
        guard.wait_ticks(1);
        guard.expect("a second more", &ends.udp_in(), DefaultDrop);
        guard.sends(&ends.udp_out());
        guard.expect("it asks again", &ends.udp_in(), Reply);
    }
}

#[test]
fn an_error_keeps_nothing_alive() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        for phase in [Phase::Open, Phase::OneWay] {
            let (tuple, _) = conversation(&mut guard, &ends, phase);
            let out = if phase == Phase::Open {
                ends.tcp_out(DATA)
            } else {
                ends.udp_out()
            };
            let error = ends.error(ends.of((3, 4), (2, 0)), &out, 48).build();
            guard.was_silent(&tuple, phase, phase.lifetime());
            let kernel = guard.run(&error).counted[0];
            let state = guard.flow(&tuple).expect("a flow");
            let (age, after) = (state.age(guard.ticks()), state.phase());
            assert_eq!((kernel, age, after), (IcmpRelated, phase.lifetime(), phase));
        }
    }
}

#[test]
fn only_this_end_opens_and_closes() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let tuple = ends.tuple(TCP);
        let steps = [
            (true, TcpFlags::SYN, Phase::SynSent),
            (false, SYN_ACK, Phase::SynSent),
            (false, DATA, Phase::SynSent),
            (true, TcpFlags::ACK, Phase::Open),
            (false, FIN_ACK, Phase::Open),
            (false, TcpFlags::RST, Phase::Open),
            (true, FIN_ACK, Phase::Closing),
            (true, TcpFlags::ACK, Phase::Closing),
            (false, DATA, Phase::Closing),
            (true, TcpFlags::SYN, Phase::SynSent),
            (true, TcpFlags::RST, Phase::Closing),
        ];
        for (is_sent, flags, phase) in steps {
            if is_sent {
                guard.sends(&ends.tcp_out(flags));
            } else {
                guard.expect("arrives", &ends.tcp_in(flags), Reply);
            }
            let state = guard.flow(&tuple).expect("a flow");
            assert_eq!(state.phase(), phase, "{is_sent} {flags:#x}");
        }
    }
}

/// Conversations whose flows share a bucket, over TCP and over UDP in turn.
fn of_one_bucket(guard: &Harness, ends: &Ends, count: usize) -> Vec<(Ends, u8)> {
    let wanted = guard.bucket(&ends.tuple(TCP));
    let candidates = (1024..=u16::MAX).flat_map(|own_port| {
        (0..64).map(move |port| Ends {
            own_port,
            peer_port: 2000 + port,
            ..*ends
        })
    });
    let of_protocol = |protocol: u8| {
        candidates
            .clone()
            .filter(move |other| guard.bucket(&other.tuple(protocol)) == wanted)
            .map(move |other| (other, protocol))
            .take(count.div_ceil(2))
            .collect::<Vec<_>>()
    };
    let found: Vec<_> = of_protocol(TCP)
        .into_iter()
        .zip(of_protocol(UDP))
        .flat_map(|(tcp, udp)| [tcp, udp])
        .take(count)
        .collect();
    assert_eq!(found.len(), count);
    found
}

/// Sends what begins the flow; the tuple.
fn begin(guard: &mut Harness, (ends, protocol): &(Ends, u8)) -> Tuple {
    let frame = if *protocol == TCP {
        ends.tcp_out(TcpFlags::SYN)
    } else {
        ends.udp_out()
    };
    guard.sends(&frame);
    ends.tuple(*protocol)
}

#[test]
fn the_flow_that_costs_least_gives_way() {
    use Phase::*;
    let Some(mut guard) = closed() else { return };
    // Phase and silence of a full bucket's flows (TCP and UDP in turn), and the victim's place.
    let of_tcp = [(Open, 0), (Open, 0)];
    let of_udp = [(BothWays, 0), (BothWays, 0)];
    type Case = (&'static str, [(usize, Phase, u32); 3], usize, bool);
    let cases: [Case; 7] = [
        (
            "an expired one before a one-way one",
            [(0, Open, 8 * 3600 + 1), (1, OneWay, 20), (2, SynSent, 50)],
            0,
            false,
        ),
        (
            "a one-way flow before a half-open connection",
            [(2, SynSent, 50), (3, OneWay, 0), (1, BothWays, 170)],
            3,
            true,
        ),
        (
            "the half-open one before one of both ways",
            [(2, SynSent, 0), (1, BothWays, 170), (0, Open, 20_000)],
            2,
            true,
        ),
        (
            "one that ends before one of both ways",
            [(2, Closing, 0), (1, BothWays, 170), (0, Open, 20_000)],
            2,
            true,
        ),
        (
            "one of both ways before an open connection",
            [(3, BothWays, 1), (0, Open, 20_000), (2, Open, 1)],
            3,
            true,
        ),
        (
            "of two of a kind the one that was silent for longer",
            [(3, OneWay, 5), (1, OneWay, 6), (0, Open, 4)],
            1,
            true,
        ),
        (
            "of two half-open ones the older",
            [(0, SynSent, 7), (2, SynSent, 9), (1, BothWays, 8)],
            2,
            true,
        ),
    ];
    for ends in both_families() {
        let bucket = of_one_bucket(&guard, &ends, OWN_WAYS + 2);
        for (case, changes, victim, is_eviction) in cases {
            let mut tuples = Vec::new();
            for (place, flow) in bucket.iter().take(OWN_WAYS).enumerate() {
                let tuple = begin(&mut guard, flow);
                let (phase, silence) = [of_tcp, of_udp][place % 2][place / 2];
                guard.was_silent(&tuple, phase, silence);
                tuples.push(tuple);
            }
            for (place, phase, silence) in changes {
                guard.was_silent(&tuples[place], phase, silence);
            }
            let evicted = guard.happened(Event::FlowEvicted);
            let new_flow = begin(&mut guard, &bucket[OWN_WAYS]);
            assert!(guard.knows(&new_flow), "{case}");
            for (place, tuple) in tuples.iter().enumerate() {
                let is_there = guard.flow(tuple).is_some();
                assert_eq!(is_there, place != victim, "{case}: place {place}");
            }
            let evicted = guard.happened(Event::FlowEvicted) - evicted;
            assert_eq!(evicted, u64::from(is_eviction), "{case}");
            guard.forget_flows();
        }
    }
}

#[test]
fn an_open_connection_that_gives_way_is_left_to_the_socket_table() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let bucket = of_one_bucket(&guard, &ends, OWN_WAYS + 2);
        let first = begin(&mut guard, &bucket[0]);
        for flow in &bucket[1..OWN_WAYS] {
            let tuple = begin(&mut guard, flow);
            guard.was_silent(&tuple, Phase::Open, 1);
        }
        guard.was_silent(&first, Phase::Open, 3000);
        assert!(!guard.session_ports().contains(&first.local_port));
        begin(&mut guard, &bucket[OWN_WAYS]);
        assert_eq!(guard.flow(&first), None);
        assert!(guard.session_ports().contains(&first.local_port));
        let asked = guard.happened(Event::SocketAsked);
        let (evicted, _) = bucket[0];
        guard.expect("without a socket", &evicted.tcp_in(DATA), DefaultDrop);
        assert_eq!(guard.happened(Event::SocketAsked), asked + 1);
        guard.forget_flows();
    }
}

#[test]
fn sessions_from_before_give_way_to_nothing() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let bucket = of_one_bucket(&guard, &ends, OWN_WAYS + 4);
        let kept: Vec<Tuple> = bucket[..OWN_WAYS]
            .iter()
            .map(|(ends, protocol)| ends.tuple(*protocol))
            .collect();
        for tuple in &kept {
            let phase = if tuple.protocol == TCP {
                Phase::Open
            } else {
                Phase::BothWays
            };
            assert!(guard.adopts(*tuple, phase));
        }
        let (late, protocol) = bucket[OWN_WAYS];
        assert!(!guard.adopts(late.tuple(protocol), Phase::Open), "no room");
        for flow in &bucket[OWN_WAYS..] {
            let refused = guard.happened(Event::FlowRefused);
            let tuple = begin(&mut guard, flow);
            assert!(!guard.knows(&tuple));
            assert_eq!(guard.happened(Event::FlowRefused), refused + 1);
            // A connection without a flow still has its socket; a datagram has none.
            let is_marked = guard.session_ports().contains(&tuple.local_port);
            assert_eq!(is_marked, tuple.protocol == TCP);
        }
        for (ends, protocol) in &bucket[..OWN_WAYS] {
            let frame = if *protocol == TCP {
                ends.tcp_in(DATA)
            } else {
                ends.udp_in()
            };
            guard.expect("a kept session", &frame, Reply);
        }
        // Four days of silence are nothing; after six its place is free.
        for (silence, is_free) in [(4 * DAY, false), (6 * DAY, true)] {
            guard.was_silent(&kept[0], Phase::Open, silence);
            let new_flow = begin(&mut guard, &bucket[OWN_WAYS + 1]);
            assert_eq!(guard.knows(&new_flow), is_free, "{silence}");
        }
        guard.forget_flows();
    }
}

#[test]
fn a_session_from_before_that_is_not_listed_any_more_gives_way_like_any_other() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let bucket = of_one_bucket(&guard, &ends, OWN_WAYS + 1);
        let kept: Vec<Tuple> = bucket[..OWN_WAYS]
            .iter()
            .map(|(ends, protocol)| ends.tuple(*protocol))
            .collect();
        for tuple in &kept {
            assert!(guard.adopts(*tuple, Phase::Open));
        }
        let late = begin(&mut guard, &bucket[OWN_WAYS]);
        assert!(!guard.knows(&late), "no room");

        assert_eq!(guard.lets_go_but(&kept[1..]), 1);
        assert_eq!(guard.lets_go_but(&kept[1..]), 0, "once");

        assert!(guard.knows(&kept[0]), "it lives on");
        let late = begin(&mut guard, &bucket[OWN_WAYS]);
        assert!(guard.knows(&late) && !guard.knows(&kept[0]));
        assert!(kept[1..].iter().all(|tuple| guard.knows(tuple)));
        guard.forget_flows();
    }
}

#[test]
fn an_ended_session_from_before_is_over_like_any_other() {
    let Some(mut guard) = closed() else { return };
    for ends in both_families() {
        let tuple = ends.tuple(TCP);
        assert!(guard.adopts(tuple, Phase::Open));
        guard.expect("data", &ends.tcp_in(DATA), Reply);
        guard.sends(&ends.tcp_out(FIN_ACK));
        let state = guard.flow(&tuple).expect("a flow");
        assert_eq!(state.phase(), Phase::Closing);
        for (ticks, reason) in [(60, Reply), (61, DefaultDrop)] {
            let frame = ends.tcp_in(DATA);
            let got = after_silence(&mut guard, (&tuple, Phase::Closing), &frame, ticks);
            assert_eq!(got, (reason, reason), "{ticks}");
        }
    }
}
