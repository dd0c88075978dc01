//! What every frame has in common: it is counted once, by its reason, and left as it was; a new
//! policy holds from the next frame on.

use std::net::Ipv4Addr;

use guard_common::{
    abi::{
        ban::BanMap,
        form, names,
        reason::{Action, Reason},
        service::ServiceKind,
        switch::{SlotState, SwitchWord},
    },
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6, random::Random},
};
use guard_tests::{
    harness::{Harness, boot_time_ns},
    require,
};
use guard_user::{
    bans::Prefix,
    dataplane::clock,
    ruleset::{
        model::Policy,
        sample::{allow, deny, policy},
    },
};

#[test]
fn an_empty_policy_drops_every_new_connection_and_counts_it_once() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&Policy::default());
    for (frame, service) in [
        (packet().tcp(22, TcpFlags::SYN), ServiceKind::Tcp(22)),
        (
            packet_v6().tcp(65535, TcpFlags::SYN),
            ServiceKind::Tcp(65535),
        ),
        (packet().udp(53), ServiceKind::Udp(53)),
        (packet_v6().udp(0), ServiceKind::Udp(0)),
        (packet().icmp(8, 0), ServiceKind::Icmp(8)),
        (packet_v6().icmp(128, 0), ServiceKind::Icmpv6(128)),
        (packet().icmp(0, 0), ServiceKind::Icmp(0)),
        (packet_v6().icmp(255, 0), ServiceKind::Icmpv6(255)),
        (packet().protocol(47, &[0; 4]), ServiceKind::Protocol(47)),
        (packet_v6().protocol(255, &[]), ServiceKind::Protocol(255)),
    ] {
        let run = guard.run(&frame.build());

        assert_eq!(run.action, Action::Drop, "{service:?}");
        assert_eq!(run.counted, [Reason::DefaultDrop]);
        assert_eq!(run.services, [(service, Action::Drop)]);
        assert!(run.bytes_unchanged);
    }
}

#[test]
fn a_port_with_a_rule_passes_and_its_neighbours_do_not() {
    if !require::root() {
        return;
    }
    for mut guard in [
        Harness::new(&policy([allow().tcp(22)])),
        Harness::with_shared_counters(&policy([allow().tcp(22)])),
    ] {
        for base in [packet(), packet_v6()] {
            let syn = |port| base.clone().tcp(port, TcpFlags::SYN).payload(3).build();
            guard.expect("the port", &syn(22), Reason::RuleAllow);
            guard.expect("one below", &syn(21), Reason::DefaultDrop);
            guard.expect("one above", &syn(23), Reason::DefaultDrop);
            let udp = base.clone().udp(22).build();
            guard.expect("the other transport", &udp, Reason::DefaultDrop);
        }
    }
}

#[test]
fn frames_of_ipv6_have_a_program_of_their_own_and_the_same_verdict_without_it() {
    if !require::root() {
        return;
    }
    const TAG: u16 = 0x8100;
    const HOP_BY_HOP: u8 = 0;
    const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    let syn = |base: PacketBuilder, port| base.tcp(port, TcpFlags::SYN).build();
    // Near this host's own addresses, whom a rule may name, a source takes the full path.
    let v6 = || packet_v6().from("2a00:db8::7");
    let others = || [v6(), v6().vlan(TAG)];
    // That program has no word on extension headers, and sends them back.
    let back = || [v6(), v6().vlan(TAG)].map(|base| base.extension(HOP_BY_HOP, &PADDING));
    let never_there = || [packet(), packet().vlan(TAG), v6().vlan(TAG).vlan(TAG)];
    let expect_open = |guard: &mut Harness, base| {
        guard.expect("open", &syn(base, 22), Reason::RuleAllow);
    };
    let expect_closed = |guard: &mut Harness, base| {
        guard.expect("closed", &syn(base, 23), Reason::DefaultDrop);
    };
    let clear = |guard: &mut Harness, place| {
        let mut places = guard.object().forms().expect("the places");
        places.clear_index(&place).expect("a place");
    };
    for base in others().into_iter().chain(back()).chain(never_there()) {
        expect_open(&mut guard, base.clone());
        expect_closed(&mut guard, base);
    }

    // Where nobody can come back to, what was sent back is dropped, and the rest decided as before.
    clear(&mut guard, form::BACK);
    for base in others().into_iter().chain(never_there()) {
        expect_open(&mut guard, base.clone());
        expect_closed(&mut guard, base);
    }
    let [base, _] = back();
    guard.verdict(&syn(base, 22), None).unwrap_err();
    assert_eq!(guard.drain_reasons(), []);

    // Without that program everything takes the full path.
    clear(&mut guard, form::OTHERS);
    for base in others().into_iter().chain(back()).chain(never_there()) {
        expect_open(&mut guard, base.clone());
        expect_closed(&mut guard, base);
    }
}

#[test]
fn packets_and_bytes_add_up_over_many_frames() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::with_shared_counters(&policy([deny().udp(9)]));
    let mut bytes = 0;
    for payload in 0..100 {
        let frame = packet().udp(9).payload(payload).build();
        bytes += frame.len() as u64;
        guard.verdict(&frame, None).expect("runs");
    }
    let counted = guard.drain_reasons();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].0, Reason::RuleDeny);
    assert_eq!((counted[0].1.packets, counted[0].1.bytes), (100, bytes));
}

#[test]
fn a_new_policy_holds_from_the_next_frame_on() {
    if !require::root() {
        return;
    }
    let (one, two) = (policy([allow().tcp(1000)]), policy([allow().tcp(2000)]));
    let mut guard = Harness::new(&one);
    let syn = |port| packet().tcp(port, TcpFlags::SYN).build();
    for _ in 0..3 {
        guard.apply(&one);
        guard.expect("of the first", &syn(1000), Reason::RuleAllow);
        guard.expect("of the second", &syn(2000), Reason::DefaultDrop);
        guard.apply(&two);
        guard.expect("of the first", &syn(1000), Reason::DefaultDrop);
        guard.expect("of the second", &syn(2000), Reason::RuleAllow);
    }
}

#[test]
fn after_the_deadline_the_program_itself_returns_to_the_previous_policy() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(1000)]));
    let syn = packet().tcp(1000, TcpFlags::SYN).build();
    let slots = guard.object().slots().expect("slots");
    let previous = slots.switch().active();
    let empty = slots.stage(&[]);
    let second = 1_000_000_000;

    slots.switch_to(SwitchWord::pending(
        empty,
        previous,
        boot_time_ns() + 60 * second,
    ));
    assert_eq!(guard.run(&syn).counted, [Reason::DefaultDrop]);

    slots.switch_to(SwitchWord::pending(
        empty,
        previous,
        boot_time_ns() - second,
    ));
    assert_eq!(guard.run(&syn).counted, [Reason::RuleAllow]);
}

#[test]
fn a_program_without_a_policy_drops_what_is_not_essential() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow()]));
    let switch = guard.object().slots().expect("slots");
    let untouched = SlotState::new((switch.switch().active().slot() + 1) % 3, 0);
    switch.switch_to(SwitchWord::settled(untouched, untouched));

    let syn = packet().tcp(22, TcpFlags::SYN).build();
    assert_eq!(guard.run(&syn).counted, [Reason::DefaultDrop]);
    let arp = packet().ether_type(0x0806).build();
    assert_eq!(guard.run(&arp).counted, [Reason::Arp]);
    assert!(guard.object().map(names::POLICY).is_ok());
}

/// So many of 16.0.0.0/8, and as prefixes.
fn addresses(number: usize) -> (Vec<Ipv4Addr>, Vec<Prefix>) {
    let mut random = Random::new(1);
    (0..number)
        .map(|_| Ipv4Addr::from_bits(0x1000_0000 | random.number() as u32 >> 8))
        .map(|address| (address, Prefix::v4(address, 32)))
        .unzip()
}

fn ack_from(source: Ipv4Addr) -> Vec<u8> {
    packet()
        .from_ip(source.into())
        .tcp(22, TcpFlags::ACK)
        .build()
}

#[test]
fn the_fingerprint_filter_of_a_large_table_answers_for_it_until_the_first_ban_ends() {
    if !require::root() {
        return;
    }
    // As many eighths as a bucket counts in one, and what is banned for twenty of them.
    const UNIT: u32 = 1 << 17;
    const BANNED: usize = 500;
    let mut guard = Harness::with_ban_fingerprints(&policy([allow().tcp(22)]));
    let (banned, prefixes) = addresses(BANNED);
    guard.bans(&prefixes, 20 * UNIT);
    let other = Ipv4Addr::new(32, 1, 2, 3);
    // Behind a source that is banned others are asked about in another order than behind one that is not.
    let all_are = |guard: &mut Harness, when: &str, reason: Reason| {
        for (number, address) in banned.iter().enumerate() {
            guard.expect(when, &ack_from(*address), reason);
            if number % 3 == 0 {
                guard.expect(when, &ack_from(other), Reason::RuleAllow);
            }
        }
    };

    all_are(&mut guard, "in both", Reason::Banned);
    guard.expect("not banned", &ack_from(other), Reason::RuleAllow);

    // The table forgets; nothing else than the fingerprint filter can know.
    guard.forget_bans(BanMap::Addresses);
    all_are(&mut guard, "in the fingerprint filter", Reason::Banned);
    guard.expect("not banned", &ack_from(other), Reason::RuleAllow);
    let begun = guard.jiffies();
    let jiffies = |units: u32| u64::from(units * UNIT) << (clock::tick_shift() - 3);
    guard.set_jiffies(begun + jiffies(18));
    all_are(&mut guard, "nearly over", Reason::Banned);
    guard.set_jiffies(begun + jiffies(20));
    all_are(&mut guard, "over", Reason::RuleAllow);

    // Where the fingerprint filter sends whoever asks to the table, it knows; where it lacks nobody, nobody else is
    // asked.
    guard.set_jiffies(begun);
    guard.bans(&prefixes, 20 * UNIT);
    guard.send_everybody_to_the_table();
    all_are(&mut guard, "in the table", Reason::Banned);
    guard.forget_bans(BanMap::Fingerprints);
    all_are(
        &mut guard,
        "not in the fingerprint filter",
        Reason::RuleAllow,
    );
}

#[test]
fn addresses_that_are_banned_are_found_in_buckets_that_are_crowded() {
    if !require::root() {
        return;
    }
    // More than half of the places: some buckets of eight are full, and addresses stand elsewhere.
    const BANNED: usize = 6000;
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    let (banned, prefixes) = addresses(BANNED);
    guard.bans(&prefixes, 1000);
    let crowded = guard.crowded_buckets();
    assert!(crowded > 10, "{crowded} crowded buckets");
    for address in banned {
        let action = guard.verdict(&ack_from(address), None).expect("a verdict");
        assert_eq!(action, Action::Drop, "{address}");
    }
    let reasons: Vec<(Reason, u64)> = guard
        .drain_reasons()
        .into_iter()
        .map(|(reason, counter)| (reason, counter.packets))
        .collect();
    assert_eq!(reasons, [(Reason::Banned, BANNED as u64)]);
    let other = Ipv4Addr::new(32, 1, 2, 3);
    guard.expect("not banned", &ack_from(other), Reason::RuleAllow);
}
