//! Deliberately broken tables: the comparison with the oracle must turn red for each of them.

use guard_common::{
    abi::{
        image::{
            ANY_ALLOWS, ANY_FROM_ANYWHERE, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, DEFAULT_ALLOW,
            FAMILY_CLASSES, FILTER_WORDS, FILTERS, HEADER_CLASSES, HEADER_DESTINATION_DEFAULT,
            HEADER_DESTINATIONS, HEADER_PAIRS, HEADER_PREFIXES, HEADER_SOURCE_DEFAULT, HEADER_WIDE,
            INTERFACES, SERVICES, TREES, Tree,
        },
        switch::{SlotState, SwitchWord},
    },
    memory::MemTables,
    testing::{Breaks, Broken, random::Random},
};
use guard_user::ruleset::sample::{NESTED, Shape, random_policy};

use crate::{Described, PORTS_ONLY, answer, image, own, verdict, ways_agree};

/// What is wrong with the tables of a policy.
struct Wrong<'a> {
    /// Flags of the switch word that are the wrong way round.
    flags: u32,
    word: &'a dyn Fn(u32, u64) -> u64,
    class: &'a dyn Fn(Tree, u32) -> u32,
}

impl Breaks for Wrong<'_> {
    fn switch(&self, right: SwitchWord) -> SwitchWord {
        let right = right.active();
        let wrong = SlotState::new(right.slot(), right.flags() ^ self.flags);
        SwitchWord::settled(wrong, wrong)
    }

    fn policy_word(&self, index: u32, right: u64) -> u64 {
        (self.word)(index, right)
    }

    fn class(&self, tree: Tree, right: u32) -> u32 {
        (self.class)(tree, right)
    }
}

/// Does the oracle disagree with tables broken like this on one of many packets?
fn is_noticed(
    flags: u32,
    word: &dyn Fn(u32, u64) -> u64,
    class: &dyn Fn(Tree, u32) -> u32,
) -> bool {
    let mut random = Random::new(9);
    let shape = Shape {
        rules: 14,
        destination_in: 3,
        interface_in: 3,
        any_in: 5,
        any_source_in: 4,
    };
    (0..90).any(|turn| {
        let shape = if turn % 3 == 2 { PORTS_ONLY } else { shape };
        let policy = random_policy(&mut random, &NESTED, shape);
        let right = MemTables::with_policy(image(&policy));
        let broken = Broken::new(&right, Wrong { flags, word, class });
        (0..100).any(|_| {
            let packet = Described::random(&mut random, &NESTED);
            verdict(&broken, &packet) != answer(&policy, &own(), &packet)
                || !ways_agree(&broken, &packet)
        })
    })
}

fn whole(_: Tree, class: u32) -> u32 {
    class
}

#[test]
fn whole_tables_are_not_suspected() {
    assert!(!is_noticed(0, &|_, word| word, &whole));
}

#[test]
fn every_broken_table_is_noticed() {
    let within = |first: u32, len: u32| move |index: u32| (first..first + len).contains(&index);
    let tree = |tree: Tree| within(tree.at(), 1 + 1 + 128);
    let (v4_filter, v6_filter) = (
        within(FILTERS, FILTER_WORDS),
        within(FILTERS + FILTER_WORDS, FILTER_WORDS),
    );
    let services = within(SERVICES, 32_768);
    let interfaces = within(INTERFACES, TREES - INTERFACES);
    type Fault<'a> = (&'a str, &'a dyn Fn(u32, u64) -> u64);
    let header = |at: u32| move |i: u32, w: u64| if i == at { w ^ 1 } else { w };
    let faults: &[Fault<'_>] = &[
        ("where classes begin", &header(HEADER_CLASSES)),
        ("where prefixes begin", &header(HEADER_PREFIXES)),
        ("where pairs begin", &header(HEADER_PAIRS)),
        ("where full IPv6 prefixes begin", &header(HEADER_WIDE)),
        ("the seed of the prefixes", &|i, w| {
            if i == HEADER_PREFIXES { w ^ 1 << 40 } else { w }
        }),
        ("the size of the pairs", &|i, w| {
            if i == HEADER_PAIRS { w ^ 1 << 32 } else { w }
        }),
        (
            "the default class of sources",
            &header(HEADER_SOURCE_DEFAULT),
        ),
        (
            "the default class of destinations",
            &header(HEADER_DESTINATION_DEFAULT),
        ),
        ("the number of destinations", &header(HEADER_DESTINATIONS)),
        ("an IPv4 filter without bits", &|i, w| {
            if v4_filter(i) { 0 } else { w }
        }),
        ("an IPv6 filter without bits", &|i, w| {
            if v6_filter(i) { 0 } else { w }
        }),
        ("ports without a group", &|i, w| {
            if services(i) { 0 } else { w }
        }),
        ("ports that are open to all", &|i, w| {
            if services(i) {
                w | 0x8000_8000_8000_8000
            } else {
                w
            }
        }),
        ("no interfaces", &|i, w| if interfaces(i) { 0 } else { w }),
        ("IPv4 sources that are not searched", &|i, w| {
            if tree(Tree::SourceV4)(i) { 0 } else { w }
        }),
        ("IPv6 sources that are not searched", &|i, w| {
            if tree(Tree::SourceV6)(i) { 0 } else { w }
        }),
        ("IPv4 destinations that are not searched", &|i, w| {
            if tree(Tree::DestinationV4)(i) { 0 } else { w }
        }),
        ("IPv6 destinations that are not searched", &|i, w| {
            if tree(Tree::DestinationV6)(i) { 0 } else { w }
        }),
        ("a search that never looks for longer prefixes", &|i, w| {
            if tree(Tree::SourceV4)(i) {
                w & !0xff00
            } else {
                w
            }
        }),
        ("a search that never looks for shorter prefixes", &|i, w| {
            if tree(Tree::SourceV4)(i) {
                w & !0xff_0000
            } else {
                w
            }
        }),
    ];
    for (case, fault) in faults {
        assert!(is_noticed(0, fault, &whole), "not noticed: {case}");
    }
}

#[test]
fn every_wrong_flag_is_noticed() {
    // Setting a flag that need not be set costs time and changes nothing; clearing one that must be
    // set is what this finds. Turning it round does both.
    for (case, flag) in [
        ("the default", DEFAULT_ALLOW),
        ("an any-traffic rule that allows", ANY_ALLOWS),
        ("an any-traffic rule for anyone", ANY_FROM_ANYWHERE),
        ("sources", BY_SOURCE),
        ("families", FAMILY_CLASSES),
        ("destinations", BY_DESTINATION),
        ("interfaces", BY_INTERFACE),
    ] {
        assert!(
            is_noticed(flag, &|_, word| word, &whole),
            "not noticed: {case}"
        );
    }
}

#[test]
fn a_wrong_class_is_noticed_in_every_tree() {
    for broken in [
        Tree::SourceV4,
        Tree::SourceV6,
        Tree::DestinationV4,
        Tree::DestinationV6,
    ] {
        let class = |tree: Tree, class: u32| {
            if tree == broken && class > 1 {
                class - 1
            } else {
                class
            }
        };
        assert!(is_noticed(0, &|_, word| word, &class), "{broken:?}");
    }
}
