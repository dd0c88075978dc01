//! Rules: one table per thing that a rule can ask for.

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::{Harness, TEST_INTERFACE},
    require,
};
use guard_user::ruleset::{
    icmp::IcmpType,
    model::{Policy, Traffic, Transport},
    sample::{SampleDraft, allow, deny, policy},
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

/// The same for a policy of one allow rule.
fn check_rule(rule: SampleDraft, table: &[(&str, PacketBuilder, Reason)]) {
    check(&policy([rule]), table);
}

#[test]
fn a_port_is_one_port_of_one_transport_in_both_families() {
    for (rule, open, closed) in [
        (allow().tcp(22), syn(packet(), 22), packet().udp(22)),
        (allow().udp(22), packet().udp(22), syn(packet(), 22)),
        (allow().tcp(22), syn(packet_v6(), 22), packet_v6().udp(22)),
        (allow().udp(22), packet_v6().udp(22), syn(packet_v6(), 22)),
    ] {
        let table = [("it", open, RuleAllow), ("the other", closed, DefaultDrop)];
        check_rule(rule, &table);
    }
}

#[test]
fn a_rule_for_both_transports_opens_both() {
    check_rule(
        allow().ports(Transport::Both, &[(53, 53)]),
        &[
            ("TCP", syn(packet(), 53), RuleAllow),
            ("UDP", packet().udp(53), RuleAllow),
            ("UDP in IPv6", packet_v6().udp(53), RuleAllow),
            ("another", packet().udp(54), DefaultDrop),
        ],
    );
}

#[test]
fn a_range_holds_its_ends_and_nothing_beside_them() {
    check_rule(
        allow().ports(Transport::Udp, &[(0, 0), (6000, 6007), (65535, 65535)]),
        &[
            ("port 0", packet().udp(0), RuleAllow),
            ("port 1", packet().udp(1), DefaultDrop),
            ("below", packet().udp(5999), DefaultDrop),
            ("first", packet().udp(6000), RuleAllow),
            ("inside", packet_v6().udp(6003), RuleAllow),
            ("last", packet().udp(6007), RuleAllow),
            ("above", packet_v6().udp(6008), DefaultDrop),
            ("below the last port", packet().udp(65534), DefaultDrop),
            ("the last port", packet_v6().udp(65535), RuleAllow),
            (
                "the first TCP port",
                packet().tcp(0, TcpFlags::ACK),
                DefaultDrop,
            ),
        ],
    );
}

#[test]
fn a_whole_transport_is_every_port_of_it() {
    check_rule(
        allow().ports(Transport::Tcp, &[(0, 65535)]),
        &[
            ("port 0", syn(packet(), 0), RuleAllow),
            ("port 65535", syn(packet_v6(), 65535), RuleAllow),
            ("the first UDP port", packet().udp(0), DefaultDrop),
        ],
    );
}

#[test]
fn a_protocol_is_a_number_with_all_its_types() {
    check_rule(
        allow().protocol(47),
        &[
            ("GRE", packet().protocol(47, &[0; 4]), RuleAllow),
            ("GRE in IPv6", packet_v6().protocol(47, &[0; 4]), RuleAllow),
            ("ESP", packet().protocol(50, &[0; 8]), DefaultDrop),
            ("TCP port 47", syn(packet(), 47), DefaultDrop),
        ],
    );
    check_rule(
        allow().protocol(1),
        &[
            ("ping", packet().icmp(8, 0), RuleAllow),
            ("time exceeded", packet().icmp(11, 0), RuleAllow),
            ("a redirect even so", packet().icmp(5, 0), IcmpRedirect),
            ("ICMPv6", packet_v6().icmp(128, 0), DefaultDrop),
        ],
    );
    check_rule(
        allow().protocol(58),
        &[
            ("ping", packet_v6().icmp(128, 0), RuleAllow),
            ("packet too big", packet_v6().icmp(2, 0), RuleAllow),
            (
                "forged discovery even so",
                packet_v6().icmp(135, 0),
                NdpOffLink,
            ),
            ("ICMP", packet().icmp(8, 0), DefaultDrop),
        ],
    );
}

#[test]
fn ping_is_the_echo_request_of_both_families_and_nothing_else() {
    check_rule(
        allow().ping(),
        &[
            ("IPv4", packet().icmp(8, 0), RuleAllow),
            ("IPv6", packet_v6().icmp(128, 0), RuleAllow),
            ("echo reply", packet().icmp(0, 0), DefaultDrop),
            ("echo reply in IPv6", packet_v6().icmp(129, 0), DefaultDrop),
            ("timestamp request", packet().icmp(13, 0), DefaultDrop),
            ("type 128 in IPv4", packet().icmp(128, 0), DefaultDrop),
            ("type 8 in IPv6", packet_v6().icmp(8, 0), DefaultDrop),
        ],
    );
}

#[test]
fn a_type_of_icmp_is_one_message_of_each_family_that_has_it() {
    let time_exceeded = IcmpType::parse(1, "time-exceeded").expect("a name");
    check_rule(
        allow().traffic(Traffic::Icmp(time_exceeded)),
        &[
            (
                "IPv4, about nothing of ours",
                packet().icmp(11, 0),
                RuleAllow,
            ),
            (
                "IPv6, about nothing of ours",
                packet_v6().icmp(3, 0),
                RuleAllow,
            ),
            ("another error", packet().icmp(3, 1), IcmpUnrelated),
            (
                "another error in IPv6",
                packet_v6().icmp(1, 0),
                IcmpUnrelated,
            ),
            ("type 11 in IPv6", packet_v6().icmp(11, 0), DefaultDrop),
            ("ping", packet().icmp(8, 0), DefaultDrop),
        ],
    );
    let timestamp = IcmpType::parse(1, "13").expect("a number");
    check_rule(
        allow()
            .traffic(Traffic::Icmp(timestamp))
            .from("203.0.113.0/24"),
        &[
            (
                "its source",
                packet()
                    .from_ip("203.0.113.7".parse().expect("an address"))
                    .icmp(13, 0),
                RuleAllow,
            ),
            ("another source", packet().icmp(13, 0), DefaultDrop),
            ("type 13 in IPv6", packet_v6().icmp(13, 0), DefaultDrop),
        ],
    );
    let last = IcmpType::parse(58, "255").expect("a number");
    check_rule(
        allow().traffic(Traffic::Icmp(last)),
        &[
            ("the last type", packet_v6().icmp(255, 0), RuleAllow),
            (
                "the last type of the other",
                packet().icmp(255, 0),
                DefaultDrop,
            ),
        ],
    );
}

#[test]
fn a_source_prefix_holds_its_first_and_its_last_address() {
    let rule = || {
        allow()
            .tcp(9000)
            .from("203.0.113.64/26")
            .from("2001:db8:77::/49")
    };
    check_rule(
        rule(),
        &[
            ("one below", syn(v4("203.0.113.63"), 9000), DefaultDrop),
            ("the first", syn(v4("203.0.113.64"), 9000), RuleAllow),
            ("the last", syn(v4("203.0.113.127"), 9000), RuleAllow),
            ("one above", syn(v4("203.0.113.128"), 9000), DefaultDrop),
            ("another port", syn(v4("203.0.113.64"), 9001), DefaultDrop),
            (
                "the first of IPv6",
                syn(v6("2001:db8:77::"), 9000),
                RuleAllow,
            ),
            (
                "the last of IPv6",
                syn(v6("2001:db8:77:7fff:ffff:ffff:ffff:ffff"), 9000),
                RuleAllow,
            ),
            (
                "one above in IPv6",
                syn(v6("2001:db8:77:8000::"), 9000),
                DefaultDrop,
            ),
            (
                "one below in IPv6",
                syn(v6("2001:db8:76:ffff::"), 9000),
                DefaultDrop,
            ),
        ],
    );
}

#[test]
fn a_single_address_is_a_prefix_too() {
    check_rule(
        allow().tcp(9000).from("1.1.1.1/32").from("2001:db8::1/128"),
        &[
            ("it", syn(v4("1.1.1.1"), 9000), RuleAllow),
            ("its neighbour", syn(v4("1.1.1.0"), 9000), DefaultDrop),
            ("it in IPv6", syn(v6("2001:db8::1"), 9000), RuleAllow),
            (
                "its neighbour in IPv6",
                syn(v6("2001:db8::"), 9000),
                DefaultDrop,
            ),
            // ::1.1.1.1 and 1.1.1.1 share their low 32 bits only.
            (
                "the same low bits in IPv6",
                syn(v6("::1.1.1.1"), 9000),
                DefaultDrop,
            ),
        ],
    );
}

#[test]
fn every_address_of_one_family_is_not_the_other_family() {
    check_rule(
        allow().tcp(80).from("0.0.0.0/0"),
        &[
            ("IPv4", syn(packet(), 80), RuleAllow),
            ("IPv6", syn(packet_v6(), 80), DefaultDrop),
        ],
    );
    check_rule(
        allow().tcp(80).from("::/0"),
        &[
            ("IPv4", syn(packet(), 80), DefaultDrop),
            ("IPv6", syn(packet_v6(), 80), RuleAllow),
        ],
    );
}

#[test]
fn a_destination_prefix_is_asked_of_the_destination() {
    check_rule(
        allow().udp(53).to("192.0.2.1/32").to("2001:db8:2::/64"),
        &[
            ("there", packet().to("192.0.2.1").udp(53), RuleAllow),
            ("beside it", packet().to("192.0.2.2").udp(53), DefaultDrop),
            (
                "there in IPv6",
                packet_v6().to("2001:db8:2::9").udp(53),
                RuleAllow,
            ),
            (
                "beside it in IPv6",
                packet_v6().to("2001:db8:2:1::9").udp(53),
                DefaultDrop,
            ),
            (
                "it as a source",
                packet().from("192.0.2.9").to("9.9.9.9").udp(53),
                DefaultDrop,
            ),
        ],
    );
}

#[test]
fn an_interface_is_where_the_packet_came_in() {
    let open = syn(packet(), 22);
    check_rule(
        allow().tcp(22).on(TEST_INTERFACE),
        &[("here", open.clone(), RuleAllow)],
    );
    check_rule(
        allow().tcp(22).on("eth0"),
        &[("elsewhere", open.clone(), DefaultDrop)],
    );
    check_rule(
        allow().on("absent0"),
        &[("not there at all", open.clone(), DefaultDrop)],
    );
    let twice = [
        deny().tcp(22).on("eth1"),
        deny().on("eth0"),
        allow().tcp(22).on(TEST_INTERFACE),
    ];
    check(
        &policy(twice),
        &[("past rules for other interfaces", open, RuleAllow)],
    );
}

#[test]
fn a_set_is_all_its_prefixes_and_an_empty_set_is_none() {
    let set = ["198.51.100.0/24", "203.0.113.5/32", "2001:db8:aa::/48"];
    check_rule(
        allow().tcp(22).from("10.0.0.0/8").from_set("friends", &set),
        &[
            ("inline", syn(v4("10.9.9.9"), 22), RuleAllow),
            ("first of the set", syn(v4("198.51.100.9"), 22), RuleAllow),
            ("second of the set", syn(v4("203.0.113.5"), 22), RuleAllow),
            ("third of the set", syn(v6("2001:db8:aa::1"), 22), RuleAllow),
            ("outside", syn(v4("203.0.113.6"), 22), DefaultDrop),
        ],
    );
    check_rule(
        allow().tcp(22).from_set("none", &[]),
        &[("nobody", syn(packet(), 22), DefaultDrop)],
    );
    check_rule(
        allow().tcp(22).to_set("none", &[]),
        &[("nowhere", syn(packet(), 22), DefaultDrop)],
    );
}

#[test]
fn a_disabled_rule_matches_nothing_and_the_others_keep_their_numbers() {
    let rules = [
        deny().tcp(22).from("10.0.0.0/8").disabled(),
        allow().from("2001:db8:bad::/48").disabled(),
        allow()
            .tcp(80)
            .to("192.0.2.0/24")
            .on("elsewhere")
            .disabled(),
        allow().tcp(22),
    ];
    check(
        &policy(rules),
        &[
            ("not denied", syn(v4("10.9.9.9"), 22), RuleAllow),
            ("not denied", syn(v6("2001:db8:bad::1"), 22), RuleAllow),
            ("not let in", syn(v6("2001:db8:bad::1"), 80), DefaultDrop),
            ("not let in", syn(packet(), 80), DefaultDrop),
        ],
    );
    check(
        &policy([deny().tcp(22), allow().tcp(22).disabled()]),
        &[
            ("denied", syn(packet(), 22), RuleDeny),
            ("denied", syn(packet_v6(), 22), RuleDeny),
        ],
    );
    check_rule(
        allow().disabled(),
        &[
            ("nobody", syn(packet(), 22), DefaultDrop),
            ("nobody", packet_v6().udp(53), DefaultDrop),
        ],
    );
}

#[test]
fn a_ping_is_let_in_from_the_sources_of_its_rule_alone() {
    check_rule(
        allow()
            .ping()
            .from("198.51.100.0/24")
            .from("2001:db8:aa::/48"),
        &[
            ("named", v4("198.51.100.9").icmp(8, 0), RuleAllow),
            ("named", v6("2001:db8:aa::1").icmp(128, 0), RuleAllow),
            ("other", v4("203.0.113.9").icmp(8, 0), DefaultDrop),
            ("other", v6("2001:db8:bb::1").icmp(128, 0), DefaultDrop),
            ("timestamp", v4("198.51.100.9").icmp(13, 0), DefaultDrop),
            ("node query", v6("2001:db8:aa::1").icmp(139, 0), DefaultDrop),
        ],
    );
}
