//! Monitor mode: everything passes, and what would have been dropped is counted apart, by reason and by
//! service.

use guard_common::{
    abi::{
        counters::{Event, monitored_reason_row, monitored_row, passed_row, reason_row},
        reason::{
            Action,
            Reason::{self, *},
        },
        service::{Service, ServiceKind},
    },
    packet::TcpFlags,
    testing::{packet, packet_v6, random::Random},
};
use guard_tests::{
    frames::random_frame,
    harness::Harness,
    peers::{DATA, SYN_ACK, both_families},
    require,
};
use guard_user::ruleset::{
    model::{DefaultAction, Policy},
    sample::{NESTED, SampleDraft, allow, deny, policy},
};

fn monitoring(rules: impl IntoIterator<Item = SampleDraft>) -> Policy {
    Policy {
        default: DefaultAction::Monitor,
        ..policy(rules)
    }
}

#[test]
fn everything_passes_under_the_reason_for_which_it_would_have_been_dropped() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&monitoring([allow().tcp(22), deny().udp(53)]));
    for (base, own) in [(packet(), "192.0.2.1"), (packet_v6(), "2001:db8:2::1")] {
        let table = [
            (
                "an open port",
                base.clone().tcp(22, TcpFlags::SYN),
                RuleAllow,
            ),
            (
                "a closed port",
                base.clone().tcp(23, TcpFlags::SYN),
                DefaultDrop,
            ),
            (
                "a stray segment",
                base.clone().tcp(23, TcpFlags::ACK),
                DefaultDrop,
            ),
            ("a denied port", base.clone().udp(53), RuleDeny),
            ("no flags", base.clone().tcp(22, 0), TcpNull),
            ("SYN and FIN", base.clone().tcp(22, 3), TcpSynFin),
            (
                "a forgery",
                base.clone().from(own).tcp(80, TcpFlags::ACK),
                OwnSource,
            ),
            ("a tunnel", base.clone().protocol(47, &[0; 8]), DefaultDrop),
            (
                "a later fragment",
                base.clone().protocol(17, &[0; 8]).fragment(7, false, 1),
                Fragment,
            ),
            (
                "a UDP length",
                base.clone().protocol(17, &[0, 1, 0, 2, 0, 3, 0, 0]),
                BadUdpLength,
            ),
            ("cut short", base.clone().protocol(6, &[0; 9]), Truncated),
            ("a foreign protocol", base.clone().ether_type(0x88cd), NotIp),
            (
                "tags",
                base.clone().vlan(0x8100).vlan(0x8100).vlan(0x8100),
                TooManyTags,
            ),
            ("ARP", base.clone().ether_type(0x0806), Arp),
        ];
        for (case, frame, reason) in table {
            guard.expect_monitored(case, &frame.build(), reason);
        }
    }
    let martian = packet().from("127.0.0.1").build();
    guard.expect_monitored("loopback", &martian, MartianSource);
}

#[test]
fn services_are_counted_apart_and_by_bytes() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&monitoring([allow().tcp(22)]));
    let closed = packet().tcp(23, TcpFlags::SYN).build();
    let open = packet().tcp(22, TcpFlags::SYN).build();
    for frame in [&closed, &open, &closed] {
        assert_eq!(guard.verdict(frame, None).expect("runs"), Action::Pass);
    }
    let counted: Vec<_> = guard
        .drain()
        .into_iter()
        .map(|(row, counter)| (row, counter.packets, counter.bytes))
        .collect();
    let bytes = closed.len() as u64;
    let mut expected = vec![
        (monitored_reason_row(DefaultDrop), 2, 2 * bytes),
        (monitored_row(Service::tcp(23)), 2, 2 * bytes),
        (reason_row(RuleAllow), 1, bytes),
        (passed_row(Service::tcp(22)), 1, bytes),
    ];
    expected.sort_unstable();
    assert_eq!(counted, expected);
    let run = guard.run(&closed);
    assert_eq!(run.monitored_services, [ServiceKind::Tcp(23)]);
    assert_eq!((run.counted, run.services), (vec![], vec![]));
}

#[test]
fn it_ends_with_the_policy_that_ends_it() {
    if !require::root() {
        return;
    }
    let rules = || [allow().tcp(22), deny().udp(53)];
    let mut guard = Harness::new(&monitoring(rules()));
    for _ in 0..2 {
        for base in [packet(), packet_v6()] {
            let (closed, denied) = (base.clone().udp(9).build(), base.udp(53).build());
            guard.apply(&policy(rules()));
            guard.expect("closed", &closed, DefaultDrop);
            guard.expect("denied", &denied, RuleDeny);
            guard.apply(&monitoring(rules()));
            guard.expect_monitored("closed", &closed, DefaultDrop);
            guard.expect_monitored("denied", &denied, RuleDeny);
        }
    }
}

#[test]
fn flows_begin_under_it_and_live_on_without_it() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&monitoring([]));
    for ends in both_families() {
        guard.expect_monitored("before", &ends.tcp_in(SYN_ACK), DefaultDrop);
        guard.sends(&ends.tcp_out(TcpFlags::SYN));
        guard.sends(&ends.tcp_out(TcpFlags::ACK));
        guard.sends(&ends.udp_out());
        guard.expect("an answer is what it is", &ends.tcp_in(SYN_ACK), Reply);
    }
    guard.apply(&Policy::default());
    for ends in both_families() {
        guard.expect("the connection", &ends.tcp_in(DATA), Reply);
        guard.expect("the datagrams", &ends.udp_in(), Reply);
    }
    assert_eq!(guard.happened(Event::FlowCreated), 4);
}

#[test]
fn no_random_frame_is_dropped() {
    const FRAMES: usize = 20_000;
    if !require::root() {
        return;
    }
    let mut random = Random::new(3);
    let mut guard = Harness::new(&monitoring([allow().tcp(22), deny().tcp(25)]));
    for _ in 0..FRAMES {
        let frame = random_frame(&mut random, &NESTED);
        let action = guard.verdict(&frame, None).expect("runs");
        assert_eq!(action, Action::Pass, "{frame:02x?}");
    }
    let counted = guard.drain();
    let packets = |row: fn(Reason) -> u32, wanted: Action| -> u64 {
        let rows: Vec<u32> = Reason::ALL
            .iter()
            .filter(|reason| reason.action() == wanted)
            .map(|reason| row(*reason))
            .collect();
        counted
            .iter()
            .filter(|(row, _)| rows.contains(row))
            .map(|(_, counter)| counter.packets)
            .sum()
    };
    assert_eq!(packets(reason_row, Action::Drop), 0);
    assert_eq!(packets(monitored_reason_row, Action::Pass), 0);
    let (passed, monitored) = (
        packets(reason_row, Action::Pass),
        packets(monitored_reason_row, Action::Drop),
    );
    assert_eq!(passed + monitored, FRAMES as u64);
    assert!(passed > 1_000 && monitored > 5_000, "{passed} {monitored}");
}
