//! Deliberately broken tables: the comparison with the oracle must turn red for each of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use guard_common::{
    abi::{
        addr::Addr,
        image::{
            ANY_ALLOWS, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, DEFAULT_ALLOW, FILTER_WORDS,
            FILTERS, HEADER_DESTINATION_DEFAULT, HEADER_DESTINATIONS, HEADER_FLAGS, HEADER_PAIRS,
            HEADER_PREFIXES, HEADER_SEED, HEADER_SOURCE_DEFAULT, HEADER_TABLES, INTERFACES,
            SERVICES, TREES, Tree,
        },
        switch::SwitchWord,
    },
    memory::MemTables,
    policy::Tables,
    testing::random::Random,
};
use guard_user::ruleset::sample::{NESTED, Shape, random_policy};

use crate::{Described, assert_first_match, image};

/// Tables that answer as they should, except where `word` or `class` says otherwise.
struct Broken<'a> {
    right: &'a MemTables,
    word: &'a dyn Fn(u32, u64) -> u64,
    class: &'a dyn Fn(Tree, u32) -> u32,
}

impl Tables for Broken<'_> {
    fn switch(&self) -> SwitchWord {
        self.right.switch()
    }

    fn now_ns(&self) -> u64 {
        self.right.now_ns()
    }

    fn slot_words(&self) -> u32 {
        self.right.slot_words()
    }

    fn policy_word(&self, index: u32) -> u64 {
        (self.word)(index, self.right.policy_word(index))
    }

    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32 {
        let found = guard_common::policy::longest_prefix(self, base, addr, tree, default);
        (self.class)(tree, found)
    }

    fn seed(&self) -> u64 {
        self.right.seed()
    }

    fn fragment_stamp(&self, index: u32) -> u64 {
        self.right.fragment_stamp(index)
    }

    fn set_fragment_stamp(&self, index: u32, stamp: u64) {
        self.right.set_fragment_stamp(index, stamp);
    }
}

/// Does the oracle disagree with tables broken like this on one of many packets?
fn is_noticed(word: &dyn Fn(u32, u64) -> u64, class: &dyn Fn(Tree, u32) -> u32) -> bool {
    let mut random = Random::new(9);
    let shape = Shape {
        rules: 14,
        destination_in: 3,
        interface_in: 3,
        any_in: 5,
        any_source_in: 4,
    };
    (0..60).any(|_| {
        let policy = random_policy(&mut random, &NESTED, shape);
        let right = MemTables::with_policy(image(&policy));
        let broken = Broken {
            right: &right,
            word,
            class,
        };
        (0..100).any(|_| {
            let packet = Described::random(&mut random, &NESTED);
            catch_unwind(AssertUnwindSafe(|| {
                assert_first_match(&broken, &policy, &packet);
            }))
            .is_err()
        })
    })
}

fn whole(_: Tree, class: u32) -> u32 {
    class
}

#[test]
fn whole_tables_are_not_suspected() {
    assert!(!is_noticed(&|_, word| word, &whole));
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
    let flag = |flag: u32| {
        move |i: u32, w: u64| {
            if i == HEADER_FLAGS {
                w ^ u64::from(flag)
            } else {
                w
            }
        }
    };
    let flags = [
        DEFAULT_ALLOW,
        ANY_ALLOWS,
        BY_SOURCE,
        BY_DESTINATION,
        BY_INTERFACE,
    ]
    .map(flag);
    let header = |at: u32| move |i: u32, w: u64| if i == at { w ^ 1 } else { w };
    let faults: &[Fault<'_>] = &[
        ("the default", &flags[0]),
        ("the flag for any-traffic rules", &flags[1]),
        ("the flag for sources", &flags[2]),
        ("the flag for destinations", &flags[3]),
        ("the flag for interfaces", &flags[4]),
        ("where groups begin", &header(HEADER_TABLES)),
        ("where prefixes begin", &header(HEADER_PREFIXES)),
        ("where pairs begin", &header(HEADER_PAIRS)),
        ("the seed", &header(HEADER_SEED)),
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
        assert!(is_noticed(fault, &whole), "not noticed: {case}");
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
        assert!(is_noticed(&|_, word| word, &class), "{broken:?}");
    }
}
