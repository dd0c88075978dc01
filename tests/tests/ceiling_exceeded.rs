//! A ceiling that is exceeded is exceeded for everybody until the clock moves on: what floods a port without a
//! listener is dropped ahead of bans, limits and the search for a listener, and nobody else is. Kernel
//! and model give the same answer.

use std::net::{IpAddr, TcpListener};

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    policy::ListenerState,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::Harness,
    local_net::{LocalNet, in_local_net},
    require,
};
use guard_user::{
    bans::prefix::Prefix,
    ruleset::{
        ceiling::Ceiling,
        model::Policy,
        sample::{allow, deny, limit, policy},
    },
};

/// Policies of tests are compiled for 250 jiffies in a second.
const HZ: u64 = 250;
const LIMITED: u16 = 8080;
const OPEN: u16 = 80;
/// The ceiling of these policies: a connection per second, and two at once.
const BURST: usize = 2;

/// In a net of its own, where nobody listens.
fn scene(change: impl FnOnce(&mut Policy), play: impl FnOnce(&LocalNet, &mut Harness) + Send) {
    if !require::root() {
        return;
    }
    let mut policy = policy([limit("1/h", 1).tcp(LIMITED), allow().tcp(OPEN)]);
    policy.ceiling = Ceiling::per_second(1);
    change(&mut policy);
    in_local_net(|net| play(net, &mut Harness::new(&policy)));
}

fn syn(base: PacketBuilder, port: u16) -> Vec<u8> {
    base.tcp(port, TcpFlags::SYN).build()
}

/// Sources of prefixes of their own, of one family each.
fn strangers(number: usize) -> [PacketBuilder; 2] {
    [
        packet().from(&format!("198.18.{number}.1")),
        packet_v6().from(&format!("2001:db8:{number:x}00::1")),
    ]
}

fn later(guard: &mut Harness, jiffies: u64) {
    let now = guard.jiffies();
    guard.set_jiffies(now + jiffies);
}

/// Sends what uses up the burst of a port, and one more, which finds that out.
fn spend(guard: &mut Harness, port: u16, family: usize) {
    for number in 0..=BURST {
        let expected = if number < BURST {
            RuleAllow
        } else {
            Reason::Ceiling
        };
        let [v4, v6] = strangers(number);
        let base = if family == 0 { v4 } else { v6 };
        guard.expect("the burst", &syn(base, port), expected);
    }
}

fn listens(net: &LocalNet, guard: &mut Harness, at: IpAddr) -> TcpListener {
    guard.model_listener((at, OPEN).into(), ListenerState::Ready);
    net.listen_at((at, OPEN).into())
}

#[test]
fn what_is_above_it_is_charged_by_no_limit() {
    scene(
        |_| {},
        |_, guard| {
            for family in 0..2 {
                spend(guard, LIMITED, family);
                // Once before the flood was known, with this SYN, and then for nothing.
                let found_out = strangers(BURST)[family].clone();
                for number in BURST..40 {
                    let frame = syn(strangers(number)[family].clone(), LIMITED);
                    guard.expect("above", &frame, Reason::Ceiling);
                }
                later(guard, 60 * HZ);
                guard.expect("charged", &syn(found_out, LIMITED), Limited);
                for number in [20, 30] {
                    let frame = syn(strangers(number)[family].clone(), LIMITED);
                    guard.expect("still has its one", &frame, RuleAllow);
                    guard.expect("had its one", &frame, Limited);
                }
                later(guard, 60 * HZ);
            }
            guard.assert_identical();
        },
    );
}

#[test]
fn whoever_is_dropped_anyway_is_dropped_as_one_more_of_the_flood() {
    let rules = |policy: &mut Policy| {
        let denied = ["203.0.113.0/24", "2001:db8:d::/48"];
        let denied = denied.map(|prefix| deny().from(prefix).tcp(LIMITED));
        let denied = guard_user::ruleset::sample::policy(denied);
        policy.rules.splice(0..0, denied.rules);
    };
    scene(rules, |_, guard| {
        let banned = [
            Prefix::v4([198, 51, 100, 66].into(), 32),
            Prefix::v6([0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0].into(), 64),
        ];
        guard.bans(&banned, 80_000);
        for (family, [banned, denied]) in [
            [packet().from("198.51.100.66"), packet().from("203.0.113.9")],
            [
                packet_v6().from("2001:db8:bad::1"),
                packet_v6().from("2001:db8:d::1"),
            ],
        ]
        .into_iter()
        .enumerate()
        {
            let both = [(banned, Banned), (denied, RuleDeny)];
            spend(guard, LIMITED, family);
            for (base, _) in &both {
                guard.expect("exceeded", &syn(base.clone(), LIMITED), Reason::Ceiling);
            }
            later(guard, 1);
            for (base, reason) in both {
                guard.expect("a jiffy later", &syn(base, LIMITED), reason);
            }
            later(guard, 60 * HZ);
        }
    });
}

#[test]
fn other_ports_segments_and_datagrams_are_none_of_it() {
    scene(
        |policy| {
            let udp = guard_user::ruleset::sample::policy([allow().udp(LIMITED)]);
            policy.rules.extend(udp.rules);
        },
        |_, guard| {
            for family in 0..2 {
                spend(guard, LIMITED, family);
                let other = strangers(9)[family].clone();
                let ack = other.clone().tcp(LIMITED, TcpFlags::ACK).build();
                guard.expect("a segment", &ack, RuleAllow);
                guard.expect("a datagram", &other.clone().udp(LIMITED).build(), RuleAllow);
                guard.expect("another port", &syn(other, OPEN), RuleAllow);
                later(guard, 60 * HZ);
            }
        },
    );
}

#[test]
fn an_address_at_which_nobody_listens_closes_no_other() {
    scene(
        |_| {},
        |net, guard| {
            if !guard.answers() {
                println!("this kernel does not say who listens");
                return;
            }
            let owns = net.families().map(|(own, _)| own);
            for (listening, flooded) in [(0, 1), (1, 0)] {
                let service = listens(net, guard, owns[listening]);
                spend(guard, OPEN, flooded);
                for number in 3..6 {
                    let to_flooded = syn(strangers(number)[flooded].clone(), OPEN);
                    guard.expect("nobody listens", &to_flooded, Reason::Ceiling);
                    let to_listening = syn(strangers(number)[listening].clone(), OPEN);
                    guard.expect("somebody listens", &to_listening, RuleAllow);
                }
                drop(service);
                guard.model_listener((owns[listening], OPEN).into(), ListenerState::None);
                later(guard, 60 * HZ);
            }
        },
    );
}

#[test]
fn syns_that_no_listener_is_asked_about_close_nothing() {
    scene(
        |_| {},
        |net, guard| {
            if !guard.answers() {
                println!("this kernel does not say who listens");
                return;
            }
            let _services = net.families().map(|(own, _)| listens(net, guard, own));
            let with_options = packet().options(&[1, 1, 1, 0]);
            // Padding options in a destination options header.
            let extended = packet_v6().extension(60, &[0, 1, 4, 0, 0, 0, 0]);
            for (family, odd) in [with_options, extended].into_iter().enumerate() {
                let frame = syn(odd, OPEN);
                for number in 0..6 {
                    let expected = if number < BURST {
                        RuleAllow
                    } else {
                        Reason::Ceiling
                    };
                    guard.expect("with options", &frame, expected);
                }
                let plain = syn(strangers(7)[family].clone(), OPEN);
                guard.expect("plain", &plain, RuleAllow);
                later(guard, 60 * HZ);
            }
        },
    );
}

#[test]
fn a_listener_that_appears_is_asked_a_jiffy_later() {
    scene(
        |_| {},
        |net, guard| {
            if !guard.answers() {
                println!("this kernel does not say who listens");
                return;
            }
            for (family, (own, _)) in net.families().into_iter().enumerate() {
                spend(guard, OPEN, family);
                let _service = listens(net, guard, own);
                let frame = syn(strangers(9)[family].clone(), OPEN);
                guard.expect("in the same jiffy", &frame, Reason::Ceiling);
                later(guard, 1);
                guard.expect("in the next", &frame, RuleAllow);
                later(guard, 60 * HZ);
            }
        },
    );
}

#[test]
fn one_prefix_that_floods_is_told_apart_from_the_others_at_once() {
    let forty = |policy: &mut Policy| policy.ceiling = Ceiling::per_second(40);
    scene(forty, |_, guard| {
        for family in 0..2 {
            let of_flood = |number: usize| {
                [
                    packet().from(&format!("198.18.1.{number}")),
                    packet_v6().from(&format!("2001:db8:1:{number:x}::1")),
                ][family]
                    .clone()
            };
            let send_all = |guard: &mut Harness, counted: Reason| {
                let mut seen = 0;
                for number in 1..200 {
                    let frame = syn(of_flood(number), LIMITED);
                    let reason = guard.model(&frame).verdict.reason;
                    let action = guard.verdict(&frame, None).expect("the frame is evaluated");
                    assert_eq!(action, reason.action(), "SYN {number}");
                    seen += usize::from(reason == counted);
                }
                guard.drain();
                seen
            };
            let passed = send_all(guard, RuleAllow);
            assert!((40..=51).contains(&passed), "{passed} pass");
            for number in 10..15 {
                let other = syn(strangers(number)[family].clone(), LIMITED);
                guard.expect("of another prefix", &other, RuleAllow);
            }
            later(guard, 60 * HZ);
            // Of those that were above the first alone was charged, by which it was found out.
            assert_eq!(send_all(guard, Limited), passed + 1, "charged");
            later(guard, 60 * HZ);
        }
        guard.assert_identical();
    });
}

#[test]
fn a_ceiling_that_is_raised_meanwhile_holds_from_the_next_jiffy_on() {
    scene(
        |_| {},
        |_, guard| {
            let mut raised = policy([limit("1/h", 1).tcp(LIMITED), allow().tcp(OPEN)]);
            raised.ceiling = Ceiling::Off;
            spend(guard, OPEN, 0);
            guard.apply(&raised);
            let frame = syn(strangers(9)[0].clone(), OPEN);
            guard.expect("in the same jiffy", &frame, Reason::Ceiling);
            later(guard, 1);
            guard.expect("in the next", &frame, RuleAllow);
        },
    );
}
