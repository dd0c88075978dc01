//! Answers of DHCP pass without a rule, and whoever pleases can send them from anywhere: as far as the ceiling,
//! unless this host asked that server. Kernel and model give the same answer.

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
/// The ceiling of these policies: an answer per second, and two at once.
const BURST: usize = 2;
/// Policies of tests are compiled for 250 jiffies in a second.
const HZ: u64 = 250;

fn guard(change: impl FnOnce(&mut Policy)) -> Harness {
    let mut policy = Policy {
        ceiling: Ceiling::per_second(1),
        ..Policy::default()
    };
    change(&mut policy);
    Harness::new(&policy)
}

fn answer(base: PacketBuilder) -> Vec<u8> {
    base.udp_between(SERVER, CLIENT).payload(300).build()
}

/// Nobody else's share is looked at: each is of a prefix of its own.
fn servers() -> impl Iterator<Item = PacketBuilder> {
    (0..=255).map(|number| packet().from(&format!("198.18.{number}.1")))
}

fn spend(guard: &mut Harness) {
    for server in servers().take(BURST) {
        guard.expect("within the burst", &answer(server), Dhcpv4);
    }
}

#[test]
fn a_flood_of_answers_passes_as_far_as_the_ceiling() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|_| {});
    spend(&mut guard);
    for server in servers().take(20) {
        guard.expect("above", &answer(server), Reason::Ceiling);
    }
    for (case, base) in [
        ("to everyone", packet().to("255.255.255.255")),
        ("in a VLAN", packet().vlan(0x8100)),
        ("in two", packet().vlan(0x88a8).vlan(0x8100)),
        ("with IP options", packet().options(&[1, 1, 1, 0])),
    ] {
        guard.expect(case, &answer(base), Reason::Ceiling);
    }
    let now = guard.jiffies();
    guard.set_jiffies(now + HZ);
    let mut servers = servers();
    let mut next = || answer(servers.next().expect("256 of them"));
    guard.expect("a second later", &next(), Dhcpv4);
    guard.expect("and no other", &next(), Reason::Ceiling);
    guard.assert_identical();
}

#[test]
fn a_network_that_floods_leaves_room_for_the_server() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|policy| policy.ceiling = Ceiling::per_second(40));
    let flood = answer(packet().from("198.18.1.1"));
    let server = answer(packet().from("198.18.2.1"));
    let passed = (0..200).filter(|_| {
        let verdict = guard.model(&flood).verdict;
        let action = guard.verdict(&flood, None).expect("the frame is judged");
        assert_eq!(action, verdict.action, "{verdict:?}");
        verdict.reason == Dhcpv4
    });
    let passed = passed.count();
    assert!((40..=51).contains(&passed), "{passed} of the flood");
    guard.drain();
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
    for server in servers() {
        without.expect("no ceiling", &answer(server), Dhcpv4);
    }
}

#[test]
fn monitor_mode_drops_none() {
    if !require::root() {
        return;
    }
    let mut guard = guard(|policy| policy.default = DefaultAction::Monitor);
    for (number, server) in servers().take(20).enumerate() {
        let reason = if number < BURST {
            Dhcpv4
        } else {
            Reason::Ceiling
        };
        guard.expect_monitored("an answer", &answer(server), reason);
    }
    guard.assert_identical();
}
