//! Ends, packet by packet: the program and the model.

use std::time::Duration;

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::{Harness, OWN, TEST_INTERFACE, boot_time_ns},
    lab::within,
    peers::both_families,
    require,
};
use guard_user::ruleset::sample::{SampleDraft, allow, deny, limit, policy};

/// Long enough for a table of packets, and for the compiler of the policy.
const SOON_S: u64 = 3;

/// Rules with an end that is soon, the same rules of another end, and what becomes of packets before and afterwards.
struct Case {
    what: &'static str,
    rules: fn(u64) -> Vec<SampleDraft>,
    packets: fn(PacketBuilder) -> PacketBuilder,
    before: Reason,
    after: Reason,
}

const CASES: [Case; 7] = [
    Case {
        what: "an allow",
        rules: |end| vec![allow().tcp(22).until(end)],
        packets: |from| from.tcp(22, TcpFlags::SYN),
        before: RuleAllow,
        after: DefaultDrop,
    },
    Case {
        what: "a deny",
        rules: |end| vec![deny().udp(53).until(end), allow().udp(53)],
        packets: |from| from.udp(53),
        before: RuleDeny,
        after: RuleAllow,
    },
    Case {
        what: "a limit",
        rules: |end| vec![limit("1/h", 1).tcp(25).until(end)],
        packets: |from| from.tcp(25, TcpFlags::SYN),
        // Each family has a source of its own, and a second one would be above the limit.
        before: RuleAllow,
        after: DefaultDrop,
    },
    Case {
        what: "an allow of one source",
        rules: |end| {
            vec![
                allow()
                    .tcp(80)
                    .from("198.51.100.0/24")
                    .from("2001:db8::/32")
                    .until(end),
            ]
        },
        packets: |from| from.tcp(80, TcpFlags::SYN),
        before: RuleAllow,
        after: DefaultDrop,
    },
    Case {
        what: "an allow of everything to one address on one interface",
        rules: |end| {
            let rule = allow().to(OWN[0]).to(OWN[1]).on(TEST_INTERFACE);
            vec![rule.until(end)]
        },
        packets: |from| from.udp(7),
        before: RuleAllow,
        after: DefaultDrop,
    },
    Case {
        what: "a deny of everything",
        rules: |end| vec![deny().until(end), allow().tcp(443)],
        packets: |from| from.tcp(443, TcpFlags::SYN),
        before: RuleDeny,
        after: RuleAllow,
    },
    Case {
        what: "what ends later",
        rules: |end| vec![deny().tcp(21).until(end + 3600), allow().tcp(21).until(end)],
        packets: |from| from.tcp(21, TcpFlags::SYN),
        before: RuleDeny,
        after: RuleDeny,
    },
];

#[test]
fn rules_of_both_families_act_until_they_end() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    for case in CASES {
        let end = boot_time_ns() / 1_000_000_000 + SOON_S;
        guard.apply(&policy((case.rules)(end)));
        guard.follow_clock();
        let frames = [
            packet().from("198.51.100.7"),
            packet_v6().from("2001:db8::7"),
        ]
        .map(|from| (case.packets)(from).build());
        for frame in &frames {
            guard.expect(&format!("{} acts", case.what), frame, case.before);
        }
        let is_over = within(Duration::from_secs(SOON_S + 1), || {
            (boot_time_ns() > end * 1_000_000_000).then_some(())
        });
        assert!(is_over.is_some(), "{}", case.what);
        guard.follow_clock();
        for frame in &frames {
            guard.expect(&format!("{} is over", case.what), frame, case.after);
        }
    }
}

#[test]
fn each_of_31_ends_takes_its_own_rule_and_no_other() {
    if !require::root() {
        return;
    }
    let now = boot_time_ns() / 1_000_000_000;
    // Every second one is long ago.
    let ends = (0..31).map(|place| {
        if place % 2 == 0 {
            place + 1
        } else {
            now + 3600 + place
        }
    });
    let rules = ends
        .zip(1000..)
        .map(|(end, port)| allow().tcp(port).until(end));
    let mut guard = Harness::new(&policy(rules.collect::<Vec<_>>()));
    for (place, port) in (1000..1031).enumerate() {
        let expected = if place % 2 == 0 {
            DefaultDrop
        } else {
            RuleAllow
        };
        for from in [packet(), packet_v6()] {
            let frame = from.tcp(port, TcpFlags::SYN).build();
            guard.expect(&format!("port {port}"), &frame, expected);
        }
    }
}

#[test]
fn a_segment_of_a_port_that_is_closed_since_is_dropped_and_a_reply_is_not() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22).until(1), allow().tcp(80)]));
    for (from, ends) in [packet(), packet_v6()].into_iter().zip(both_families()) {
        let segment = from.tcp(22, TcpFlags::ACK).build();
        guard.expect("a segment", &segment, DefaultDrop);
        guard.sends(&ends.udp_out());
        guard.expect("a reply", &ends.udp_in(), Reply);
    }
}
