//! Cases by hand, and the index against comparing every pair.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ruleset::{
    names::Names,
    sets::SetTable,
    words::{self, Scope},
};

#[test]
fn one_earlier_rule_covers_a_later_one() {
    for (earlier, later) in [
        ("allow 22/tcp", "allow 22/tcp"),
        ("allow 22", "deny 22/udp"),
        ("deny from any", "allow 22/tcp"),
        ("deny from 10.0.0.0/8", "allow 10.1.2.3 22"),
        ("allow 1:1024/tcp", "allow 80,443/tcp"),
        ("allow proto tcp", "allow 80/tcp"),
        ("allow proto gre", "allow from 1.1.1.1 proto gre"),
        ("allow ping", "allow ping from ::1"),
        ("allow ping", "deny icmp type 8"),
        ("allow proto icmp", "allow icmp type timestamp-request"),
        ("allow proto icmpv6", "allow icmpv6 type time-exceeded"),
        ("allow icmp type time-exceeded", "allow icmpv6 type 3"),
        ("allow 22", "allow on eth0 22"),
        ("allow on eth0 22", "allow on eth0 22"),
        (
            "allow from 192.0.2.0/25,192.0.2.128/25",
            "allow from 192.0.2.0/24",
        ),
        ("allow from 0.0.0.0/0,::/0", "allow from any"),
        ("allow 80,81:90/tcp", "allow 80:90/tcp"),
        (
            "allow to 192.0.2.0/24",
            "allow from ::ffff:1.1.1.1 to 192.0.2.7",
        ),
        ("allow from @office", "allow from @office to any port 22"),
        ("allow from @office,1.1.1.1", "allow from @office"),
        ("allow from any", "allow from @feed"),
        ("allow from 0.0.0.0/0,::/0", "allow from @feed"),
    ] {
        assert_eq!(
            find(&rules(&[earlier, later])),
            [Shadow {
                rule: 1,
                by: vec![0],
                certainty: Certainty::Always
            }],
            "{earlier} / {later}"
        );
        let (first, second) = (rules(&[earlier]), rules(&[later]));
        assert_eq!(
            covering_rule(&first, &second[0]),
            Some(0),
            "{earlier} / {later}"
        );
    }
}

#[test]
fn rules_that_leave_something_over_are_fine() {
    for (earlier, later) in [
        ("allow 22/tcp", "allow 22"),
        ("allow 22/tcp", "allow 22/udp"),
        ("allow 22", "allow proto gre"),
        ("allow proto icmp", "allow ping"),
        ("allow ping", "allow proto icmp"),
        ("allow icmp type 8", "allow ping"),
        ("allow icmp type 8", "allow icmpv6 type 8"),
        ("allow icmp type 11", "allow icmp type 13"),
        ("allow proto icmp", "allow icmp type time-exceeded"),
        ("allow proto icmpv6", "allow icmp type time-exceeded"),
        ("allow proto tcp,udp", "allow from any"),
        ("allow from 10.1.0.0/16", "allow from 10.0.0.0/8"),
        ("allow from 0.0.0.0/0", "allow from any"),
        ("allow from 0.0.0.0/0", "allow from ::1"),
        ("allow on eth0 22", "allow 22"),
        ("allow on eth0 22", "allow on eth1 22"),
        ("allow to 192.0.2.1 port 22", "allow 22"),
        ("allow 80,82/tcp", "allow 80:82/tcp"),
        ("allow from @feed", "allow from @office"),
        ("allow from @office", "allow from @office,@feed"),
        ("allow 22", "allow 22,80"),
    ] {
        let found = find(&rules(&[earlier, later]));
        assert!(found.is_empty(), "{earlier} / {later}: {found:?}");
    }
}

#[test]
fn cover_by_the_content_of_a_set_is_less_sure() {
    for (earlier, later) in [
        ("allow from @office", "allow from 203.0.113.9"),
        (
            "allow from 203.0.113.0/24,2001:db8::/32",
            "allow from @office",
        ),
        ("allow from @office", "allow from @branch"),
        (
            "allow from 198.51.100.0/24,@office",
            "allow from 198.51.100.1,203.0.113.1",
        ),
    ] {
        assert_eq!(
            find(&rules(&[earlier, later])),
            [Shadow {
                rule: 1,
                by: vec![0],
                certainty: Certainty::WithTheseSets
            }],
            "{earlier} / {later}"
        );
        let (first, second) = (rules(&[earlier]), rules(&[later]));
        assert_eq!(
            covering_rule(&first, &second[0]),
            None,
            "{earlier} / {later}"
        );
    }
}

#[test]
fn several_rules_cover_one_together() {
    let found = find(&rules(&[
        "allow 22/tcp",
        "allow 80",
        "allow 22/udp",
        "allow 22",
    ]));
    assert_eq!(
        found,
        [Shadow {
            rule: 3,
            by: vec![0, 2],
            certainty: Certainty::Together
        }]
    );

    let found = find(&rules(&[
        "allow from 0.0.0.0/0",
        "allow from ::/0",
        "allow ssh",
    ]));
    assert_eq!(
        found,
        [Shadow {
            rule: 2,
            by: vec![0, 1],
            certainty: Certainty::Together
        }]
    );

    assert!(find(&rules(&["allow 22/tcp", "deny 23/udp", "allow 22:23"])).is_empty());
}

#[test]
fn an_empty_set_shadows_nothing_and_is_not_shadowed() {
    assert!(find(&rules(&["allow from @nobody", "allow 22"])).is_empty());
    assert!(find(&rules(&["allow 22", "allow from @nobody to any port 22"])).is_empty());
}

#[test]
fn the_first_rule_that_covers_is_named() {
    let found = find(&rules(&[
        "allow 80",
        "allow 22/udp",
        "allow 22",
        "allow 1:100",
        "allow 22/tcp",
    ]));
    assert_eq!(
        found,
        [Shadow {
            rule: 4,
            by: vec![2],
            certainty: Certainty::Always
        }]
    );
    let found = find(&rules(&[
        "allow from @office",
        "allow from any",
        "allow from 203.0.113.1",
    ]));
    assert_eq!(
        found,
        [Shadow {
            rule: 2,
            by: vec![1],
            certainty: Certainty::Always
        }]
    );
}

#[test]
fn ten_thousand_rules_are_compared_by_index() {
    let mut typed: Vec<String> = Vec::new();
    for number in 0..10_000 {
        let (high, low) = (number / 250, number % 250);
        typed.push(match number % 4 {
            0 => format!("allow 10.{high}.{low}.1 22/tcp"),
            1 => format!("allow {}/udp", 1000 + number),
            2 => format!("allow to 192.{high}.{low}.1 port 443"),
            _ => format!("deny from 172.{high}.{low}.0/24"),
        });
    }
    typed.push("allow 10.3.6.1 22/tcp comment again".to_owned());
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();

    let rules = rules(&typed);
    let found = find(&rules);

    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].rule, found[0].certainty),
        (10_000, Certainty::Always)
    );
}

#[test]
fn ten_thousand_rules_of_every_shape_are_compared_by_index() {
    let mut state = 1_u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let rules: Vec<Rule> = (0..10_000)
        .map(|_| {
            let length = u8::try_from(8 + random(25)).expect("a length");
            let address = std::net::Ipv4Addr::from_bits(random(1 << 24) << 8);
            let text = format!("{address}/{length}");
            let network = crate::text::address::parse_network(&text).expect("a prefix");
            let first = u16::try_from(1 + random(60_000)).expect("a port");
            let last = first + u16::try_from(random(5_000)).expect("a width");
            let mut rule = read("allow 22/tcp").expect("a rule");
            rule.traffic = Traffic::Ports(Transport::Tcp, vec![PortRange { first, last }]);
            let mut source = crate::ruleset::prefixes::PrefixList::default();
            source.add_network(network.0);
            rule.source = source.finish();
            rule
        })
        .collect();

    let found = find(&rules);

    for shadow in found.iter().take(20) {
        assert_eq!(
            covering_rule(&rules[..shadow.rule], &rules[shadow.rule]),
            Some(shadow.by[0])
        );
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_comparing_all_pairs_finds(
        typed in proptest::collection::vec(rule_words(), 1..12)
    ) {
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let rules = rules(&typed);
        let found = find(&rules);

        for at in 0..rules.len() {
            let sure = found
                .iter()
                .find(|shadow| shadow.rule == at && shadow.certainty == Certainty::Always)
                .map(|shadow| shadow.by[0]);
            prop_assert_eq!(sure, covering_rule(&rules[..at], &rules[at]), "rule {}", at);
        }
    }
}

fn rule_words() -> impl Strategy<Value = String> {
    let ends = [
        "any",
        "10.0.0.0/8",
        "10.0.0.0/9,10.128.0.0/9",
        "10.1.0.0/16",
        "10.1.2.3",
        "0.0.0.0/0",
        "0.0.0.0/0,::/0",
        "@office",
        "203.0.113.0/24,2001:db8::/32",
        "2001:db8:1::5",
        "@branch",
    ];
    let what = [
        "",
        "proto tcp",
        "proto gre",
        "proto ping",
        "proto icmp",
        "icmp type 8",
        "icmp type time-exceeded",
        "22/tcp",
        "22",
        "20:25",
        "20:25/tcp",
        "1:65535/udp",
        "22,80/tcp",
        "80/udp",
    ];
    let select = |from: &[&'static str]| proptest::sample::select(from.to_vec());
    let interface = select(&["", "on eth0"]);
    (select(&ends), select(&ends), select(&what), interface)
        .prop_map(|(from, to, what, on)| format!("allow {on} from {from} to {to} {what}"))
        .prop_filter("one family", |typed| read(typed).is_some())
}

fn rules(typed: &[&str]) -> Vec<Rule> {
    typed
        .iter()
        .map(|typed| read(typed).expect(typed))
        .collect()
}

fn read(typed: &str) -> Option<Rule> {
    let set = |texts: &[&str]| -> Arc<[ipnetwork::IpNetwork]> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    };
    let sets = SetTable::from([
        (
            "office".to_owned(),
            set(&["203.0.113.0/24", "2001:db8:1::/48"]),
        ),
        ("branch".to_owned(), set(&["203.0.113.128/25"])),
        ("feed".to_owned(), set(&["198.51.100.0/24"])),
        ("nobody".to_owned(), set(&[])),
    ]);
    let words: Vec<&str> = typed.split_whitespace().collect();
    let names = Names::embedded();
    let scope = Scope {
        names: &names,
        sets: &sets,
    };
    words::parse(&words, &scope).ok().map(|parsed| parsed.rule)
}
