//! Rules that end, and rules that ask for the port of the sender.

use guard_common::{memory::MemTables, testing::random::Random};
use guard_user::ruleset::{
    compile::{Host, Stamp, compile},
    model::{Policy, PortRange, Traffic},
    sample::{
        NESTED, Shape, allow, deny,
        described::{Described, INTERFACES, SOURCE_PORT, SampleService},
        first_match::{FirstMatch, answer_at},
        policy, random_policy,
    },
    until::{Moments, Until},
};

use super::{SOURCES_ONLY, Tally, assert_first_match_at, host, image, own, verdict};

#[test]
fn rules_act_until_they_end_and_not_for_a_moment_longer() {
    const ENDS: [u64; 6] = [600, 900, 1000, 1001, 1500, 2000];
    const SECONDS: [u64; 8] = [1, 599, 600, 999, 1000, 1001, 1750, 3000];
    let shape = Shape {
        destination_in: 6,
        interface_in: 6,
        ..SOURCES_ONLY
    };
    let mut random = Random::new(12);
    let mut tally = Tally::default();
    for _ in 0..400 {
        let mut policy = random_policy(&mut random, &NESTED, shape);
        for rule in &mut policy.rules {
            let ends = ENDS.map(Until::from_seconds);
            rule.until = random.once_in(2).then(|| random.pick(&ends));
        }
        let mut tables = MemTables::with_policy(image(&policy));
        for second in SECONDS {
            tables.now_ns = second * 1_000_000_000;
            for _ in 0..40 {
                let packet = Described::random(&mut random, &NESTED);
                assert_first_match_at(&tables, &policy, &packet, second);
                tally.add(answer_at(&policy, &own(), &packet, second));
            }
        }
    }
    assert!(tally.allowed > 5_000 && tally.denied > 5_000, "{tally:?}");
    assert!(tally.default > 5_000, "{tally:?}");
}

#[test]
fn source_ports_and_ends_are_asked_for_with_everything_else() {
    const PORTS: [(u16, u16); 6] = [
        (1, 1023),
        (53, 53),
        (547, 547),
        (1024, u16::MAX),
        (500, 600),
        (u16::MAX, u16::MAX),
    ];
    const FROM: [u16; 12] = [0, 1, 52, 53, 54, 499, 547, 600, 601, 1023, 1024, u16::MAX];
    let shape = Shape {
        destination_in: 6,
        interface_in: 6,
        ..SOURCES_ONLY
    };
    let mut random = Random::new(13);
    let mut tally = Tally::default();
    for round in 0..400 {
        let mut policy = random_policy(&mut random, &NESTED, shape);
        for rule in &mut policy.rules {
            if matches!(rule.traffic, Traffic::Ports(..)) && random.once_in(2) {
                let (first, last) = random.pick(&PORTS);
                rule.source_ports = vec![PortRange { first, last }];
            }
            if round % 4 == 0 && random.once_in(3) {
                rule.until = Some(Until::from_seconds(random.pick(&[600, 1000, 1500])));
            }
        }
        let tables = MemTables::with_policy(image(&policy));
        for _ in 0..200 {
            let mut packet = Described::random(&mut random, &NESTED);
            packet.source_port = random.pick(&FROM);
            assert_first_match_at(&tables, &policy, &packet, 1000);
            tally.add(answer_at(&policy, &own(), &packet, 1000));
        }
    }
    assert!(tally.allowed > 5_000 && tally.denied > 5_000, "{tally:?}");
    assert!(tally.default > 5_000, "{tally:?}");
}

#[test]
fn a_policy_has_31_spans_of_source_ports() {
    let rules = |count: u16| {
        // Each has two edges, and none of them touch.
        policy((0..count).map(|place| {
            allow()
                .udp(place + 1)
                .from_ports(place * 4 + 1, place * 4 + 2)
        }))
    };
    assert!(compile(&rules(15), &host(), Stamp::default()).is_ok());
    let refused = compile(&rules(16), &host(), Stamp::default()).expect_err("too many");
    assert_eq!(
        refused.to_string(),
        "the policy is too complex: 32 spans of source ports, at most 31"
    );
}

#[test]
fn a_policy_has_31_different_ends_of_rules_that_are_not_over() {
    let rules = |ends: std::ops::Range<u64>| {
        policy(ends.map(|end| allow().tcp(1000 + end as u16).until(end)))
    };
    let compiled = |policy: &Policy, boot_ns| {
        let host = Host {
            moments: Moments {
                boot_ns,
                wall_ns: boot_ns,
                ..Moments::default()
            },
            ..host()
        };
        compile(policy, &host, Stamp::default())
    };
    assert!(compiled(&rules(1..32), 0).is_ok());
    let refused = compiled(&rules(1..33), 0).expect_err("too many");
    assert_eq!(
        refused.to_string(),
        "the policy is too complex: 32 different ends of rules, at most 31"
    );
    assert!(
        refused.help().contains("end together"),
        "{}",
        refused.help()
    );
    // Those that are over count no more, and the rest keep their numbers.
    let image = compiled(&rules(1..33), 1_000_000_000).expect("31");
    let mut tables = MemTables::with_policy(image.words);
    for (port, second, expected) in [
        (1001, 1, FirstMatch::Default { allows: false }),
        (
            1032,
            31,
            FirstMatch::Rule {
                ordinal: 31,
                allows: true,
            },
        ),
        (1032, 32, FirstMatch::Default { allows: false }),
    ] {
        tables.now_ns = second * 1_000_000_000;
        let packet = Described {
            asked: SampleService::Tcp { port, is_syn: true },
            source: "198.51.100.7".parse().unwrap(),
            source_port: SOURCE_PORT,
            destination: "192.0.2.1".parse().unwrap(),
            interface: INTERFACES[0],
        };
        assert_eq!(verdict(&tables, &packet), expected, "{port} at {second} s");
    }
}

#[test]
fn a_policy_without_ends_has_none_in_its_image() {
    use guard_common::abi::image::{CONDITIONS, ENDS, HEADER_FLAGS, MAX_ENDS};
    let has_ends = |policy: &Policy| {
        let words = image(policy);
        let flag = words[HEADER_FLAGS as usize] & u64::from(CONDITIONS) != 0;
        let (first, last) = (ENDS as usize, (ENDS + MAX_ENDS) as usize);
        assert_eq!(flag, words[first..=last].iter().any(|word| *word != 0));
        flag
    };
    assert!(!has_ends(&policy([allow().tcp(22), deny().udp(22)])));
    assert!(has_ends(&policy([allow().tcp(22).until(5)])));
    assert!(!has_ends(&policy([allow().tcp(22).until(5).disabled()])));
}
