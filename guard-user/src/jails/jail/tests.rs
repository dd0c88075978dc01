//! A jail beside a naive one that remembers everything.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::jails::growth::Growth;

const MINUTE: i64 = 60_000;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn host(text: &str) -> Host {
    match text.split_once('/') {
        Some((network, length)) => Host::Network(address(network), length.parse().unwrap()),
        None => match text.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(text.to_owned()),
        },
    }
}

fn at(now_ms: i64) -> FailureTime {
    FailureTime { now_ms, age_ms: 0 }
}

fn prefixes(texts: &[&str]) -> Vec<Prefix> {
    let networks = texts
        .iter()
        .map(|text| text.parse::<ipnetwork::IpNetwork>().unwrap());
    networks.map(Prefix::from).collect()
}

/// Fails so often, a second apart, and returns the last verdict.
fn fail(jail: &mut Jail, past: &mut Past, who: &str, times: i64, start_ms: i64) -> FailureVerdict {
    let mut last = FailureVerdict::Old;
    for number in 0..times {
        last = jail.failed(&host(who), at(start_ms + 1000 * number), past);
    }
    last
}

#[test]
fn the_fifth_failure_in_ten_minutes_is_a_ban_of_the_source() {
    for (who, prefix) in [
        ("203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
    ] {
        let mut jail = Jail::new(Settings::new("sshd"));
        let mut past = Past::default();

        assert_eq!(
            fail(&mut jail, &mut past, who, 4, 0),
            FailureVerdict::Counted(4),
            "{who}"
        );
        let FailureVerdict::Ban(ban) = fail(&mut jail, &mut past, who, 1, 10 * MINUTE - 1) else {
            panic!("{who} is banned");
        };

        assert_eq!(vec![ban.prefix], prefixes(&[prefix]), "{who}");
        assert_eq!(ban.address, address(who));
        assert_eq!(ban.term, BanTerm::For(Duration::from_secs(600)));
        assert_eq!((ban.failures, ban.record.count), (5, 1));
        assert_eq!(past.of(ban.prefix, "sshd"), Some(&ban.record));
    }
}

#[test]
fn failures_that_are_farther_apart_are_none() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    for number in 0..100 {
        let when = at(number * 5 * MINUTE / 2 + number);
        let verdict = jail.failed(&host("203.0.113.7"), when, &mut past);
        assert!(
            matches!(verdict, FailureVerdict::Counted(1..=4)),
            "{number}: {verdict:?}"
        );
    }
    let old = FailureTime {
        now_ms: 0,
        age_ms: 10 * MINUTE,
    };
    assert_eq!(
        jail.failed(&host("203.0.113.8"), old, &mut past),
        FailureVerdict::Old
    );
}

#[test]
fn an_ipv6_network_is_one_source() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    for number in 1..=4 {
        let who = format!("2001:db8::{number}");
        assert_eq!(
            jail.failed(&host(&who), at(number), &mut past),
            FailureVerdict::Counted(u32::try_from(number).unwrap())
        );
    }
    let verdict = jail.failed(&host("2001:db8::ffff:5"), at(5), &mut past);
    assert!(matches!(verdict, FailureVerdict::Ban(_)), "{verdict:?}");
    // Its neighbour is somebody else.
    assert_eq!(
        jail.failed(&host("2001:db8:0:1::1"), at(6), &mut past),
        FailureVerdict::Counted(1)
    );
}

#[test]
fn the_rest_of_a_burst_is_no_second_ban_and_the_next_one_is_longer_and_quicker() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    let who = "203.0.113.7";
    let mut now = 0;
    // 1, 2, 3 failures each count as 1, 2, 3, 5 after so many bans.
    for (attempts, minutes) in [(5, 10), (3, 20), (2, 40), (1, 80), (1, 160)] {
        let verdict = fail(&mut jail, &mut past, who, attempts, now);
        let FailureVerdict::Ban(ban) = verdict else {
            panic!("{minutes}: {verdict:?}");
        };
        assert_eq!(ban.term, BanTerm::For(Duration::from_secs(minutes * 60)));
        now += 1000 * (attempts - 1);
        for rest in 0..20 {
            assert_eq!(
                fail(&mut jail, &mut past, who, 1, now + rest),
                FailureVerdict::Banned
            );
        }
        now = ban.record.until_ms;
    }
    assert_eq!((jail.counts().bans, jail.counts().banned), (5, 100));
}

#[test]
fn whoever_was_let_out_is_counted_again() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    let FailureVerdict::Ban(ban) = fail(&mut jail, &mut past, "203.0.113.7", 5, 0) else {
        panic!("banned");
    };

    past.lifted(ban.prefix, None, 10_000);

    // What was logged before the ban counts no more, what comes now does.
    let late = FailureTime {
        now_ms: 10_001,
        age_ms: 9000,
    };
    assert_eq!(
        jail.failed(&host("203.0.113.7"), late, &mut past),
        FailureVerdict::Banned
    );
    assert_eq!(
        jail.failed(&host("203.0.113.7"), at(10_002), &mut past),
        FailureVerdict::Counted(2)
    );
}

#[test]
fn who_is_spared_is_never_counted_nor_banned_with_a_network() {
    let mut settings = Settings::new("sshd");
    settings.ignored = prefixes(&["192.0.2.0/24", "2001:db8:1::7/128", "2001:db8:2::/48"]);
    let mut jail = Jail::new(settings);
    jail.set_own([address("198.51.100.1"), address("2001:db8:5::1")]);
    jail.set_named([address("203.0.113.9"), address("2001:db8:9::9")]);
    let mut past = Past::default();

    for who in [
        "203.0.113.9",
        "2001:db8:9::9",
        "192.0.2.77",
        "::ffff:192.0.2.77",
        "2001:db8:1::7",
        "2001:db8:2:3::4",
        "198.51.100.1",
        "2001:db8:5::1",
        "192.0.0.0/16",
    ] {
        assert_eq!(
            fail(&mut jail, &mut past, who, 10, 0),
            FailureVerdict::Spared,
            "{who}"
        );
    }
    // A neighbour in the /64 of somebody who is spared is banned alone.
    for who in ["2001:db8:1::8", "2001:db8:5::2", "2001:db8:9::8"] {
        let FailureVerdict::Ban(ban) = fail(&mut jail, &mut past, who, 5, 0) else {
            panic!("{who} is banned");
        };
        assert_eq!(ban.prefix, Prefix::single(address(who)), "{who}");
    }
}

#[test]
fn own_addresses_count_if_the_jail_says_so() {
    let mut settings = Settings::new("sshd");
    settings.ignores_self = false;
    let mut jail = Jail::new(settings);
    jail.set_own([address("198.51.100.1")]);
    let mut past = Past::default();

    assert!(matches!(
        fail(&mut jail, &mut past, "198.51.100.1", 5, 0),
        FailureVerdict::Ban(_)
    ));
}

#[test]
fn names_and_wide_networks_are_never_banned() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    for (who, verdict) in [
        ("bystander.example.org", FailureVerdict::Named),
        ("999.1.1.1", FailureVerdict::Named),
        ("10.0.0.0/8", FailureVerdict::TooWide),
        ("0.0.0.0/0", FailureVerdict::TooWide),
        ("2001:db8::/31", FailureVerdict::TooWide),
    ] {
        assert_eq!(fail(&mut jail, &mut past, who, 10, 0), verdict, "{who}");
    }
    assert!(past.is_empty());
    let FailureVerdict::Ban(ban) = fail(&mut jail, &mut past, "203.0.113.0/24", 5, 0) else {
        panic!("a /24 that a pattern asks for");
    };
    assert_eq!(vec![ban.prefix], prefixes(&["203.0.113.0/24"]));
    let counts = jail.counts();
    assert_eq!(
        (counts.failures, counts.named, counts.too_wide),
        (55, 20, 30)
    );
}

#[test]
fn recidive_bans_who_was_banned_five_times_in_a_day() {
    let mut jail = Jail::new(Settings::new("recidive"));
    let mut past = Past::default();
    let hour = 60 * MINUTE;
    for number in 0..4 {
        let verdict = fail(&mut jail, &mut past, "203.0.113.7", 1, number * 5 * hour);
        assert!(matches!(verdict, FailureVerdict::Counted(_)), "{verdict:?}");
    }
    let FailureVerdict::Ban(ban) = fail(&mut jail, &mut past, "203.0.113.7", 1, 20 * hour) else {
        panic!("banned");
    };
    assert_eq!(ban.term, BanTerm::For(Duration::from_secs(7 * 86_400)));
}

#[test]
fn bans_of_all_jails_make_one_grow_if_it_says_so() {
    for (all, minutes) in [(false, 10), (true, 40)] {
        let mut settings = Settings::new("nginx");
        settings.growth.counts_all_jails = all;
        let mut jail = Jail::new(settings);
        let mut past = Past::default();
        let who = Prefix::single(address("203.0.113.7"));
        for name in ["sshd", "postfix"] {
            past.banned(who, &name.into(), 0, 1);
        }
        let mut now = 10;
        let ban = loop {
            match fail(&mut jail, &mut past, "203.0.113.7", 1, now) {
                FailureVerdict::Ban(ban) => break ban,
                FailureVerdict::Counted(_)
                | FailureVerdict::Old
                | FailureVerdict::Banned
                | FailureVerdict::Spared
                | FailureVerdict::Named
                | FailureVerdict::TooWide => now += 1,
            }
        };
        assert_eq!(ban.term, BanTerm::For(Duration::from_secs(minutes * 60)));
    }
}

#[test]
fn a_wrong_clock_neither_hides_a_failure_nor_makes_one() {
    let day = 86_400_000;
    let today = 1_700_000_000_000;
    for (what, said, age) in [
        ("now", Some(today), 0),
        ("a second ago", Some(today - 1000), 1000),
        ("a minute ago", Some(today - MINUTE), MINUTE),
        ("another zone", Some(today - 60 * MINUTE), 0),
        ("tomorrow", Some(today + day), 0),
        ("a moment ahead", Some(today + 1000), 0),
        ("no date", None, 0),
        ("the oldest date", Some(i64::MIN), 0),
    ] {
        let moment = FailureTime::new(5, today, said);
        assert_eq!(
            moment,
            FailureTime {
                now_ms: 5,
                age_ms: age
            },
            "{what}"
        );
    }
    for (what, said, age) in [
        ("a day ago", Some(today - day), day),
        ("tomorrow", Some(today + day), 0),
        ("no date", None, i64::MAX),
    ] {
        assert_eq!(FailureTime::caught_up(5, today, said).age_ms, age, "{what}");
    }
}

#[test]
fn a_flood_of_addresses_saves_nobody() {
    let mut jail = Jail::new(Settings::new("sshd"));
    let mut past = Past::default();
    fail(&mut jail, &mut past, "203.0.113.7", 4, 0);
    for number in 0..500_000_u32 {
        let who = if number % 2 == 0 {
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
        } else {
            let bits = (0x2001_0db8_u128 << 96) | (u128::from(number) << 64);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        };
        let verdict = jail.failed(&Host::Address(who), at(5000), &mut past);
        assert_eq!(verdict, FailureVerdict::Counted(1));
    }

    let counts = jail.counts();
    assert!(counts.suspects <= BOUNDS.sources);
    assert!(counts.pushed_out > 400_000);
    assert!(matches!(
        fail(&mut jail, &mut past, "203.0.113.7", 1, 6000),
        FailureVerdict::Ban(_)
    ));
}

/// Counts by looking at everything that ever happened.
struct Naive {
    settings: Settings,
    failures: Vec<(Prefix, i64)>,
    bans: Vec<(Prefix, i64, i64)>,
}

impl Naive {
    fn failed(&mut self, who: Prefix, when: FailureTime) -> Option<BanTerm> {
        let find = milliseconds(self.settings.find_time);
        let happened = when.now_ms - when.age_ms;
        let before: Vec<_> = self
            .bans
            .iter()
            .filter(|(banned, _, _)| *banned == who)
            .collect();
        let last = before.last();
        if happened <= when.now_ms - find
            || last.is_some_and(|(_, since, until)| when.now_ms < *until || happened <= *since)
        {
            return None;
        }
        let bans = u32::try_from(before.len()).unwrap();
        for _ in 0..self.settings.growth.weight(bans) {
            self.failures.push((who, happened));
        }
        let since = last.map_or(i64::MIN, |(_, since, _)| *since);
        let recent = self
            .failures
            .iter()
            .filter(|(failed, time)| *failed == who && *time > when.now_ms - find && *time > since);
        if recent.count() < usize::try_from(self.settings.max_retry).unwrap() {
            return None;
        }
        let term = self.settings.growth.term(self.settings.ban_time, bans, 0);
        let BanTerm::For(length) = term else {
            panic!("no permanent bans here");
        };
        self.bans
            .push((who, when.now_ms, when.now_ms + milliseconds(length)));
        Some(term)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_jail_bans_exactly_whom_a_naive_one_bans(
        max_retry in 1_u32..7,
        find_seconds in 1_u64..600,
        ban_seconds in 1_u64..300,
        is_growing in any::<bool>(),
        events in prop::collection::vec((0_u8..4, any::<bool>(), 0_i64..120_000, 0_i64..300_000), 1..200),
        sweeps in any::<bool>(),
    ) {
        let mut settings = Settings::new("sshd");
        settings.max_retry = max_retry;
        settings.find_time = Duration::from_secs(find_seconds);
        settings.ban_time = BanTerm::For(Duration::from_secs(ban_seconds));
        settings.growth = Growth { is_on: is_growing, ..Growth::default() };
        let mut naive = Naive { settings: settings.clone(), failures: Vec::new(), bans: Vec::new() };
        let mut jail = Jail::new(settings);
        let mut past = Past::default();
        let mut now_ms = 0;
        for (number, is_v4, step, age_ms) in events {
            now_ms += step;
            let who = if is_v4 {
                IpAddr::V4(Ipv4Addr::new(203, 0, 113, number))
            } else {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(number), 0, 0, 0, now_ms as u16))
            };
            // Most lines are reported at once.
            let when = FailureTime { now_ms, age_ms: if age_ms % 3 == 0 { age_ms } else { 0 } };
            let prefix = if is_v4 { Prefix::single(who) } else { Prefix::single(who).widened(64) };
            let expected = naive.failed(prefix, when);
            let found = match jail.failed(&Host::Address(who), when, &mut past) {
                FailureVerdict::Ban(ban) => {
                    prop_assert_eq!(ban.prefix, prefix);
                    Some(ban.term)
                }
                FailureVerdict::Counted(_)
                | FailureVerdict::Old
                | FailureVerdict::Banned
                | FailureVerdict::Spared
                | FailureVerdict::Named
                | FailureVerdict::TooWide => None,
            };
            prop_assert_eq!(found, expected);
            if sweeps {
                jail.sweep(now_ms);
            }
        }
    }

    #[test]
    fn a_full_jail_may_forget_but_never_bans_the_innocent(
        events in prop::collection::vec((0_u8..30, 0_i64..20_000), 1..400),
    ) {
        let settings = Settings::new("sshd");
        let mut jail = Jail::bounded(settings, Bounds { sources: 8, failures: 20 });
        let mut past = Past::default();
        let mut failures: Vec<(u8, i64)> = Vec::new();
        let mut now_ms = 0;
        for (number, step) in events {
            now_ms += step;
            let who = IpAddr::V4(Ipv4Addr::new(203, 0, 113, number));
            failures.push((number, now_ms));
            let verdict = jail.failed(&Host::Address(who), at(now_ms), &mut past);
            prop_assert!(jail.counts().suspects <= 8);
            if let FailureVerdict::Ban(ban) = verdict {
                let own = failures.iter().filter(|(failed, time)| {
                    *failed == number && *time > now_ms - 10 * MINUTE
                });
                let needed = if ban.record.count == 1 { 5 } else { 1 };
                prop_assert!(own.count() >= needed);
            }
        }
    }
}
