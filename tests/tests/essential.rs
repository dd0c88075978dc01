//! What a default drop must never break (acceptance A6, the packets), what only looks like it, and
//! sources that no host can have.

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::{
    model::Policy,
    sample::{allow, open_policy, policy},
};

const ALL_NODES: &str = "ff02::1";
const LINK_LOCAL: &str = "fe80::1";
const ROUTER_ALERT: [u8; 7] = [0, 5, 2, 0, 0, 1, 0];
const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

type Table = Vec<(&'static str, PacketBuilder, Reason)>;

fn check(guard: &mut Harness, table: Table) {
    for (case, frame, reason) in table {
        guard.expect(case, &frame.build(), reason);
    }
}

fn ndp(kind: u8) -> PacketBuilder {
    packet_v6()
        .from(LINK_LOCAL)
        .to(ALL_NODES)
        .hop_limit(255)
        .icmp(kind, 0)
        .payload(16)
}

fn mld(kind: u8) -> PacketBuilder {
    packet_v6()
        .from(LINK_LOCAL)
        .to(ALL_NODES)
        .hop_limit(1)
        .icmp(kind, 0)
        .payload(20)
}

/// The ports of a bridge tell each other of loops in frames of 802.2.
#[test]
fn spanning_tree_passes_to_the_group_of_bridges_alone() {
    const BRIDGES: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];
    const LLC: [u8; 3] = [0x42, 0x42, 0x03];
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    let frame = |to: [u8; 6], len: u16, control: [u8; 3]| {
        let head = [&to[..], &[2, 0, 0, 0, 0, 2], &len.to_be_bytes(), &control];
        [head.concat(), vec![0; 43]].concat()
    };
    let others = [0x01, 0x80, 0xc2, 0, 0, 1];
    for (case, frame, reason) in [
        (
            "a bridge protocol data unit",
            frame(BRIDGES, 38, LLC),
            SpanningTree,
        ),
        ("to another group", frame(others, 38, LLC), NotIp),
        (
            "another protocol",
            frame(BRIDGES, 38, [0xaa, 0xaa, 3]),
            NotIp,
        ),
        ("an EtherType", frame(BRIDGES, 0x600, LLC), NotIp),
    ] {
        guard.expect(case, &frame, reason);
    }
}

#[test]
fn what_a_link_needs_is_told_by_its_ether_type() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    let of = |number| packet().ether_type(number);
    check(
        &mut guard,
        vec![
            ("ARP", of(0x0806), Arp),
            ("ARP behind a tag", of(0x0806).vlan(0x8100), Arp),
            ("LACP", of(0x8809), SlowProtocol),
            ("LLDP", of(0x88cc), Lldp),
            ("EAPOL", of(0x888e), Eapol),
            ("reverse ARP", of(0x8035), NotIp),
            (
                "a length instead of a type (spanning tree)",
                of(0x0026),
                NotIp,
            ),
            ("PPPoE", of(0x8864), NotIp),
            ("MPLS", of(0x8847), NotIp),
            ("the old double tag", of(0x9100), NotIp),
            ("a local experiment", of(0x88b5), NotIp),
        ],
    );
}

#[test]
fn neighbour_discovery_passes_only_when_it_was_sent_on_the_link() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&open_policy([allow()]));
    for kind in 133..=136 {
        check(
            &mut guard,
            vec![
                ("from the link", ndp(kind), Ndp),
                ("behind a tag", ndp(kind).vlan(0x8100), Ndp),
                ("from a global address", ndp(kind).from("2001:db8::5"), Ndp),
                ("routed", ndp(kind).hop_limit(254), NdpOffLink),
                (
                    "with the lowest hop limit",
                    ndp(kind).hop_limit(0),
                    NdpOffLink,
                ),
                (
                    "as an atomic fragment",
                    ndp(kind).fragment(0, false, 1),
                    NdpOffLink,
                ),
                (
                    "as a first fragment",
                    ndp(kind).fragment(0, true, 1),
                    NdpOffLink,
                ),
                (
                    "behind an extension header",
                    ndp(kind).extension(60, &PADDING),
                    NdpOffLink,
                ),
                (
                    "behind hop-by-hop options",
                    ndp(kind).extension(0, &PADDING),
                    NdpOffLink,
                ),
            ],
        );
    }
    let frames = vec![
        ("duplicate address detection", ndp(135).from("::"), Ndp),
        (
            "an advertisement from nowhere",
            ndp(136).from("::"),
            MartianSource,
        ),
        (
            "a router advertisement from nowhere",
            ndp(134).from("::"),
            MartianSource,
        ),
        ("a redirect", ndp(137), IcmpRedirect),
        ("an IPv4 redirect", packet().icmp(5, 1), IcmpRedirect),
    ];
    check(&mut guard, frames);
}

#[test]
fn the_other_familys_icmp_is_a_number_like_any_other() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().ping()]));
    for kind in 0..=u8::MAX {
        let message = [kind, 0, 0, 0, 0, 0, 0, 0];
        let v6_in_v4 = packet().hop_limit(255).protocol(58, &message);
        guard.expect("ICMPv6 in IPv4", &v6_in_v4.build(), DefaultDrop);
        let v4_in_v6 = packet_v6().protocol(1, &message).build();
        let reason = if kind == 5 { IcmpRedirect } else { DefaultDrop };
        guard.expect("ICMP in IPv6", &v4_in_v6, reason);
    }
}

#[test]
fn multicast_listener_discovery_needs_its_router_alert() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    let late_alert = [0, 1, 0, 5, 2, 0, 0];
    for kind in [130, 131, 132, 143] {
        let alert = || mld(kind).extension(0, &ROUTER_ALERT);
        check(
            &mut guard,
            vec![
                ("behind a router alert", alert(), Mld),
                ("padded in front", mld(kind).extension(0, &late_alert), Mld),
                (
                    "from an address that is not yet there",
                    alert().from("::"),
                    Mld,
                ),
                ("without options", mld(kind), DefaultDrop),
                (
                    "with other options",
                    mld(kind).extension(0, &PADDING),
                    DefaultDrop,
                ),
                ("routed", alert().hop_limit(2), DefaultDrop),
                (
                    "from a global address",
                    alert().from("2001:db8::5"),
                    DefaultDrop,
                ),
                ("fragmented", alert().fragment(0, true, 1), DefaultDrop),
                (
                    "in destination options",
                    mld(kind).extension(60, &ROUTER_ALERT),
                    DefaultDrop,
                ),
            ],
        );
    }
}

#[test]
fn multicast_membership_reports_stay_on_the_link() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    let igmp = || {
        packet()
            .to("224.0.0.1")
            .hop_limit(1)
            .protocol(2, &[0x11, 0, 0, 0, 0, 0, 0, 0])
    };
    check(
        &mut guard,
        vec![
            ("a query", igmp(), Igmp),
            (
                "a query with its router alert",
                igmp().options(&[148, 4, 0, 0]),
                Igmp,
            ),
            (
                "a report to a high group",
                igmp().to("239.255.255.250"),
                Igmp,
            ),
            (
                "from a host without an address",
                igmp().from("0.0.0.0"),
                Igmp,
            ),
            ("routed", igmp().hop_limit(64), DefaultDrop),
            ("to a host", igmp().to("192.0.2.1"), DefaultDrop),
            (
                "to the limited broadcast",
                igmp().to("255.255.255.255"),
                DefaultDrop,
            ),
            ("fragmented", igmp().fragment(0, true, 1), DefaultDrop),
        ],
    );
}

#[test]
fn answers_of_address_servers_pass() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    let v4 = || packet().udp_between(67, 68).payload(300);
    let v6 = || {
        packet_v6()
            .from(LINK_LOCAL)
            .udp_between(547, 546)
            .payload(100)
    };
    check(
        &mut guard,
        vec![
            ("DHCP", v4(), Dhcpv4),
            ("DHCP to everyone", v4().to("255.255.255.255"), Dhcpv4),
            (
                "DHCP from a server without an address",
                v4().from("0.0.0.0"),
                Dhcpv4,
            ),
            (
                "DHCP from a loopback address",
                v4().from("127.0.0.1"),
                MartianSource,
            ),
            ("a DHCP client", packet().udp_between(68, 67), DefaultDrop),
            (
                "from another port",
                packet().udp_between(66, 68),
                DefaultDrop,
            ),
            ("to another port", packet().udp_between(67, 69), DefaultDrop),
            (
                "by TCP",
                packet().tcp_between(67, 68, TcpFlags::SYN),
                DefaultDrop,
            ),
            ("in IPv6", packet_v6().udp_between(67, 68), DefaultDrop),
            ("DHCPv6", v6(), Dhcpv6),
            (
                "DHCPv6 from a global address",
                v6().from("2001:db8::5"),
                DefaultDrop,
            ),
            (
                "DHCPv6 ports in IPv4",
                packet().udp_between(547, 546),
                DefaultDrop,
            ),
            ("a DHCPv6 client", v6().udp_between(546, 547), DefaultDrop),
        ],
    );
}

#[test]
fn sources_that_no_host_can_have_are_dropped_on_open_ports_too() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow()]));
    for (source, reason) in [
        ("0.0.0.0", MartianSource),
        ("0.255.255.255", MartianSource),
        ("1.0.0.0", RuleAllow),
        ("126.255.255.255", RuleAllow),
        ("127.0.0.1", MartianSource),
        ("127.255.255.255", MartianSource),
        ("128.0.0.0", RuleAllow),
        ("223.255.255.255", RuleAllow),
        ("224.0.0.1", MartianSource),
        ("239.255.255.255", MartianSource),
        ("240.0.0.1", MartianSource),
        ("255.255.255.255", MartianSource),
        ("10.0.0.1", RuleAllow),
        ("100.64.0.1", RuleAllow),
        ("169.254.1.1", RuleAllow),
        ("192.168.1.1", RuleAllow),
        ("192.0.2.1", OwnSource),
        ("192.0.2.2", RuleAllow),
    ] {
        let from = |p: PacketBuilder| p.from(source).build();
        guard.expect(source, &from(packet().tcp(22, TcpFlags::SYN)), reason);
        guard.expect(source, &from(packet().udp(53)), reason);
        guard.expect(source, &from(packet().icmp(8, 0)), reason);
    }
    for (source, reason) in [
        ("::", MartianSource),
        ("::1", MartianSource),
        ("::2", RuleAllow),
        ("::ffff:10.0.0.1", MappedAddress),
        ("ff02::1", MartianSource),
        ("ff0e::1", MartianSource),
        ("feff::1", RuleAllow),
        ("fe80::5", RuleAllow),
        ("fd00::5", RuleAllow),
        ("64:ff9b::808:808", RuleAllow),
        ("2001:db8:2::1", OwnSource),
        ("2001:db8:2::2", RuleAllow),
    ] {
        let from = |p: PacketBuilder| p.from(source).build();
        guard.expect(source, &from(packet_v6().tcp(22, TcpFlags::SYN)), reason);
        guard.expect(source, &from(packet_v6().udp(53)), reason);
        guard.expect(source, &from(packet_v6().icmp(128, 0)), reason);
    }
}
