//! Limits per source, packet by packet: what is charged and what is not, who shares a meter, and whom
//! nobody shuts out by forging his address. Time is the test's; kernel and model give the same answer.

use std::net::IpAddr;

use guard_common::{
    abi::{
        addr::Addr,
        clock::EIGHTH_SHIFT,
        reason::Reason::{self, *},
    },
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::Harness,
    peers::{DATA, FIN_ACK, both_families},
    require,
};
use guard_user::{
    dataplane::clock,
    ruleset::{
        ceiling::Ceiling,
        limit::SourcePrefixes,
        model::{DefaultAction, Policy, Transport},
        sample::{allow, deny, limit, policy},
    },
};

/// Policies of tests are compiled for 250 jiffies in a second.
const HZ: u64 = 250;

fn guard(policy: &Policy) -> Option<Harness> {
    require::root().then(|| Harness::new(policy))
}

fn later(guard: &mut Harness, seconds: u64) {
    let jiffies = guard.jiffies();
    guard.set_jiffies(jiffies + seconds * HZ);
}

fn syn(base: &PacketBuilder, port: u16) -> Vec<u8> {
    base.clone().tcp(port, TcpFlags::SYN).build()
}

/// Sends the same frame so often; the first `passing` pass, the others are over the limit.
fn expect_limited(guard: &mut Harness, case: &str, frame: &[u8], passing: usize, times: usize) {
    for number in 1..=times {
        let reason = if number <= passing {
            RuleAllow
        } else {
            Limited
        };
        guard.expect(&format!("{case}, {number} of {times}"), frame, reason);
    }
}

#[test]
fn a_source_gets_its_burst_and_then_its_rate() {
    let Some(mut guard) = guard(&policy([limit("6/30s", 6).tcp(22)])) else {
        return;
    };
    for base in [packet(), packet_v6()] {
        let syn = syn(&base, 22);
        expect_limited(&mut guard, "at once", &syn, 6, 10);
        for round in 0..3 {
            later(&mut guard, 4);
            expect_limited(&mut guard, &format!("too early {round}"), &syn, 0, 2);
            later(&mut guard, 1);
            expect_limited(&mut guard, &format!("5 s later {round}"), &syn, 1, 3);
        }
        later(&mut guard, 30);
        expect_limited(&mut guard, "after a pause", &syn, 6, 8);
    }
    guard.assert_identical();
}

#[test]
fn only_new_connections_are_charged() {
    let Some(mut guard) = guard(&policy([limit("1/min", 1).tcp(22), allow().tcp(80)])) else {
        return;
    };
    for base in [packet(), packet_v6()] {
        expect_limited(&mut guard, "SYN", &syn(&base, 22), 1, 3);
        for flags in [
            TcpFlags::ACK,
            DATA,
            FIN_ACK,
            TcpFlags::RST,
            TcpFlags::SYN | TcpFlags::ACK,
        ] {
            let segment = base.clone().tcp(22, flags).build();
            for _ in 0..3 {
                guard.expect("part of a session", &segment, RuleAllow);
            }
        }
        let ports = [(80, RuleAllow), (81, DefaultDrop)];
        for (port, reason) in ports {
            guard.expect("another port", &syn(&base, port), reason);
        }
    }
    guard.assert_identical();
}

#[test]
fn sources_and_rules_are_counted_apart_and_ports_of_a_rule_together() {
    let rules = [
        limit("2/min", 2).tcp(22),
        limit("2/min", 2).ports(Transport::Tcp, &[(80, 80), (443, 443)]),
    ];
    let Some(mut guard) = guard(&policy(rules)) else {
        return;
    };
    for (one, other) in [
        ("203.0.113.1", "203.0.113.2"),
        ("2001:db8:1::1", "2001:db8:1:1::1"),
    ] {
        let own = if one.contains(':') {
            packet_v6()
        } else {
            packet()
        };
        let (one, other) = (own.clone().from(one), own.from(other));
        expect_limited(&mut guard, "one", &syn(&one, 22), 2, 3);
        expect_limited(&mut guard, "another source", &syn(&other, 22), 2, 3);
        expect_limited(&mut guard, "another rule", &syn(&one, 80), 2, 3);
        expect_limited(&mut guard, "the same rule", &syn(&one, 443), 0, 3);
        // The port of the source is of his own choosing.
        let port = one.clone().tcp_between(1024, 22, TcpFlags::SYN).build();
        expect_limited(&mut guard, "another source port", &port, 0, 3);
    }
    guard.assert_identical();
}

#[test]
fn an_ipv6_network_counts_as_one_source_and_an_ipv4_address_as_one() {
    let default = Policy {
        // No test run has a listener, so every port would have one.
        ceiling: Ceiling::Off,
        ..policy([limit("6/30s", 6).tcp(22)])
    };
    let coarse = Policy {
        sources: SourcePrefixes { v4: 24, v6: 48 },
        ..default.clone()
    };
    let fine = Policy {
        sources: SourcePrefixes { v4: 32, v6: 128 },
        ..default.clone()
    };
    // What passes of 10 000 addresses of a network, and of as many of the network beside it.
    for (policy, bits, passing) in [
        (&default, 64, 6),
        (&coarse, 48, 6),
        (&coarse, 64, 6),
        (&fine, 64, 10_000),
    ] {
        let Some(mut guard) = guard(policy) else {
            return;
        };
        let base = packet_v6();
        let mut passed = 0;
        for number in 0..10_000u128 {
            let network = 0x2001_0db8_0001u128 << 80;
            let host = (number * 0x9e37_79b9_7f4a_7c15) & (u128::MAX >> bits);
            let source = std::net::Ipv6Addr::from_bits(network | host);
            let frame = syn(&base.clone().from_ip(source.into()), 22);
            passed += usize::from(
                guard
                    .verdict(&frame, None)
                    .is_ok_and(|action| action == guard_common::abi::reason::Action::Pass),
            );
        }
        assert_eq!(passed, passing, "/{bits} with {:?}", policy.sources);
    }
    for (policy, passing) in [(&default, 10), (&coarse, 6)] {
        let Some(mut guard) = guard(policy) else {
            return;
        };
        for number in 1..=10 {
            let source = format!("203.0.113.{number}");
            let reason = if number <= passing {
                RuleAllow
            } else {
                Limited
            };
            guard.expect(&source, &syn(&packet().from(&source), 22), reason);
        }
    }
}

#[test]
fn sources_on_the_never_list_have_no_limit() {
    let mut policy = policy([limit("1/min", 1).tcp(22), deny().tcp(23)]);
    for prefix in ["203.0.113.0/28", "2001:db8:7::/48"] {
        policy.never.push(prefix.parse().expect("a prefix"));
    }
    let Some(mut guard) = guard(&policy) else {
        return;
    };
    for (base, never, other) in [
        (packet(), "203.0.113.3", "203.0.113.16"),
        (packet_v6(), "2001:db8:7::9", "2001:db8:8::9"),
    ] {
        let never = base.clone().from(never);
        for _ in 0..20 {
            guard.expect("on the list", &syn(&never, 22), RuleAllow);
        }
        // It opens no port.
        guard.expect("a denied port", &syn(&never, 23), RuleDeny);
        expect_limited(&mut guard, "beside it", &syn(&base.from(other), 22), 1, 3);
    }
    assert_eq!(guard.meters_in_use(), 2);
    guard.assert_identical();
}

#[test]
fn datagrams_are_charged_once_for_a_conversation() {
    let Some(mut guard) = guard(&policy([limit("3/min", 3).udp(53)])) else {
        return;
    };
    for base in [packet(), packet_v6()] {
        let from = |port| base.clone().udp_between(port, 53).build();
        for port in [5000, 5001, 5002] {
            for _ in 0..5 {
                guard.expect("a conversation", &from(port), RuleAllow);
            }
        }
        guard.expect("one too many", &from(5003), Limited);
        for step in 0..6 {
            later(&mut guard, 20);
            for port in [5000, 5001, 5002] {
                guard.expect(&format!("goes on {step}"), &from(port), RuleAllow);
            }
        }
        // Six times 20 s pay for six.
        for port in [6000, 6001, 6002] {
            guard.expect("a new one", &from(port), RuleAllow);
        }
        guard.expect("one too many", &from(6003), Limited);
        later(&mut guard, 31);
        guard.expect("silent for 30 s: new, and paid for", &from(6000), RuleAllow);
        guard.expect("another, and not paid for", &from(6001), Limited);
        later(&mut guard, 600);
    }
    guard.assert_identical();
}

#[test]
fn what_this_host_answers_goes_on_and_what_it_asks_is_answered() {
    // High ports, from which this host also asks.
    let rules = [limit("1/min", 1).ports(Transport::Udp, &[(40_000, 50_000)])];
    let Some(mut guard) = guard(&policy(rules)) else {
        return;
    };
    for ends in both_families() {
        // The limit is used up by somebody who forges the name server's address.
        let forged = ends.back().udp_between(1, ends.own_port).build();
        guard.expect("forged", &forged, RuleAllow);
        let other = ends.back().udp_between(2, ends.own_port).build();
        guard.expect("used up", &other, Limited);
        guard.sends(&ends.udp_out());
        for _ in 0..3 {
            guard.expect("the answer", &ends.udp_in(), RuleAllow);
        }
        later(&mut guard, 170);
        guard.expect("three minutes are not over", &ends.udp_in(), RuleAllow);
        guard.expect("what waits has paid", &other, RuleAllow);
        later(&mut guard, 61);
        // What arrived renewed it for 30 s, what goes out renews it for 180 s.
        guard.sends(&ends.udp_out());
        guard.expect("forged again", &forged, RuleAllow);
        later(&mut guard, 150);
        guard.expect("still", &ends.udp_in(), RuleAllow);
        later(&mut guard, 600);
    }
    guard.assert_identical();
}

#[test]
fn whoever_has_a_session_may_open_four_times_as_many_beside_his_limit() {
    let Some(mut guard) = guard(&policy([
        limit("1/min", 1).tcp(22),
        limit("1/min", 1).tcp(80),
    ])) else {
        return;
    };
    for (base, source) in [(packet(), "203.0.113.9"), (packet_v6(), "2001:db8:9::9")] {
        let base = base.from(source);
        expect_limited(&mut guard, "before", &syn(&base, 22), 1, 3);
        guard.exempts(source, 22);
        expect_limited(&mut guard, "he comes back", &syn(&base, 22), 4, 8);
        later(&mut guard, 15);
        expect_limited(&mut guard, "15 s later", &syn(&base, 22), 1, 3);
        expect_limited(&mut guard, "another service", &syn(&base, 80), 1, 3);
        later(&mut guard, 2 * 3600);
        expect_limited(&mut guard, "two hours later", &syn(&base, 22), 3, 3);
        later(&mut guard, 3600);
        expect_limited(&mut guard, "nobody has looked since", &syn(&base, 22), 1, 3);
    }
    guard.assert_identical();
}

#[test]
fn what_is_owed_survives_a_change_of_other_rules() {
    let ssh = || limit("2/min", 2).tcp(22);
    let Some(mut guard) = guard(&policy([ssh()])) else {
        return;
    };
    expect_limited(&mut guard, "before", &syn(&packet(), 22), 2, 3);
    guard.apply(&policy([allow().tcp(80), deny().udp(53), ssh()]));
    expect_limited(&mut guard, "after", &syn(&packet(), 22), 0, 3);
    guard.apply(&policy([limit("3/min", 3).tcp(22)]));
    expect_limited(&mut guard, "another limit", &syn(&packet(), 22), 3, 4);
    guard.apply(&policy([allow().tcp(22)]));
    expect_limited(&mut guard, "no limit", &syn(&packet(), 22), 4, 4);
}

#[test]
fn first_match_decides_who_has_a_limit() {
    let rules = [
        allow().tcp(22).from("203.0.113.0/24"),
        deny().tcp(22).from("198.51.100.0/25"),
        limit("1/min", 1).tcp(22),
    ];
    let Some(mut guard) = guard(&policy(rules)) else {
        return;
    };
    let from = |source: &str| syn(&packet().from(source), 22);
    for _ in 0..5 {
        guard.expect("allowed before", &from("203.0.113.1"), RuleAllow);
        guard.expect("denied before", &from("198.51.100.1"), RuleDeny);
    }
    expect_limited(&mut guard, "the others", &from("198.51.100.200"), 1, 3);
    guard.assert_identical();
}

#[test]
fn in_monitor_mode_what_is_over_the_limit_passes_and_is_counted_apart() {
    let mut policy = policy([limit("2/min", 2).tcp(22)]);
    for (default, expected) in [
        (DefaultAction::Monitor, [RuleAllow, RuleAllow, Limited]),
        (DefaultAction::Allow, [RuleAllow, RuleAllow, Limited]),
    ] {
        policy.default = default;
        let Some(mut guard) = guard(&policy) else {
            return;
        };
        let frame = syn(&packet(), 22);
        for reason in expected {
            if default == DefaultAction::Monitor {
                guard.expect_monitored("SYN", &frame, reason);
            } else {
                guard.expect("SYN", &frame, reason);
            }
        }
    }
}

#[test]
fn what_a_limit_leaves_is_right_at_every_moment_of_the_coarse_clock() {
    let Some(mut guard) = guard(&policy([limit("6/30s", 6).tcp(22)])) else {
        return;
    };
    let slots = guard.object().slots().expect("the policy");
    let meters = guard.object().meters().expect("the meters");
    // User space reads eighths of a tick only, and a packet may have been charged at the end of one.
    let eighth = 1 << (clock::tick_shift() - EIGHTH_SHIFT);
    let begin = guard.jiffies().next_multiple_of(eighth);
    for source in ["203.0.113.1", "2001:db8:1::1"] {
        let base = if source.contains(':') {
            packet_v6()
        } else {
            packet()
        };
        let syn = syn(&base.from(source), 22);
        let source = Addr::from(source.parse::<IpAddr>().expect("an address"));
        let rule = guard.model(&syn).verdict.rule;
        for jiffy in 0..eighth {
            guard.forget_meters();
            guard.set_jiffies(begin + jiffy);
            for charged in 1..=6 {
                guard.expect("a new connection", &syn, RuleAllow);

                let now = clock::now(guard.object().clock().expect("loaded")).expect("runs");
                let left = meters.left(&slots, rule, source, now);

                assert_eq!(
                    (left.now, left.at_most),
                    (6 - charged, 6),
                    "{charged} connections of {source:?}, {jiffy} jiffies into an eighth of {eighth}"
                );
            }
        }
    }
}

#[test]
fn rates_are_kept_from_one_in_a_minute_to_thousands_in_a_second() {
    for (rate, burst, seconds, wanted) in [
        ("1/min", 1, 300, 5),
        ("6/30s", 6, 300, 60),
        ("20/s", 40, 30, 600),
        ("1000/s", 10, 4, 4000),
    ] {
        let Some(mut guard) = guard(&policy([limit(rate, burst).tcp(22)])) else {
            return;
        };
        let frame = syn(&packet(), 22);
        let passes = |guard: &mut Harness| {
            let action = guard.verdict(&frame, None).expect("runs");
            u32::from(action == Reason::RuleAllow.action())
        };
        // The burst is spent first.
        while passes(&mut guard) == 1 {}
        let start = guard.jiffies();
        let mut passed = 0;
        for jiffy in 1..=seconds * HZ {
            guard.set_jiffies(start + jiffy);
            // More than the rate, all the time.
            for _ in 0..6 {
                passed += passes(&mut guard);
            }
        }
        let off = (f64::from(passed) / f64::from(wanted) - 1.0).abs();
        println!("{rate}: {passed} of {wanted}");
        assert!(off <= 0.1, "{rate}: {passed} of {wanted}");
    }
}
