//! Answers of DHCP pass without a rule, and whoever pleases can send them from anywhere: as far as a ceiling of
//! their own, unless this host asked that server. Kernel and model give the same answer.

use guard_common::{
    abi::reason::Reason::{self, Dhcpv4},
    testing::{PacketBuilder, packet},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::{
    ceiling::Ceiling,
    model::{DefaultAction, Policy},
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
        guard.sends(&asks.build());
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
