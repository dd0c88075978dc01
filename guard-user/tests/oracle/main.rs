//! The compiled tables against first match over the source rules: same packet, same policy, same
//! rule. And a check that these tests would notice tables that are wrong.

mod broken;
mod conditions;

use std::{net::IpAddr, time::Instant};

use guard_common::{
    abi::reason::{Action, Reason, Verdict},
    memory::MemTables,
    policy::{Arrival, Decision, Searches, evaluate_fast_path},
    testing::random::Random,
};
use guard_user::ruleset::{
    compile::{Host, Stamp, compile},
    model::Policy,
    sample::{
        NESTED, Palette, Shape, allow, deny,
        described::{Described, INTERFACES, SOURCE_PORT, SampleService},
        first_match::{FirstMatch, answer, answer_at},
        policy, random_policy,
    },
};

const OWN: [&str; 4] = [
    "192.0.2.1",
    "10.1.2.131",
    "2001:db8:2::1",
    "2001:db8:0:1::9",
];

fn own() -> Vec<IpAddr> {
    OWN.iter()
        .map(|ip| ip.parse().expect("an address"))
        .collect()
}

fn host() -> Host {
    Host {
        interfaces: INTERFACES
            .iter()
            .map(|(name, index)| ((*name).to_owned(), *index))
            .collect(),
        own: own(),
        ..Host::default()
    }
}

fn image(policy: &Policy) -> Vec<u64> {
    compile(policy, &host(), Stamp::default())
        .expect("compiles")
        .words
}

/// The model's verdict in the oracle's words.
fn verdict<T: Searches>(tables: &T, packet: &Described) -> FirstMatch {
    let arrival = Arrival {
        ifindex: packet.interface.1,
    };
    let frame = packet.frame();
    let Verdict {
        action,
        reason,
        rule,
    } = guard_common::evaluate(frame.as_slice(), tables, arrival).verdict;
    let allows = action == Action::Pass;
    assert_eq!(action, reason.action(), "{packet:?}");
    match (reason, rule.ordinal()) {
        (Reason::RuleAllow | Reason::RuleDeny, Some(ordinal)) => {
            assert_eq!(rule.allows(), allows, "{packet:?}");
            FirstMatch::Rule { ordinal, allows }
        }
        (Reason::DefaultAllow | Reason::DefaultDrop, None) => FirstMatch::Default { allows },
        (Reason::OwnSource, None) => FirstMatch::Own,
        other => panic!("{other:?} is no matter of rules: {packet:?}"),
    }
}

/// Does the kernel's fast path say the same, where there is one?
fn ways_agree<T: Searches>(tables: &T, packet: &Described) -> bool {
    let arrival = Arrival {
        ifindex: packet.interface.1,
    };
    let frame = packet.frame();
    let Some(short) = evaluate_fast_path(frame.as_slice(), tables) else {
        return true;
    };
    let whole = guard_common::evaluate(frame.as_slice(), tables, arrival);
    let said = |decision: Decision| {
        let Verdict { action, reason, .. } = decision.verdict;
        // Whether a segment is part of a session is asked by one way here, by the other later.
        let admission = Some(decision.admission)
            .filter(|admission| !admission.is_none() && !admission.is_by_state());
        (action, reason, decision.service, admission, decision.hit)
    };
    said(short) == said(whole)
}

fn assert_first_match<T: Searches>(tables: &T, policy: &Policy, packet: &Described) {
    assert_first_match_at(tables, policy, packet, 0);
}

fn assert_first_match_at<T: Searches>(
    tables: &T,
    policy: &Policy,
    packet: &Described,
    second: u64,
) {
    assert_eq!(
        verdict(tables, packet),
        answer_at(policy, &own(), packet, second),
        "{packet:#?}\n{:#?}",
        policy.rules
    );
    assert!(
        ways_agree(tables, packet),
        "the fast path: {packet:#?}\n{:#?}",
        policy.rules
    );
}

/// How many of the answers were what, so that no test passes on defaults alone.
#[derive(Default, Debug)]
struct Tally {
    own: usize,
    allowed: usize,
    denied: usize,
    default: usize,
}

impl Tally {
    fn add(&mut self, answer: FirstMatch) {
        match answer {
            FirstMatch::Own => self.own += 1,
            FirstMatch::Rule { allows: true, .. } => self.allowed += 1,
            FirstMatch::Rule { .. } => self.denied += 1,
            FirstMatch::Default { .. } => self.default += 1,
        }
    }
}

fn compare(seed: u64, policies: usize, packets: usize, palette: &Palette, shape: Shape) -> Tally {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for _ in 0..policies {
        let rules = 1 + random.below(shape.rules);
        let policy = random_policy(&mut random, palette, Shape { rules, ..shape });
        let tables = MemTables::with_policy(image(&policy));
        for _ in 0..packets {
            let packet = Described::random(&mut random, palette);
            assert_first_match(&tables, &policy, &packet);
            tally.add(answer(&policy, &own(), &packet));
        }
    }
    tally
}

/// Rules that the kernel's fast path can answer.
const PORTS_ONLY: Shape = Shape {
    rules: 8,
    destination_in: 0,
    interface_in: 0,
    any_in: 1000,
    any_source_in: 3,
};

const SOURCES_ONLY: Shape = Shape {
    rules: 12,
    destination_in: 0,
    interface_in: 0,
    any_in: 4,
    any_source_in: 4,
};

#[test]
fn the_short_way_says_what_the_rules_say() {
    let mut random = Random::new(11);
    let mut answers = 0;
    for _ in 0..400 {
        let policy = random_policy(&mut random, &NESTED, PORTS_ONLY);
        let tables = MemTables::with_policy(image(&policy));
        for _ in 0..200 {
            let packet = Described::random(&mut random, &NESTED);
            assert_first_match(&tables, &policy, &packet);
            let short = evaluate_fast_path(packet.frame().as_slice(), &tables);
            answers += usize::from(short.is_some());
        }
    }
    assert!(answers > 1_000, "{answers} answers");
}

#[test]
fn the_first_matching_rule_decides_by_port_and_source() {
    let tally = compare(1, 800, 200, &NESTED, SOURCES_ONLY);
    assert!(tally.allowed > 20_000 && tally.denied > 20_000, "{tally:?}");
    assert!(tally.default > 20_000 && tally.own > 100, "{tally:?}");
}

#[test]
fn the_first_matching_rule_decides_by_destination_and_interface_too() {
    let shape = Shape {
        destination_in: 2,
        interface_in: 3,
        ..SOURCES_ONLY
    };
    let tally = compare(2, 600, 200, &NESTED, shape);
    assert!(tally.allowed > 10_000 && tally.denied > 10_000, "{tally:?}");
}

#[test]
fn a_rule_for_one_destination_says_nothing_about_the_others() {
    let shape = Shape {
        rules: 3,
        destination_in: 1,
        ..SOURCES_ONLY
    };
    let tally = compare(3, 1000, 60, &NESTED, shape);
    assert!(tally.allowed > 1_000, "{tally:?}");
}

#[test]
fn hundreds_of_overlapping_rules_keep_their_order() {
    let shape = Shape {
        rules: 200,
        any_in: 60,
        any_source_in: 40,
        destination_in: 12,
        interface_in: 12,
    };
    let tally = compare(4, 60, 500, &NESTED, shape);
    assert!(tally.allowed > 3_000 && tally.denied > 3_000, "{tally:?}");
}

#[test]
fn an_empty_set_of_destinations_matches_nothing() {
    let policy = policy([allow().tcp(22).to_set("empty", &[])]);
    let tables = MemTables::with_policy(image(&policy));
    for source in ["10.1.2.3", "2001:db8::1"] {
        let packet = Described {
            asked: SampleService::Tcp {
                port: 22,
                is_syn: true,
            },
            source: source.parse().unwrap(),
            source_port: SOURCE_PORT,
            destination: source.parse().unwrap(),
            interface: INTERFACES[0],
        };
        assert_eq!(
            verdict(&tables, &packet),
            FirstMatch::Default { allows: false }
        );
    }
}

#[test]
fn ten_thousand_rules_compile_within_a_second_and_keep_their_order() {
    let mut random = Random::new(5);
    let rules = (0..10_000u32).map(|n| {
        let source = format!("10.{}.{}.{}", n >> 10, n >> 2 & 255, n & 3);
        let port = 1000 + (n % 3000) as u16;
        match n % 5 {
            0 => deny().from(&format!("10.{}.{}.0/24", n >> 10, n >> 2 & 255)),
            1 => allow().tcp(port).from(&source),
            2 => allow().udp(port).from(&source).from("2001:db8:0:1::/64"),
            3 => deny().tcp(port),
            _ => allow().ports(
                guard_user::ruleset::model::Transport::Both,
                &[(port, port + 1)],
            ),
        }
    });
    let policy = policy(rules.collect::<Vec<_>>());
    let start = Instant::now();
    let words = image(&policy);
    let took = start.elapsed();
    // An unoptimised build is a tenfold slower; the promise is about the program that is shipped.
    let limit = if cfg!(debug_assertions) {
        20_000
    } else {
        1_000
    };
    assert!(took.as_millis() < limit, "{took:?}");
    let tables = MemTables::with_policy(words);
    let mut tally = Tally::default();
    for _ in 0..4_000 {
        let n = random.below(10_000) as u32;
        let port = 990 + random.below(3_030) as u16;
        let packet = Described {
            asked: match random.below(3) {
                0 => SampleService::Udp(port),
                one => SampleService::Tcp {
                    port,
                    is_syn: one == 1,
                },
            },
            source: if random.once_in(4) {
                "2001:db8:0:1::3".parse().unwrap()
            } else {
                IpAddr::from([
                    10,
                    (n >> 10) as u8 + random.below(2) as u8,
                    (n >> 2) as u8,
                    n as u8 & 7,
                ])
            },
            source_port: SOURCE_PORT,
            destination: "192.0.2.1".parse().unwrap(),
            interface: INTERFACES[1],
        };
        let packet = if packet.source.is_ipv6() {
            Described {
                destination: "2001:db8:2::1".parse().unwrap(),
                ..packet
            }
        } else {
            packet
        };
        assert_eq!(
            verdict(&tables, &packet),
            answer(&policy, &own(), &packet),
            "{packet:?}"
        );
        tally.add(answer(&policy, &own(), &packet));
    }
    assert!(tally.allowed > 300 && tally.denied > 300, "{tally:?}");
}
