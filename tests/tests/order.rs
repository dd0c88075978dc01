//! Rules among each other and beside everything else that decides: the first match, rules without
//! ports, the default, the never list, own addresses.

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::{
    model::{Policy, Transport},
    sample::{allow, deny, open_policy, policy},
};

fn v4(source: &str) -> PacketBuilder {
    packet().from(source)
}

fn v6(source: &str) -> PacketBuilder {
    packet_v6().from(source)
}

fn syn(base: PacketBuilder, port: u16) -> PacketBuilder {
    base.tcp(port, TcpFlags::SYN)
}

fn check(policy: &Policy, table: &[(&str, PacketBuilder, Reason)]) {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(policy);
    for (case, frame, reason) in table {
        guard.expect(case, &frame.build(), *reason);
    }
}

#[test]
fn the_first_match_wins_whatever_it_says() {
    let (bad, rest) = ("203.0.113.66", "203.0.113.67");
    check(
        &policy([deny().from("203.0.113.66/32"), allow().tcp(80)]),
        &[
            ("denied", syn(v4(bad), 80), RuleDeny),
            ("the rest", syn(v4(rest), 80), RuleAllow),
            ("denied on a port without a rule", v4(bad).udp(9), RuleDeny),
        ],
    );
    check(
        &policy([allow().tcp(80), deny().from("203.0.113.66/32")]),
        &[
            ("allowed before it is denied", syn(v4(bad), 80), RuleAllow),
            ("denied elsewhere", v4(bad).udp(9), RuleDeny),
        ],
    );
    check(
        &policy([
            allow().tcp(22).from("10.1.2.3/32"),
            deny().tcp(22).from("10.1.0.0/16"),
            allow()
                .ports(Transport::Tcp, &[(1, 1023)])
                .from("10.0.0.0/8"),
            deny().tcp(22),
        ]),
        &[
            ("the exception", syn(v4("10.1.2.3"), 22), RuleAllow),
            ("the denied network", syn(v4("10.1.2.4"), 22), RuleDeny),
            ("the network around it", syn(v4("10.2.0.1"), 22), RuleAllow),
            (
                "the denied network on another port",
                syn(v4("10.1.2.4"), 23),
                RuleAllow,
            ),
            ("everybody else", syn(v4("11.0.0.1"), 22), RuleDeny),
            ("the other family", syn(packet_v6(), 22), RuleDeny),
        ],
    );
}

#[test]
fn rules_without_ports_are_asked_in_their_place() {
    check(
        &policy([deny().tcp(25), allow().from("10.0.0.0/8"), allow().tcp(80)]),
        &[
            ("denied before", syn(v4("10.1.1.1"), 25), RuleDeny),
            ("any TCP port", syn(v4("10.1.1.1"), 4000), RuleAllow),
            ("any UDP port", v4("10.1.1.1").udp(4000), RuleAllow),
            (
                "any protocol",
                v4("10.1.1.1").protocol(47, &[0; 4]),
                RuleAllow,
            ),
            ("ping", v4("10.1.1.1").icmp(8, 0), RuleAllow),
            ("somebody else", syn(v4("11.1.1.1"), 4000), DefaultDrop),
            (
                "somebody else on the open port",
                syn(v4("11.1.1.1"), 80),
                RuleAllow,
            ),
        ],
    );
}

#[test]
fn a_default_of_allow_lets_in_what_no_rule_denies() {
    check(
        &open_policy([deny().tcp(25), deny().from("203.0.113.0/24")]),
        &[
            ("no rule", syn(packet(), 80), DefaultAllow),
            ("no rule in IPv6", packet_v6().udp(9), DefaultAllow),
            ("a denied port", syn(packet_v6(), 25), RuleDeny),
            ("a denied source", v4("203.0.113.9").icmp(8, 0), RuleDeny),
            ("a forgery even so", packet().tcp(80, 0), TcpNull),
        ],
    );
}

#[test]
fn the_never_list_opens_no_port() {
    let mut policy = policy([allow().tcp(22)]);
    policy.never = vec![
        "198.51.100.0/24".parse().unwrap(),
        "2001:db8:100::/48".parse().unwrap(),
    ];
    check(
        &policy,
        &[
            ("the port", syn(packet(), 22), RuleAllow),
            ("another port", syn(packet(), 23), DefaultDrop),
            ("another port in IPv6", packet_v6().udp(53), DefaultDrop),
        ],
    );
}

#[test]
fn an_own_address_is_no_source_even_where_a_rule_allows_it() {
    check(
        &policy([allow().from("192.0.2.1/32"), allow().tcp(22)]),
        &[
            ("by any port", syn(v4("192.0.2.1"), 22), OwnSource),
            ("its neighbour", syn(v4("192.0.2.2"), 22), RuleAllow),
            ("in IPv6", syn(v6("2001:db8:2::1"), 22), OwnSource),
        ],
    );
}
