//! Datagrams and pings to open ports in the model alone: who passes in a flood, and who does not. By the full path and
//! by the fast one.

use guard_common::{
    abi::{
        ceiling::Ceiling,
        ceiling_map::{PREFIXES, PREFIXES_FIRST},
        image::{
            BY_SOURCE, DEFAULT_ALLOW, FAMILY_CLASSES, FIXED_WORDS, HAS_NEVER, HEADER_CEILING,
            HEADER_CLASSES, HEADER_DATAGRAMS, HEADER_FLAGS, HEADER_SOURCE_DEFAULT, MONITOR,
        },
        reason::{Action, Reason},
        rule::{Class, RuleRef},
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
/// Who has a conversation with this host, one of each family.
const CLIENTS: [&str; 2] = ["198.51.100.7", "2001:db8:100::7"];

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
    MemTables::with_policy(words(ceiling, flags)).with_seed(5)
}

fn words(ceiling: Ceiling, flags: u32) -> Vec<u64> {
    let mut words = vec![0; FIXED_WORDS as usize];
    words[HEADER_FLAGS as usize] = u64::from(DEFAULT_ALLOW | flags);
    words[HEADER_DATAGRAMS as usize] = ceiling.to_word();
    words[HEADER_CEILING as usize] = Ceiling::DEFAULT.to_word();
    words
}

/// The same with everybody on the never list.
fn open_to_protected(ceiling: Ceiling) -> MemTables {
    let mut words = words(ceiling, HAS_NEVER | BY_SOURCE | FAMILY_CLASSES);
    // Class 1 is everybody of either family; the table of classes has one scope.
    words[HEADER_SOURCE_DEFAULT as usize] = 1 << 32 | 1;
    words[HEADER_CLASSES as usize] = 1 << 32 | u64::from(FIXED_WORDS);
    let everybody = Class {
        any: RuleRef::from_bits(0),
        never: true,
        own: false,
    };
    words.extend([0, everybody.to_word()]);
    MemTables::with_policy(words).with_seed(5)
}

/// What somebody sends to the port.
fn question(from: &str) -> Vec<u8> {
    question_to(PORT, from)
}

fn question_to(port: u16, from: &str) -> Vec<u8> {
    let base = if from.contains(':') {
        packet_v6()
    } else {
        packet()
    };
    base.from(from).udp(port).payload(20).build()
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
    answer_from(PORT, tables, to);
}

fn answer_from(port: u16, tables: &MemTables, to: &str) {
    let (base, own) = if to.contains(':') {
        (packet_v6(), "2001:db8:2::1")
    } else {
        (packet(), "192.0.2.1")
    };
    let frame = base.from(own).to(to).udp_between(port, 40_000).payload(20);
    note_outgoing(frame.build().as_slice(), tables, LO);
}

fn passes(way: Way, frame: &[u8], tables: &MemTables) -> bool {
    way(frame, tables).verdict.action == Action::Pass
}

/// What a client sends.
struct Load {
    /// Datagrams in a jiffy.
    in_jiffy: usize,
    /// The service answers one of so many that it gets.
    answered: Option<usize>,
}

impl Load {
    const fn unanswered(per_second: usize) -> Self {
        Self {
            in_jiffy: per_second / HZ as usize,
            answered: None,
        }
    }

    const fn answered(per_second: usize, every: usize) -> Self {
        Self {
            answered: Some(every),
            ..Self::unanswered(per_second)
        }
    }

    /// Sends it for some seconds. How many were sent, and how many passed.
    fn send(&self, way: Way, tables: &mut MemTables, from: &str, seconds: u64) -> (usize, usize) {
        let frame = question(from);
        let mut let_in = 0;
        for _ in 0..seconds * HZ {
            tables.jiffies += 1;
            for _ in 0..self.in_jiffy {
                if passes(way, &frame, tables) {
                    let_in += 1;
                    if self.answered.is_some_and(|every| let_in % every == 0) {
                        answer(tables, from);
                    }
                }
            }
        }
        (self.in_jiffy * seconds as usize * HZ as usize, let_in)
    }
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
fn a_client_that_sends_much_and_is_answered_now_and_then_loses_nothing() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            for (per_second, every) in [(100_000, 2), (100_000, 20), (85_000, 30), (20_000, 32)] {
                let load = Load::answered(per_second, every);
                let mut tables = open(Ceiling::DATAGRAMS, 0);
                converses(&mut tables, from);
                let (sent, let_in) = load.send(way, &mut tables, from, 4);
                assert_eq!(let_in, sent, "{name} {from}");
            }
        }
    }
}

#[test]
fn a_client_that_is_not_answered_has_twice_the_ceiling_of_strangers() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            converses(&mut tables, from);
            let (sent, let_in) = Load::unanswered(4000).send(way, &mut tables, from, 10);
            assert_eq!((sent, let_in), (40_000, 40_000), "{name} {from}");
        }
    }
}

#[test]
fn a_flood_in_the_name_of_a_client_gets_what_strangers_get_and_the_client_comes_in_behind_it() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            converses(&mut tables, from);
            let flood = Load::unanswered(100_000);
            let (_, first) = flood.send(way, &mut tables, from, 5);
            // What he may owe, and of strangers and of those that repeat themselves what comes at once and later.
            let most = 8000 + 2 * (4000 + 5 * 2000);
            assert!(first <= most, "{name} {from}: {first}");
            let (sent, later) = flood.send(way, &mut tables, from, 5);
            assert!(later * 100 < sent * 5, "{name} {from}: {later} of {sent}");
            // So much is owed at most.
            tables.jiffies += 2 * HZ + 1;
            let (sent, let_in) = Load::answered(1000, 1).send(way, &mut tables, from, 5);
            assert_eq!(let_in, sent, "{name} {from}: behind the flood");
        }
    }
}

#[test]
fn a_flood_that_the_service_answers_too_seldom_is_cut() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            converses(&mut tables, from);
            let flood = Load::answered(100_000, 50);
            flood.send(way, &mut tables, from, 2);
            let (sent, let_in) = flood.send(way, &mut tables, from, 3);
            assert!(let_in * 10 < sent, "{name} {from}: {let_in} of {sent}");
        }
    }
}

#[test]
fn answers_credit_who_owes_much_and_nobody_saves_them_up() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            converses(&mut tables, from);
            let mut idle = tables.clone();
            let owes = |tables: &MemTables, datagrams: usize| {
                let frame = question(from);
                let passed = (0..datagrams).all(|_| passes(way, &frame, tables));
                assert!(passed, "{name} {from}");
            };
            // Datagrams that are owed, by each of the two meters.
            let owed = |tables: &MemTables| {
                let now = tables.jiffies * tables.jiffy_us;
                let ceilings = tables.ceilings();
                let meters = ceilings.range(PREFIXES_FIRST..PREFIXES_FIRST + PREFIXES);
                let owed = meters.map(|(_, meter)| meter.wrapping_sub(now).cast_signed() / 250);
                owed.collect::<Vec<i64>>()
            };
            owes(&tables, 10);
            answer(&tables, from);
            assert_eq!(owed(&tables), [10; 2], "{name} {from}: little");
            owes(&tables, 4022);
            answer(&tables, from);
            // Beside them the two meters of the answer itself.
            let mut after = owed(&tables);
            after.sort_unstable();
            assert_eq!(after, [1, 1, 4000, 4000], "{name} {from}: much");
            (0..1000).for_each(|_| answer(&tables, from));
            assert_eq!(owed(&tables).iter().max(), Some(&4000), "{name} {from}");

            tables.jiffies += 2 * HZ;
            idle.jiffies += 2 * HZ;
            (0..1000).for_each(|_| answer(&tables, from));
            let flood = Load::unanswered(100_000);
            let let_in = [&mut tables, &mut idle].map(|it| flood.send(way, it, from, 1).1);
            // What strangers may send was not asked for yet of either.
            assert_eq!(let_in[0], let_in[1], "{name} {from}: saved up");
        }
    }
}

#[test]
fn a_flood_in_the_name_of_one_client_takes_nothing_from_others_nor_at_other_ports() {
    const OTHER: u16 = PORT + 1;
    for (name, way) in WAYS {
        for (from, neighbour) in [
            ("198.51.100.7", "198.51.100.8"),
            ("2001:db8:100::7", "2001:db8:101::7"),
        ] {
            let mut tables = open(Ceiling::DATAGRAMS, 0);
            converses(&mut tables, from);
            converses(&mut tables, neighbour);
            answer_from(OTHER, &tables, from);
            let flood = question(from);
            let others = [(PORT, neighbour), (OTHER, from)];
            let mut lost = [0; 2];
            for _ in 0..5 * HZ {
                tables.jiffies += 1;
                for _ in 0..400 {
                    way(&flood, &tables);
                }
                // Ten thousand per second, of which every tenth is answered: more than strangers may send.
                for (lost, (port, from)) in lost.iter_mut().zip(others) {
                    let frame = question_to(port, from);
                    *lost += (0..40).filter(|_| !passes(way, &frame, &tables)).count();
                    (0..4).for_each(|_| answer_from(port, &tables, from));
                }
            }
            // Of a neighbour, and at another port.
            assert_eq!(lost, [0; 2], "{name} {from}");
        }
    }
}

#[test]
fn without_the_ceiling_and_for_the_never_list_nothing_is_owed() {
    for (name, way) in WAYS {
        for from in CLIENTS {
            let off = open(Ceiling::NONE, 0);
            let protected = open_to_protected(Ceiling::DATAGRAMS);
            for mut tables in [off, protected] {
                converses(&mut tables, from);
                let (sent, let_in) = Load::unanswered(100_000).send(way, &mut tables, from, 3);
                assert_eq!(let_in, sent, "{name} {from}");
            }
        }
    }
}

#[test]
fn a_lower_ceiling_of_strangers_is_none_of_clients() {
    for (name, way) in WAYS {
        for lower in [Ceiling::new(1, 0), Ceiling::new(1_000_000, 2)] {
            for from in CLIENTS {
                let mut tables = open(lower, 0);
                converses(&mut tables, from);
                let (sent, let_in) = Load::unanswered(4000).send(way, &mut tables, from, 3);
                assert_eq!(let_in, sent, "{name} {from} {lower:?}");
                let flood = Load::unanswered(100_000);
                flood.send(way, &mut tables, from, 1);
                let (_, let_in) = flood.send(way, &mut tables, from, 1);
                assert!(let_in < 100, "{name} {from} {lower:?}: {let_in}");
            }
        }
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
