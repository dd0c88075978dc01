//! Answers of DHCP pass without a rule, and whoever pleases can send them from anywhere: as far as a ceiling of
//! their own, unless this host asked that server. Kernel and model give the same answer.

use guard_common::{
    abi::reason::Reason::{self, Dhcpv4},
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::{
    ceiling::Ceiling,
    model::{DefaultAction, Policy},
    sample::{allow, policy},
};

const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// How many pass in a second, and how many at once.
const RATE: usize = 1000;
const BURST: usize = 2000;
/// Policies of tests are compiled for 250 jiffies in a second.
const HZ: u64 = 250;

fn guard(change: impl FnOnce(&mut Policy)) -> Harness {
    let mut policy = Policy::default();
    change(&mut policy);
    Harness::new(&policy)
}

fn answer(base: PacketBuilder) -> Vec<u8> {
    base.udp_between(SERVER, CLIENT).payload(300).build()
}

/// From prefixes of their own: nobody's share is looked at.
fn flood(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|number| {
        let [.., a, b] = number.to_be_bytes();
        answer(packet().from(&format!("198.{a}.{b}.1")))
    })
}

fn spend(guard: &mut Harness) {
    assert_eq!(guard.passing(flood(BURST + 100), Dhcpv4), BURST);
}

#[test]
fn a_flood_of_answers_passes_as_far_as_the_ceiling() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    spend(&mut guard);
    for (case, base) in [
        ("the plainest", packet()),
        ("to everyone", packet().to("255.255.255.255")),
        ("in a VLAN", packet().vlan(0x8100)),
        ("in two", packet().vlan(0x88a8).vlan(0x8100)),
        ("with IP options", packet().options(&[1, 1, 1, 0])),
    ] {
        guard.expect(case, &answer(base), Reason::Ceiling);
    }
    let now = guard.jiffies();
    guard.set_jiffies(now + HZ);
    assert_eq!(guard.passing(flood(BURST), Dhcpv4), RATE, "a second later");
    guard.assert_identical();
}

#[test]
fn a_policy_that_lets_ports_have_less_leaves_dhcp_what_it_has() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|policy| policy.ceiling = Ceiling::per_second(1));
    spend(&mut guard);
    guard.assert_identical();
}

#[test]
fn a_network_that_floods_leaves_room_for_the_server() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    let flood = answer(packet().from("198.18.1.1"));
    let passed = guard.passing(std::iter::repeat_n(flood, 3000), Dhcpv4);
    // Half of the burst, and the part of a prefix.
    assert!((1000..=1260).contains(&passed), "{passed} of the flood");
    let server = answer(packet().from("198.18.2.1"));
    guard.expect("of another network", &server, Dhcpv4);
    guard.assert_identical();
}

#[test]
fn the_server_that_this_host_asked_is_under_no_ceiling() {
    if !require::root() {
        return;
    }
    for vlan in [None, Some(0x8100)] {
        let tagged = |base: PacketBuilder| match vlan {
            Some(kind) => base.vlan(kind),
            None => base,
        };
        let mut guard = guard(|_| {});
        let asks = packet().from("192.0.2.1").to("203.0.113.67");
        let asks = tagged(asks).udp_between(CLIENT, SERVER).payload(300);
        let mut asks = asks.build();
        let at = if vlan.is_some() { 50 } else { 46 };
        asks[at..at + 4].copy_from_slice(&[1; 4]);
        guard.sends(&asks);
        let own = |from: &str| answer(tagged(packet().from(from).to("192.0.2.1")));
        spend(&mut guard);
        for _ in 0..10 {
            guard.expect("its renewal", &own("203.0.113.67"), Dhcpv4);
            guard.expect("another server", &own("203.0.113.68"), Reason::Ceiling);
        }
        guard.assert_identical();
    }
}

#[test]
fn the_never_list_is_under_no_ceiling_and_off_is_none() {
    if !require::root() {
        return;
    }
    let mut with_friend = guard(|policy| {
        policy.never = vec!["203.0.113.9/32".parse().expect("a prefix")];
    });
    spend(&mut with_friend);
    for _ in 0..10 {
        let friend = answer(packet().from("203.0.113.9"));
        with_friend.expect("the never list", &friend, Dhcpv4);
        let stranger = answer(packet().from("203.0.113.8"));
        with_friend.expect("who is not on it", &stranger, Reason::Ceiling);
    }
    let mut without = guard(|policy| policy.ceiling = Ceiling::Off);
    assert_eq!(without.passing(flood(2 * BURST), Dhcpv4), 2 * BURST);
}

#[test]
fn monitor_mode_drops_none() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|policy| policy.default = DefaultAction::Monitor);
    spend(&mut guard);
    guard.expect_monitored("one more", &answer(packet()), Reason::Ceiling);
    guard.assert_identical();
}

/// A question that begins this transaction, from an interface without an address.
fn question(transaction: u32) -> Vec<u8> {
    let asks = packet().from("0.0.0.0").to("255.255.255.255");
    let mut frame = asks.udp_between(CLIENT, SERVER).payload(300).build();
    frame[46..50].copy_from_slice(&transaction.to_be_bytes());
    frame
}

fn offer(transaction: u32, base: PacketBuilder) -> Vec<u8> {
    let mut frame = answer(base);
    let at = if frame[12] == 0x81 { 50 } else { 46 };
    frame[at..at + 4].copy_from_slice(&transaction.to_be_bytes());
    frame
}

#[test]
fn an_answer_to_the_transaction_that_this_host_began_passes_under_a_forged_flood() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    guard.sends(&question(0x1234_5678));
    spend(&mut guard);
    let server = || packet().from("203.0.113.67");
    for (case, base) in [
        ("to all", server().to("255.255.255.255")),
        ("to the address that it offers", server().to("192.0.2.77")),
        ("in a VLAN", server().vlan(0x8100).to("192.0.2.77")),
    ] {
        guard.expect(case, &offer(0x1234_5678, base.clone()), Dhcpv4);
        let forged = offer(0x1234_5679, base.to("255.255.255.255"));
        guard.expect("of another transaction", &forged, Reason::Ceiling);
    }
    guard.wait_ticks(181);
    let late = offer(0x1234_5678, server().to("192.0.2.77"));
    guard.expect("three minutes later", &late, Reason::DhcpUnasked);
    guard.assert_identical();
}

#[test]
fn an_unasked_answer_to_somebody_else_does_not_pass() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    for to in ["192.0.2.255", "198.18.0.1", "224.0.0.1"] {
        let frame = answer(packet().from("203.0.113.67").to(to));
        guard.expect(to, &frame, Reason::DhcpUnasked);
    }
    for to in ["255.255.255.255", "192.0.2.1"] {
        let frame = answer(packet().from("203.0.113.67").to(to));
        guard.expect(to, &frame, Dhcpv4);
    }
    let monitored = self::guard(|policy| policy.default = DefaultAction::Monitor);
    let frame = answer(packet().from("203.0.113.67").to("198.18.0.1"));
    let verdict = monitored.model(&frame).verdict;
    assert_eq!(verdict.reason, Reason::DhcpUnasked);
    assert_eq!(verdict.action, guard_common::abi::reason::Action::Pass);
}

#[test]
fn whoever_has_no_address_yet_reaches_a_server_of_dhcp_that_a_rule_opens() {
    if !require::root() {
        return;
    }
    let mut closed = guard(|_| {});
    closed.expect("no rule", &question(1), Reason::DefaultDrop);
    let mut open = Harness::new(&policy([allow().udp(SERVER)]));
    open.expect("a rule", &question(1), Reason::RuleAllow);
    let asks = |to: &str| packet().from("0.0.0.0").to(to);
    for (case, frame) in [
        (
            "to one address",
            asks("192.0.2.1").udp_between(CLIENT, SERVER),
        ),
        (
            "to another port",
            asks("255.255.255.255").udp_between(CLIENT, 53),
        ),
        (
            "from another port",
            asks("255.255.255.255").udp_between(67, 67),
        ),
        (
            "from another nowhere",
            asks("255.255.255.255")
                .from("0.0.0.1")
                .udp_between(CLIENT, SERVER),
        ),
    ] {
        open.expect(case, &frame.build(), Reason::MartianSource);
    }
}

#[test]
fn servers_of_dhcpv6_that_are_not_on_the_link_answer_below_the_ceiling() {
    const SERVER_V6: u16 = 547;
    const CLIENT_V6: u16 = 546;
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    let answer = |from: &str, to: &str| {
        let answer = packet_v6().from(from).to(to);
        answer.udp_between(SERVER_V6, CLIENT_V6).payload(100)
    };
    let flood = (0..BURST + 100).map(|number| {
        let from = format!("2001:db8:{number:x}::547");
        answer(&from, "fe80::1").build()
    });
    assert_eq!(guard.passing(flood, Reason::Dhcpv6), BURST);
    let unique_local = answer("fd00::547", "fe80::1");
    guard.expect("above it", &unique_local.clone().build(), Reason::Ceiling);
    guard.expect(
        "on the link",
        &answer("fe80::547", "fe80::1").build(),
        Reason::Dhcpv6,
    );
    let asks = packet_v6().from("fe80::1").to("ff02::1:2");
    let mut asks = asks.udp_between(CLIENT_V6, SERVER_V6).payload(100).build();
    asks[62..66].copy_from_slice(&[1, 0xab, 0xcd, 0xef]);
    guard.sends(&asks);
    let mut awaited = unique_local.build();
    awaited[62..66].copy_from_slice(&[2, 0xab, 0xcd, 0xef]);
    guard.expect("to what was asked", &awaited, Reason::Dhcpv6);
    guard.expect(
        "to a global address",
        &answer("2001:db8::547", "2001:db8:2::1").build(),
        Reason::DefaultDrop,
    );
    guard.assert_identical();
}
