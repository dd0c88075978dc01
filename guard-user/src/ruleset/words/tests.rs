//! The grammar as tables: what is accepted and what it means, what is refused and why.

use std::sync::Arc;

use super::*;
use crate::ruleset::describe;

mod accepted;
mod profiles;
mod refused;
mod round_trip;

use accepted::ACCEPTED;
use refused::REFUSED;

#[test]
fn the_grammar_accepts_these_and_means_that() {
    for (typed, canonical) in ACCEPTED {
        let parsed = read(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        assert_eq!(describe::command(&parsed.rule), *canonical, "{typed}");
        assert!(parsed.warnings.is_empty(), "{typed}: {:?}", parsed.warnings);
        let again = read(canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
        assert_eq!(again.rule, parsed.rule, "{typed}");
    }
    assert!(ACCEPTED.len() >= 60, "{}", ACCEPTED.len());
}

#[test]
fn the_grammar_refuses_these_with_a_reason_and_a_way_out() {
    let mut surprises = Vec::new();
    for (typed, word, part) in REFUSED {
        match read(typed) {
            Ok(parsed) => surprises.push(format!("{typed}: {}", describe::command(&parsed.rule))),
            Err(error) => {
                let is_expected = error.message.contains(part) && error.word == *word;
                if !is_expected || error.help().is_none() {
                    surprises.push(format!("{typed}: {error:?}"));
                }
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert!(REFUSED.len() >= 60, "{}", REFUSED.len());
}

#[test]
fn host_bits_mapped_addresses_and_ports_of_the_sender_are_taken_with_a_warning() {
    for (typed, canonical, warning) in [
        (
            "allow from 10.1.2.3/8 to any port 22",
            "allow from 10.0.0.0/8 to any port 22",
            "prefix 10.1.2.3/8 has host bits set; taken as 10.0.0.0/8",
        ),
        (
            "deny 2001:db8::1/32",
            "deny from 2001:db8::/32",
            "host bits",
        ),
        (
            "allow ::ffff:1.2.3.4 22",
            "allow from 1.2.3.4 to any port 22",
            "::ffff:1.2.3.4 is an IPv4 address in IPv6 notation; taken as 1.2.3.4",
        ),
        (
            "allow from 1.1.1.1 port 80",
            "allow from 1.1.1.1 port 80 to any proto tcp,udp",
            "port 80 behind `from` is the port of the sender",
        ),
    ] {
        let parsed = read(typed).expect(typed);
        assert_eq!(describe::command(&parsed.rule), canonical);
        assert_eq!(parsed.warnings.len(), 1, "{typed}");
        assert!(parsed.warnings[0].contains(warning), "{typed}");
    }
}

#[test]
fn a_set_brings_its_content_and_its_name() {
    let parsed = read("allow from @office,192.0.2.1 to any port 22").expect("a rule");

    assert_eq!(parsed.rule.source.sets, ["office"]);
    assert_eq!(parsed.rule.source.inline, 1);
    assert_eq!(parsed.rule.source.prefixes.len(), 3);
}

#[test]
fn the_wrong_word_is_underlined() {
    let words = ["allow", "from", "1.1.1.1", "to", "any", "port", "70000"];
    let error = read_words(&words).expect_err("out of range");

    assert_eq!(
        error.underline(&words),
        "allow from 1.1.1.1 to any port 70000\n                               ^^^^^"
    );
}

#[test]
fn columns_look_as_in_ufw() {
    for (typed, to, from) in [
        ("allow 22/tcp", "22/tcp", "Anywhere"),
        ("allow on eth0 9000/tcp", "9000/tcp on eth0", "Anywhere"),
        ("deny from 203.0.113.0/24", "Anywhere", "203.0.113.0/24"),
        ("allow proto gre", "proto gre", "Anywhere"),
        ("allow ping", "ping", "Anywhere"),
        ("allow 80,443", "80,443", "Anywhere"),
        ("allow 1.1.1.1 9000", "9000", "1.1.1.1"),
        (
            "allow to 192.0.2.1 port 80 proto tcp",
            "192.0.2.1 80/tcp",
            "Anywhere",
        ),
        ("allow to 192.0.2.1", "192.0.2.1", "Anywhere"),
        ("allow on eth0", "Anywhere on eth0", "Anywhere"),
        ("allow from @office proto tcp", "proto tcp", "@office"),
    ] {
        let columns = describe::columns(&read(typed).expect(typed).rule);
        assert_eq!(
            (columns.to.as_str(), columns.from.as_str()),
            (to, from),
            "{typed}"
        );
    }
    let rule = read("allow 22/tcp comment 'ssh access'")
        .expect("a rule")
        .rule;
    assert_eq!(
        describe::line(&rule),
        "22/tcp                     ALLOW IN    Anywhere                   # ssh access"
    );
}

#[test]
fn the_same_rule_is_found_whatever_its_comment_and_order() {
    let rule = |typed| read(typed).expect(typed).rule;
    let same = |left, right| describe::same_rule(&rule(left), &rule(right));

    assert!(same("allow http", "allow 80/tcp comment 'web'"));
    assert!(same(
        "allow from 1.1.1.1,2.2.2.2",
        "allow from 2.2.2.2,1.1.1.1"
    ));
    assert!(!same("allow 80/tcp", "deny 80/tcp"));
    assert!(!same("allow 80/tcp", "allow 80"));
    assert!(!same("allow 80", "allow on eth0 80"));
    assert!(!same("allow from @office", "allow from @feed"));
}

/// The sets that the tables refer to.
fn sets() -> SetTable {
    let network = |text: &str| text.parse().expect(text);
    let office: Arc<[_]> = [network("203.0.113.0/24"), network("2001:db8:1::/48")].into();
    let feed: Arc<[_]> = [network("198.51.100.0/24")].into();
    let home: Arc<[_]> = [network("192.0.2.9/32"), network("2001:db8:9::9/128")].into();
    SetTable::from([
        ("office".to_owned(), office),
        ("feed".to_owned(), feed),
        ("home.example.org".to_owned(), home),
    ])
}

fn read(typed: &str) -> Result<Parsed, WordsError> {
    read_words(&split(typed))
}

fn read_words<S: AsRef<str>>(words: &[S]) -> Result<Parsed, WordsError> {
    let (names, sets) = (Names::embedded(), sets());
    let scope = Scope {
        names: &names,
        sets: &sets,
    };
    parse(words, &scope)
}

/// Splits as a shell does, as far as single quotes go.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
