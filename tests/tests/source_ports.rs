//! Rules that ask for the port of the sender: the program and the model, in both families.

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::{Harness, OWN, TEST_INTERFACE},
    peers::both_families,
    require,
};
use guard_user::ruleset::sample::{SampleDraft, allow, deny, limit, policy};

/// A rule, the ports of sender and of this host, and what becomes of a packet.
struct Case {
    what: &'static str,
    rules: fn() -> Vec<SampleDraft>,
    packets: &'static [(u16, u16, Reason)],
}

const UDP: [Case; 5] = [
    Case {
        what: "answers of DHCPv6 by its ports",
        rules: || vec![allow().udp(546).from_ports(547, 547)],
        packets: &[
            (547, 546, RuleAllow),
            (546, 546, DefaultDrop),
            (548, 546, DefaultDrop),
            (547, 545, DefaultDrop),
            (0, 546, DefaultDrop),
            (u16::MAX, 546, DefaultDrop),
        ],
    },
    Case {
        what: "ranges that overlap, first match",
        rules: || {
            vec![
                deny().udp(1000).from_ports(100, 200),
                allow().udp(1000).from_ports(150, 300),
                deny().udp(1000),
            ]
        },
        packets: &[
            (99, 1000, RuleDeny),
            (100, 1000, RuleDeny),
            (200, 1000, RuleDeny),
            (201, 1000, RuleAllow),
            (300, 1000, RuleAllow),
            (301, 1000, RuleDeny),
        ],
    },
    Case {
        what: "one address on one interface",
        rules: || {
            let rule = allow().udp(7).from_ports(1, 1023);
            vec![rule.to(OWN[0]).to(OWN[1]).on(TEST_INTERFACE)]
        },
        packets: &[
            (1, 7, RuleAllow),
            (1023, 7, RuleAllow),
            (1024, 7, DefaultDrop),
        ],
    },
    Case {
        what: "the last port",
        rules: || vec![allow().udp(7).from_ports(u16::MAX, u16::MAX)],
        packets: &[(u16::MAX, 7, RuleAllow), (u16::MAX - 1, 7, DefaultDrop)],
    },
    Case {
        what: "beside a rule that has ended",
        rules: || vec![allow().udp(7).until(1), allow().udp(7).from_ports(53, 53)],
        packets: &[(53, 7, RuleAllow), (54, 7, DefaultDrop)],
    },
];

fn families() -> [PacketBuilder; 2] {
    [
        packet().from("198.51.100.7"),
        packet_v6().from("2001:db8::7"),
    ]
}

#[test]
fn a_datagram_is_let_in_by_the_port_of_its_sender() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    for case in UDP {
        guard.apply(&policy((case.rules)()));
        for (from, to, expected) in case.packets {
            for base in families() {
                let frame = base.udp_between(*from, *to).build();
                guard.expect(&format!("{}: {from} to {to}", case.what), &frame, *expected);
            }
        }
    }
}

#[test]
fn a_syn_is_let_in_by_the_port_of_its_sender_and_a_limit_is_of_its_rule() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([
        allow().tcp(22).from_ports(1024, u16::MAX),
        limit("1/h", 1).tcp(25).from_ports(25, 25),
        allow().tcp(25),
    ]));
    for base in families() {
        let syn = |from, to| base.clone().tcp_between(from, to, TcpFlags::SYN).build();
        guard.expect("of a client", &syn(40_000, 22), RuleAllow);
        guard.expect("of a privileged port", &syn(1023, 22), DefaultDrop);
        guard.expect("the first", &syn(25, 25), RuleAllow);
        guard.expect("above the limit", &syn(25, 25), Limited);
        guard.expect("without a limit", &syn(26, 25), RuleAllow);
    }
}

#[test]
fn what_has_no_ports_is_let_in_by_no_such_rule_and_others_go_on() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([
        allow().udp(53).from_ports(53, 53),
        allow().ping(),
        allow().protocol(47),
    ]));
    for (base, ping) in families().into_iter().zip([(8, 0), (128, 0)]) {
        let frame = base.clone().icmp(ping.0, ping.1).build();
        guard.expect("a ping", &frame, RuleAllow);
        let gre = base.clone().protocol(47, &[0; 8]).build();
        guard.expect("GRE", &gre, RuleAllow);
        // The same bytes where ports would be.
        let other = base
            .clone()
            .protocol(136, &[0, 53, 0, 53, 0, 8, 0, 0])
            .build();
        guard.expect("UDP-Lite", &other, DefaultDrop);
        // A later fragment says nothing of ports.
        let fragment = base
            .clone()
            .fragment(8, false, 7)
            .udp_between(53, 53)
            .build();
        let verdict = guard.model(&fragment).verdict.reason;
        assert!(!matches!(verdict, RuleAllow), "{verdict:?}");
        guard.expect("a later fragment", &fragment, verdict);
    }
}

#[test]
fn replies_need_no_rule_for_their_source_port() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().udp(53).from_ports(1, 2)]));
    for ends in both_families() {
        guard.sends(&ends.udp_out());
        guard.expect("a reply", &ends.udp_in(), Reply);
    }
}
