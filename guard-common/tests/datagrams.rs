//! Datagrams and pings to open ports in the model alone: who passes in a flood, and who does not. By the full path and
//! by the fast one.

use guard_common::{
    abi::{
        ceiling::Ceiling,
        image::{
            DEFAULT_ALLOW, FIXED_WORDS, HEADER_CEILING, HEADER_DATAGRAMS, HEADER_FLAGS, MONITOR,
        },
        reason::{Action, Reason},
    },
    memory::MemTables,
    policy::{Arrival, Decision, evaluate_fast_first, evaluate_full, note_outgoing},
    testing::{packet, packet_v6, random::Random},
};

const LO: Arrival = Arrival { ifindex: 1 };
const HZ: u64 = 250;
const PORT: u16 = 27_015;
/// Datagrams of the flood in a jiffy: some 40 000 per second.
const FLOOD: usize = 150;

/// A way to a verdict.
type Way = fn(&[u8], &MemTables) -> Decision;

const WAYS: [(&str, Way); 2] = [
    ("full", |frame, tables| {
        evaluate_full(frame, tables, LO, |_| ())
    }),
    ("fast", |frame, tables| {
        evaluate_fast_first(frame, tables, LO, |_| ())
    }),
];

fn open(ceiling: Ceiling, flags: u32) -> MemTables {
    let mut words = vec![0; FIXED_WORDS as usize];
    words[HEADER_FLAGS as usize] = u64::from(DEFAULT_ALLOW | flags);
    words[HEADER_DATAGRAMS as usize] = ceiling.to_word();
    words[HEADER_CEILING as usize] = Ceiling::DEFAULT.to_word();
    MemTables::with_policy(words).with_seed(5)
}

/// What somebody sends to the port.
fn question(from: &str) -> Vec<u8> {
    let base = if from.contains(':') {
        packet_v6()
    } else {
        packet()
    };
    base.from(from).udp(PORT).payload(20).build()
}

/// A conversation of some seconds.
fn converses(tables: &mut MemTables, with: &str) {
    for _ in 0..2 {
        answer(tables, with);
        tables.jiffies += 3 * HZ;
    }
}

/// What the service answers.
fn answer(tables: &MemTables, to: &str) {
    let (base, own) = if to.contains(':') {
        (packet_v6(), "2001:db8:2::1")
    } else {
        (packet(), "192.0.2.1")
    };
    let frame = base.from(own).to(to).udp_between(PORT, 40_000).payload(20);
    note_outgoing(frame.build().as_slice(), tables, LO);
}

fn passes(way: Way, frame: &[u8], tables: &MemTables) -> bool {
    way(frame, tables).verdict.action == Action::Pass
}

fn stranger(random: &mut Random) -> Vec<u8> {
    let [a, b, c, d]: [u8; 4] = random.bytes();
    question(&format!("{}.{b}.{c}.{d}", 11 + a % 89))
}

#[test]
fn a_service_that_never_answers_takes_everything() {
    for (name, way) in WAYS {
        let tables = open(Ceiling::new(1_000_000, 1), 0);
        for from in ["198.51.100.7", "2001:db8:100::7"] {
            let frame = question(from);
            assert!(
                (0..100).all(|_| passes(way, &frame, &tables)),
                "{name} {from}"
            );
        }
    }
}

#[test]
fn who_has_a_conversation_is_no_stranger() {
    for (name, way) in WAYS {
        let mut tables = open(Ceiling::new(1_000_000, 1), 0);
        for (from, other) in [
            ("198.51.100.7", "198.51.100.8"),
            ("2001:db8:100::7", "2001:db8:100::8"),
        ] {
            converses(&mut tables, from);
            answer(&tables, other);
            let [known, stranger] = [from, other].map(question);
            assert!((0..100).all(|_| passes(way, &known, &tables)), "{name}");
            let decision = (0..10).map(|_| way(&stranger, &tables)).last();
            let reason = decision.expect("a decision").verdict.reason;
            assert_eq!(reason, Reason::UdpCeiling, "{name}");
        }
        tables.jiffies += 200 * HZ * 2;
        let late = question("198.51.100.7");
        let let_in = (0..10).filter(|_| passes(way, &late, &tables)).count();
        assert!(let_in < 5, "{name}: {let_in}, minutes later");
    }
}

#[test]
fn a_new_client_that_repeats_itself_comes_in_through_a_flood() {
    const SECONDS: u64 = 12;
    for (name, way) in WAYS {
        let mut random = Random::new(9);
        let mut tables = open(Ceiling::DATAGRAMS, 0);
        let friend = question("198.51.100.7");
        converses(&mut tables, "198.51.100.7");
        let (mut sent, mut let_in, mut lost) = (0, 0, 0);
        // Three tries: at once, a second and three seconds later.
        let mut tries = vec![Vec::new(); (SECONDS * HZ) as usize + 4 * HZ as usize];
        let mut come_in = 0;
        let mut clients = 0;
        for jiffy in 0..SECONDS * HZ {
            tables.jiffies += 1;
            for _ in 0..FLOOD {
                sent += 1;
                let_in += usize::from(passes(way, &stranger(&mut random), &tables));
            }
            lost += usize::from(!passes(way, &friend, &tables));
            answer(&tables, "198.51.100.7");
            if jiffy > 2 * HZ && jiffy % 20 == 0 && jiffy < (SECONDS - 4) * HZ {
                clients += 1;
                let from = format!("203.0.{}.{}", clients / 200, 1 + clients % 200);
                tries[jiffy as usize].push((from, 0));
            }
            for (from, number) in std::mem::take(&mut tries[jiffy as usize]) {
                if passes(way, &question(&from), &tables) {
                    come_in += 1;
                } else if number < 2 {
                    let next = jiffy + [HZ, 2 * HZ][number];
                    tries[next as usize].push((from, number + 1));
                }
            }
        }
        println!("{name}: {let_in} of {sent}, {come_in} of {clients} clients");
        // 2000 in a second, and those of them that repeat themselves.
        assert!(let_in * 100 < sent * 8, "{name}: {let_in} of {sent}");
        assert_eq!(lost, 0, "{name}: of a friend");
        assert!(
            come_in * 100 >= clients * 95,
            "{name}: {come_in} of {clients}"
        );
    }
}

#[test]
fn a_new_client_that_sends_much_loses_nothing_when_there_is_no_flood() {
    for (name, way) in WAYS {
        for from in ["198.51.100.7", "2001:db8:100::7"] {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            let frame = question(from);
            answer(&tables, "12.1.2.3");
            let mut lost = 0;
            // 8000 per second, each answered.
            for _ in 0..5 * HZ {
                tables.jiffies += 1;
                for _ in 0..32 {
                    lost += usize::from(!passes(way, &frame, &tables));
                    answer(&tables, from);
                }
            }
            assert_eq!(lost, 0, "{name} {from}");
        }
    }
}

#[test]
fn a_flood_of_a_fixed_set_of_sources_makes_no_conversations_although_the_service_answers() {
    for (name, way) in WAYS {
        let mut tables = open(Ceiling::DATAGRAMS, 0);
        converses(&mut tables, "198.51.100.7");
        let sources: Vec<String> = (0..5000_u32)
            .map(|number| format!("12.{}.{}.9", number >> 8, number & 255))
            .collect();
        let frames: Vec<Vec<u8>> = sources.iter().map(|from| question(from)).collect();
        let (mut sent, mut let_in) = (0, 0);
        for jiffy in 0..8 * HZ {
            tables.jiffies += 1;
            for number in 0..FLOOD {
                let number = (jiffy as usize * FLOOD + number) % frames.len();
                sent += 1;
                if passes(way, &frames[number], &tables) {
                    let_in += 1;
                    answer(&tables, &sources[number]);
                }
            }
        }
        // Both ceilings and their bursts.
        let most = 2 * (2000 * 8 + 4000);
        assert!(let_in < most, "{name}: {let_in} of {sent}, at most {most}");
        assert!(
            passes(way, &question("198.51.100.7"), &tables),
            "{name}: a friend"
        );
    }
}

#[test]
fn pings_have_a_ceiling_of_all_sources_together() {
    for (name, way) in WAYS {
        let tables = open(Ceiling::NONE, 0);
        let mut random = Random::new(2);
        let (mut let_in, mut above) = (0, 0);
        for _ in 0..5000 {
            let [a, b, c, d]: [u8; 4] = random.bytes();
            let from = format!("{}.{b}.{c}.{d}", 11 + a % 89);
            let frame = packet().from(&from).icmp(8, 0).payload(32).build();
            let reason = way(&frame, &tables).verdict.reason;
            let_in += usize::from(reason == Reason::DefaultAllow);
            above += usize::from(reason == Reason::IcmpCeiling);
        }
        assert_eq!((let_in, above), (2000, 3000), "{name}");
        let answer = packet().from("12.1.2.3").icmp(0, 0).payload(32).build();
        assert!(
            passes(way, &answer, &tables),
            "{name}: an answer is no ping"
        );
    }
}

#[test]
fn monitor_mode_lets_go_and_counts() {
    for (name, way) in WAYS {
        let tables = open(Ceiling::new(1_000_000, 1), MONITOR);
        answer(&tables, "198.51.100.7");
        let frame = question("198.51.100.8");
        let verdict = (0..5).map(|_| way(&frame, &tables).verdict).last();
        let verdict = verdict.expect("a verdict");
        assert_eq!(
            (verdict.reason, verdict.action),
            (Reason::UdpCeiling, Action::Pass),
            "{name}"
        );
    }
}
