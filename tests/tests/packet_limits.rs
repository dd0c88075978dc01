//! Limits that count every packet of a source: datagrams, segments of its sessions, pings. Time is the test's; kernel
//! and model give the same answer.

use guard_common::{
    abi::reason::Reason::*,
    packet::TcpFlags,
    testing::{packet, packet_v6},
};
use guard_tests::{
    harness::Harness,
    peers::{DATA, Ends, both_families},
    require,
};
use guard_user::ruleset::{
    model::Policy,
    sample::{allow, limit_packets, limit_packets_or_block, policy},
    strangers::Strangers,
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

/// Data that leaves proves a session.
fn begins(guard: &mut Harness, ends: &Ends) {
    let out = ends.out();
    let data = out
        .tcp_between(ends.own_port, ends.peer_port, DATA)
        .payload(9);
    guard.sends(&data.build());
}

#[test]
fn every_datagram_of_a_source_counts_also_in_a_conversation() {
    let Some(mut guard) = guard(&policy([limit_packets("10/s", 4).udp(27_015)])) else {
        return;
    };
    for base in [packet(), packet_v6()] {
        let frame = base.clone().udp(27_015).build();
        let other_port = base.udp_between(7, 27_015).build();
        for _ in 0..2 {
            guard.expect("within", &frame, RuleAllow);
            guard.expect("the same source", &other_port, RuleAllow);
        }
        guard.expect("above", &frame, Limited);
        guard.expect("above", &other_port, Limited);
        later(&mut guard, 1);
        guard.expect("later", &frame, RuleAllow);
    }
}

#[test]
fn segments_of_a_session_count_and_those_of_none_do_not() {
    let Some(mut guard) = guard(&policy([limit_packets("10/s", 4).tcp(443)])) else {
        return;
    };
    for mut ends in both_families() {
        ends.own_port = 443;
        for _ in 0..10 {
            guard.expect("of no session", &ends.tcp_in(DATA), RuleAllow);
        }
        guard.expect("a SYN", &ends.tcp_in(TcpFlags::SYN), RuleAllow);
        begins(&mut guard, &ends);
        for _ in 0..4 {
            guard.expect("of a session", &ends.tcp_in(DATA), RuleAllow);
        }
        guard.expect("above", &ends.tcp_in(DATA), Limited);
        guard.expect("a SYN above", &ends.tcp_in(TcpFlags::SYN), Limited);
        later(&mut guard, 10);
        guard.expect("later", &ends.tcp_in(DATA), RuleAllow);
    }
}

#[test]
fn who_exceeds_a_limit_with_a_session_is_blocked_for_a_while() {
    let rule = limit_packets_or_block("10/s", 4, "60s").tcp(443);
    let Some(mut guard) = guard(&policy([rule])) else {
        return;
    };
    for mut ends in both_families() {
        ends.own_port = 443;
        let (syn, segment) = (ends.tcp_in(TcpFlags::SYN), ends.tcp_in(DATA));
        for _ in 0..4 {
            guard.expect("within", &syn, RuleAllow);
        }
        guard.expect("a SYN too much, which may be forged", &syn, Limited);
        later(&mut guard, 2);
        guard.expect("it has only waited", &syn, RuleAllow);
        begins(&mut guard, &ends);
        for _ in 0..4 {
            guard.expect("of a session", &segment, RuleAllow);
        }
        guard.expect("too much", &segment, Limited);
        for _ in 0..59 {
            later(&mut guard, 1);
            guard.expect("blocked, and not anew", &segment, Limited);
            guard.expect("for new sessions, too", &syn, Limited);
        }
        later(&mut guard, 2);
        guard.expect("over", &segment, RuleAllow);
    }
}

#[test]
fn nobody_spends_what_another_source_has_by_forging_its_address() {
    let strict = Policy {
        out_of_state: Strangers::Nothing,
        ..policy([limit_packets("10/s", 4).tcp(443)])
    };
    let Some(mut guard) = guard(&strict) else {
        return;
    };
    for mut ends in both_families() {
        ends.own_port = 443;
        guard.sends(&ends.tcp_out(TcpFlags::RST));
        let forged = |port| {
            let back = ends.back();
            back.tcp_between(port, ends.own_port, DATA).build()
        };
        for port in 0..20 {
            guard.expect("forged", &forged(9000 + port), OutOfState);
        }
        guard.expect("a SYN", &ends.tcp_in(TcpFlags::SYN), RuleAllow);
        begins(&mut guard, &ends);
        guard.expect("his session", &ends.tcp_in(DATA), RuleAllow);
    }
}

#[test]
fn forged_syns_take_nothing_from_the_sessions_of_him_in_whose_name_they_come() {
    for rule in [
        limit_packets("10/s", 4),
        limit_packets_or_block("10/s", 4, "60s"),
    ] {
        let Some(mut guard) = guard(&policy([rule.tcp(443)])) else {
            return;
        };
        for mut ends in both_families() {
            ends.own_port = 443;
            begins(&mut guard, &ends);
            let segment = ends.tcp_in(DATA);
            let syn = |port| {
                let back = ends.back();
                back.tcp_between(port, ends.own_port, TcpFlags::SYN).build()
            };
            for second in 0..5 {
                for port in 0..4 {
                    guard.expect("as many as the limit", &syn(9000 + port), RuleAllow);
                }
                for port in 0..20 {
                    guard.expect("forged", &syn(9000 + port), Limited);
                    guard.expect("from his port", &ends.tcp_in(TcpFlags::SYN), Limited);
                }
                for _ in 0..4 {
                    guard.expect(&format!("his, second {second}"), &segment, RuleAllow);
                }
                later(&mut guard, 1);
            }
        }
    }
}

#[test]
fn an_allowed_ping_has_a_limit_per_source() {
    for (policy, burst) in [
        (policy([allow().ping()]), 20),
        (policy([limit_packets("5/s", 3).ping()]), 3),
    ] {
        let Some(mut guard) = guard(&policy) else {
            return;
        };
        for base in [packet(), packet_v6()] {
            let kind = if base.is_v4() { 8 } else { 128 };
            let ping = base.clone().icmp(kind, 0).payload(48).build();
            for _ in 0..burst {
                guard.expect("within", &ping, RuleAllow);
            }
            guard.expect("above", &ping, Limited);
            later(&mut guard, 1);
            guard.expect("later", &ping, RuleAllow);
        }
    }
}
