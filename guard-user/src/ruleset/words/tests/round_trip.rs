//! Every rule has words, and the words mean that rule.

use ipnetwork::IpNetwork;
use proptest::prelude::*;

use super::{read_words, sets};
use crate::{
    ruleset::{
        describe,
        icmp::IcmpType,
        labels::Labels,
        limit::{Block, Counts, Limit, Rate},
        model::{PortRange, Prefixes, Rule, RuleAction, Traffic, Transport},
        on_excess::ExcessBan,
        prefixes::PrefixList,
        until::Until,
    },
    text::address,
};

proptest! {
    #[test]
    fn the_words_of_a_rule_read_back_as_the_rule(rule in rules()) {
        let words = describe::words(&rule);
        let parsed = read_words(&words);
        prop_assert_eq!(parsed.map(|parsed| parsed.rule), Ok(rule));
    }

    #[test]
    fn any_words_are_a_rule_or_an_error_about_one_of_them(
        words in proptest::collection::vec(word(), 0..7)
    ) {
        if let Err(error) = read_words(&words) {
            prop_assert!(error.word <= words.len());
            prop_assert!(!error.underline(&words).is_empty());
        }
    }
}

fn rules() -> impl Strategy<Value = Rule> {
    let ends = (prefixes(), prefixes()).prop_filter("one family", |(from, to)| {
        crate::ruleset::prefixes::check_families(from, to).is_ok()
    });
    let interface = proptest::option::of("[a-z][a-z0-9.-]{0,14}");
    let comment = proptest::option::of("[ -~äß€]{0,30}");
    let counts = prop_oneof![Just(Counts::Connections), Just(Counts::Packets)];
    let limit = (
        1..=20u32,
        1..=120u32,
        1..=50u32,
        counts,
        proptest::option::of(1..=3600u32),
        proptest::option::of(1..=86_400u32),
    )
        .prop_map(|(count, seconds, burst, counts, block, ban)| {
            let rate = match ban {
                // A slow one bans nobody.
                Some(_) => Rate {
                    count: count + 999,
                    seconds: 1,
                },
                None => Rate { count, seconds },
            };
            RuleAction::Limit(Limit {
                counts,
                rate,
                burst,
                block: block.map(|seconds| Block::parse(&seconds.to_string()).expect("a time")),
                on_excess: ban
                    .map(|seconds| ExcessBan::parse(&format!("ban {seconds}")).expect("a ban")),
            })
        });
    let action = prop_oneof![Just(RuleAction::Allow), Just(RuleAction::Deny), limit];
    let name = proptest::option::of("[a-z][a-z0-9-]{0,8}9");
    let tags = proptest::collection::btree_set("[a-z][a-z0-9-]{0,8}", 0..4);
    let remarks = (
        comment,
        name,
        tags.prop_map(|tags| tags.into_iter().collect()),
    );
    let source_ports = proptest::option::of((1..30_000_u16, 30_000..=u16::MAX));
    let until = proptest::option::of(0..4_000_000_000_u64);
    (
        action,
        traffic(),
        ends,
        (interface, until, source_ports),
        remarks,
    )
        .prop_map(
            |(
                action,
                traffic,
                (source, destination),
                (interface, until, source_ports),
                (comment, name, tags),
            )| {
                Rule {
                    action: match (action, &traffic) {
                        (RuleAction::Limit(limit), traffic)
                            if traffic.may_be_limited(limit.counts).is_err()
                                || traffic.may_block(limit).is_err()
                                || traffic.may_ban(limit).is_err() =>
                        {
                            RuleAction::Allow
                        }
                        (action, _) => action,
                    },
                    source_ports: match traffic {
                        Traffic::Ports(..) => source_ports
                            .map(|(first, last)| PortRange { first, last })
                            .into_iter()
                            .collect(),
                        Traffic::Any | Traffic::Protocol(_) | Traffic::Icmp(_) => Vec::new(),
                    },
                    traffic,
                    source,
                    destination,
                    interface,
                    until: until.map(Until::from_seconds),
                    comment,
                    labels: Labels { name, tags },
                    is_enabled: true,
                    origin: None,
                }
            },
        )
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let transport = || {
        prop_oneof![
            Just(Transport::Tcp),
            Just(Transport::Udp),
            Just(Transport::Both)
        ]
    };
    // Distinct cuts, taken in pairs, give ranges that are sorted and disjoint.
    let ranges = proptest::collection::btree_set(1..=u16::MAX, 2..8).prop_map(|cuts| {
        let cuts: Vec<u16> = cuts.into_iter().collect();
        cuts.chunks_exact(2)
            .enumerate()
            .map(|(at, pair)| PortRange {
                first: pair[0],
                last: if at % 2 == 0 { pair[0] } else { pair[1] },
            })
            .collect::<Vec<_>>()
    });
    let other = any::<u8>().prop_filter("not a transport", |number| ![6, 17].contains(number));
    prop_oneof![
        Just(Traffic::Any),
        prop_oneof![
            Just(IcmpType::PING),
            (0..3u8, 0..255u8)
                .prop_map(|(family, kind)| IcmpType {
                    v4: (family != 1).then_some(kind),
                    v6: (family != 0).then_some(kind),
                })
                .prop_filter("a type of one family, and one that rules decide", |kind| {
                    let protocol = if kind.v4.is_some() { 1 } else { 58 };
                    let name = kind.name().unwrap_or_default();
                    IcmpType::parse(protocol, &name) == Ok(*kind)
                }),
        ]
        .prop_map(Traffic::Icmp),
        other.prop_map(Traffic::Protocol),
        transport().prop_map(|transport| Traffic::Ports(transport, vec![PortRange::ALL])),
        (transport(), ranges).prop_map(|(transport, ranges)| Traffic::Ports(transport, ranges)),
    ]
}

fn prefixes() -> impl Strategy<Value = Prefixes> {
    let network = prop_oneof![
        (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| {
            let address = std::net::Ipv4Addr::from_bits(bits);
            format!("{address}/{length}")
        }),
        (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| {
            let address = std::net::Ipv6Addr::from_bits(bits);
            format!("{address}/{length}")
        }),
    ];
    let network = network
        .prop_map(|text| -> IpNetwork { address::parse_network(&text).expect("a prefix").0 });
    let names = proptest::sample::subsequence(vec!["office", "feed"], 0..=2);
    (proptest::collection::vec(network, 0..4), names).prop_map(|(networks, names)| {
        let mut list = PrefixList::default();
        for network in networks {
            list.add_network(network);
        }
        for name in names {
            list.add_set(name.to_owned(), sets().get(name));
        }
        list.finish()
    })
}

fn word() -> impl Strategy<Value = String> {
    let known = [
        "allow",
        "deny",
        "limit",
        "rate",
        "burst",
        "6/30s",
        "in",
        "on",
        "from",
        "to",
        "port",
        "proto",
        "comment",
        "any",
        "ping",
        "icmp",
        "type",
        "time-exceeded",
        "tcp",
        "22",
        "22/tcp",
        "80,443",
        "6000:6007",
        "1.1.1.1",
        "::1/64",
        "@office",
        "eth0",
        "/",
        ",",
        ":",
        "",
        "-",
        "@",
        "http",
        "gre",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}
