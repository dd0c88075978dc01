//! The grammar as tables: what is accepted and what it means, what is refused and why.

use std::sync::Arc;

use super::*;
use crate::ruleset::describe;

mod round_trip;

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
fn host_bits_and_mapped_addresses_are_taken_with_a_warning() {
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

/// What is typed, and the canonical words.
const ACCEPTED: &[(&str, &str)] = &[
    ("allow 22", "allow 22"),
    ("allow 22/tcp", "allow 22/tcp"),
    ("ALLOW 22/TCP", "allow 22/tcp"),
    ("deny 22/udp", "deny 22/udp"),
    ("allow 1/tcp", "allow 1/tcp"),
    ("allow 65535/udp", "allow 65535/udp"),
    ("allow http", "allow 80/tcp"),
    ("allow HTTP", "allow 80/tcp"),
    ("allow ssh/tcp", "allow 22/tcp"),
    ("allow domain", "allow 53"),
    ("allow domain/udp", "allow 53/udp"),
    ("allow ntp", "allow 123/udp"),
    ("allow http-alt", "allow 8080/tcp"),
    ("allow http,https", "allow 80,443/tcp"),
    ("allow http,443/tcp", "allow 80,443/tcp"),
    ("allow 80,443/tcp", "allow 80,443/tcp"),
    ("allow 443,80,80/tcp", "allow 80,443/tcp"),
    ("allow 80,443", "allow 80,443"),
    ("allow 6000:6007/udp", "allow 6000:6007/udp"),
    ("allow 6000:6007", "allow 6000:6007"),
    ("allow 1:65535/tcp", "allow 1:65535/tcp"),
    ("allow 22,6000:6007,8080/tcp", "allow 22,6000:6007,8080/tcp"),
    ("allow 10:20,15:30/tcp", "allow 10:30/tcp"),
    ("allow 7:7/tcp", "allow 7/tcp"),
    ("allow 22/6", "allow 22/tcp"),
    ("allow 53/any", "allow 53"),
    ("allow from any", "allow from any"),
    ("deny from any to any", "deny from any"),
    ("deny from 203.0.113.0/24", "deny from 203.0.113.0/24"),
    ("deny 203.0.113.7", "deny from 203.0.113.7"),
    ("deny 203.0.113.0/24", "deny from 203.0.113.0/24"),
    ("deny 2001:db8::/32", "deny from 2001:db8::/32"),
    ("deny ::1", "deny from ::1"),
    ("allow 0.0.0.0/0", "allow from 0.0.0.0/0"),
    (
        "allow ::/0 22/tcp",
        "allow from ::/0 to any port 22 proto tcp",
    ),
    ("deny 10.0.0.0/255.0.0.0", "deny from 10.0.0.0/8"),
    ("deny @office", "deny from @office"),
    ("deny from @office,192.0.2.1", "deny from 192.0.2.1,@office"),
    (
        "allow from 1.1.1.1 to any port 9000 proto tcp",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
    ),
    (
        "allow proto tcp from 1.1.1.1 to 192.0.2.1 port 9000",
        "allow from 1.1.1.1 to 192.0.2.1 port 9000 proto tcp",
    ),
    (
        "allow from 1.1.1.1 to any port 9000",
        "allow from 1.1.1.1 to any port 9000",
    ),
    ("allow from any to any port 22", "allow 22"),
    ("allow from any to any port http", "allow 80/tcp"),
    ("allow to any port 22 proto tcp", "allow 22/tcp"),
    ("allow to 192.0.2.1", "allow from any to 192.0.2.1"),
    (
        "allow to 192.0.2.1 port 80 from 1.1.1.1",
        "allow from 1.1.1.1 to 192.0.2.1 port 80",
    ),
    ("allow from 1.1.1.1 to any", "allow from 1.1.1.1"),
    ("allow 1.1.1.1 9000", "allow from 1.1.1.1 to any port 9000"),
    (
        "allow 1.1.1.1 9000/tcp",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
    ),
    (
        "allow 10.0.0.0/8 80,443/tcp",
        "allow from 10.0.0.0/8 to any port 80,443 proto tcp",
    ),
    (
        "allow 2001:db8::1 http",
        "allow from 2001:db8::1 to any port 80 proto tcp",
    ),
    (
        "allow @office ssh",
        "allow from @office to any port 22 proto tcp",
    ),
    (
        "allow 1.1.1.1,2.2.2.2 22",
        "allow from 1.1.1.1,2.2.2.2 to any port 22",
    ),
    (
        "allow 22/tcp from 1.1.1.1",
        "allow from 1.1.1.1 to any port 22 proto tcp",
    ),
    (
        "allow from 1.1.1.1 22/tcp",
        "allow from 1.1.1.1 to any port 22 proto tcp",
    ),
    ("allow 22 proto tcp", "allow 22/tcp"),
    ("allow proto tcp", "allow proto tcp"),
    ("allow proto tcp,udp", "allow proto tcp,udp"),
    (
        "allow proto udp from 1.1.1.1",
        "allow from 1.1.1.1 proto udp",
    ),
    ("allow proto gre", "allow proto gre"),
    ("allow proto 47", "allow proto gre"),
    ("allow proto 201", "allow proto 201"),
    (
        "allow proto 17 from 1.1.1.1",
        "allow from 1.1.1.1 proto udp",
    ),
    (
        "allow proto esp from 192.0.2.1",
        "allow from 192.0.2.1 proto esp",
    ),
    ("allow proto ipv6-icmp", "allow proto icmpv6"),
    ("allow proto any from 1.1.1.1", "allow from 1.1.1.1"),
    ("allow ping", "allow ping"),
    ("allow proto ping", "allow ping"),
    ("allow ping from 1.1.1.1", "allow from 1.1.1.1 proto ping"),
    ("allow 1.1.1.1 ping", "allow from 1.1.1.1 proto ping"),
    ("allow in 22/tcp", "allow 22/tcp"),
    ("allow on eth0 22/tcp", "allow on eth0 22/tcp"),
    ("allow in on eth0 22/tcp", "allow on eth0 22/tcp"),
    ("allow in on eth0", "allow on eth0 from any"),
    (
        "deny in on br-1234 from 10.0.0.0/8 to any port 25 proto tcp",
        "deny on br-1234 from 10.0.0.0/8 to any port 25 proto tcp",
    ),
    (
        "allow 22/tcp comment 'ssh from home'",
        "allow 22/tcp comment 'ssh from home'",
    ),
    (
        "allow from 1.1.1.1 comment metrics",
        "allow from 1.1.1.1 comment metrics",
    ),
    ("allow 22 comment ''", "allow 22 comment ''"),
    ("allow 22 comment port", "allow 22 comment port"),
];

/// What is typed, the index of the word that is wrong, and a part of the message.
const REFUSED: &[(&str, usize, &str)] = &[
    ("", 0, "the rule is empty"),
    ("allow", 1, "the rule is empty"),
    ("allow in", 2, "the rule is empty"),
    ("allow comment x", 3, "the rule is empty"),
    (
        "alow 22",
        0,
        "\"alow\" is not an action; did you mean \"allow\"",
    ),
    ("drop 22", 0, "\"drop\" is not an action"),
    (
        "reject 22",
        0,
        "`reject` is refused: the filter answers no packet",
    ),
    ("limit ssh", 0, "`limit` is not available yet"),
    ("route allow in on eth0", 0, "`route` is refused"),
    (
        "allow out 22",
        1,
        "`out` is refused: guard filters what arrives",
    ),
    ("allow 22 out", 2, "`out` is refused"),
    ("allow route 22", 1, "`route` is refused"),
    ("allow deny 22", 1, "a rule has one action"),
    ("allow reject 22", 1, "a rule has one action"),
    ("allow 0", 1, "port 0 is out of range (1-65535)"),
    ("allow 70000", 1, "port 70000 is out of range (1-65535)"),
    ("allow 65536/tcp", 1, "port 65536 is out of range (1-65535)"),
    (
        "allow 99999999999999999999",
        1,
        "port 99999999999999999999 is out of range",
    ),
    ("allow -1", 1, "port -1 is out of range"),
    ("allow +22", 1, "port +22 is out of range"),
    (
        "allow 90:80/tcp",
        1,
        "port range 90:80 ends before it begins",
    ),
    ("allow 0:80/tcp", 1, "port 0 is out of range"),
    ("allow 80:/tcp", 1, "\"80:\" is not a port range"),
    ("allow :80", 1, "\":80\" is not a port range"),
    ("allow http:https", 1, "is not a port range"),
    ("allow 80-90", 1, "\"80-90\" is not a port"),
    ("allow 80,", 1, "a port is missing in \"80,\""),
    ("allow ,80", 1, "a port is missing"),
    ("allow 80,,443", 1, "a port is missing"),
    ("allow 80, 443", 1, "a port is missing in \"80,\""),
    ("allow /tcp", 1, "a port is missing"),
    (
        "allow htpp",
        1,
        "unknown service \"htpp\"; did you mean \"http\"",
    ),
    (
        "allow shs/tcp",
        1,
        "unknown service \"shs\"; did you mean \"ssh\"",
    ),
    ("allow minecraft", 1, "unknown service \"minecraft\""),
    (
        "allow http/udp",
        1,
        "service \"http\" is not known for udp; it is 80/tcp",
    ),
    (
        "allow ntp/tcp",
        1,
        "service \"ntp\" is not known for tcp; it is 123/udp",
    ),
    (
        "allow 22,http",
        1,
        "differ in protocol: 22 is tcp and udp, http is tcp",
    ),
    ("allow http,ntp", 1, "differ in protocol"),
    (
        "allow 22/tpc",
        1,
        "unknown protocol \"tpc\"; did you mean \"tcp\"",
    ),
    ("allow 22/", 1, "unknown protocol \"\""),
    ("allow 22/gre", 1, "protocol gre is not matched by port"),
    ("allow 22/256", 1, "protocol 256 is out of range (0-255)"),
    ("allow 22/tcp/udp", 1, "is not a port"),
    ("allow gre", 1, "\"gre\" is a protocol, not a port"),
    ("allow tcp", 1, "\"tcp\" is a protocol, not a port"),
    ("allow any", 1, "`any` stands alone"),
    ("allow 22/tcp proto udp", 3, "`protocol` is given twice"),
    ("allow ping 22", 2, "ping is not matched by port"),
    (
        "allow proto gre to any port 22",
        6,
        "protocol gre is not matched by port",
    ),
    ("allow proto", 2, "a value is missing after `proto`"),
    ("allow proto foo", 2, "unknown protocol \"foo\""),
    ("allow proto 300", 2, "protocol 300 is out of range"),
    ("allow proto ip", 2, "every packet is IP"),
    ("allow 22 443", 2, "the rule has a port already"),
    ("allow 22 to any port 443", 5, "the rule has a port already"),
    ("allow from", 2, "a value is missing after `from`"),
    ("allow to", 2, "a value is missing after `to`"),
    ("allow on", 2, "a value is missing after `on`"),
    ("allow 22 comment", 3, "a value is missing after `comment`"),
    ("allow to any port", 4, "a value is missing after `port`"),
    ("allow from 256.1.1.1", 2, "\"256.1.1.1\" is not an address"),
    ("allow from 1.1.1", 2, "\"1.1.1\" is not an address"),
    (
        "allow from example.com",
        2,
        "\"example.com\" is not an address",
    ),
    ("allow from localhost", 2, "\"localhost\" is not an address"),
    (
        "allow example.com 22",
        1,
        "\"example.com\" is not an address",
    ),
    (
        "allow from 1.1.1.1/33",
        2,
        "prefix length 33 is out of range (0-32)",
    ),
    (
        "allow from ::1/129",
        2,
        "prefix length 129 is out of range (0-128)",
    ),
    ("allow from 1.1.1.1/", 2, "\"\" is not a prefix length"),
    ("allow from 1.1.1.1,", 2, "an address is missing"),
    ("allow from any,1.1.1.1", 2, "`any` makes the rest"),
    ("allow from [::1]", 2, "is not an address"),
    ("allow from fe80::1%eth0", 2, "is not an address"),
    (
        "allow from @ofice",
        2,
        "unknown set \"@ofice\"; did you mean \"@office\"",
    ),
    ("allow from @", 2, "set name \"\" cannot be used"),
    (
        "allow from 1.1.1.1 port 80",
        3,
        "source port \"80\" is refused",
    ),
    (
        "allow from any port 53 to any",
        3,
        "source port \"53\" is refused",
    ),
    (
        "allow from 1.1.1.1 from 2.2.2.2",
        3,
        "the rule has a source already",
    ),
    (
        "allow 1.1.1.1 from 2.2.2.2",
        2,
        "the rule has a source already",
    ),
    ("allow 1.1.1.1 2.2.2.2", 2, "the rule has a source already"),
    ("allow to 1.1.1.1 to 2.2.2.2", 3, "`to` is given twice"),
    (
        "allow 9000 1.1.1.1",
        2,
        "address \"1.1.1.1\" stands after the port",
    ),
    (
        "allow from 1.1.1.1 to ::1",
        4,
        "its source is IPv4, its destination IPv6",
    ),
    ("allow port 22", 1, "`port` stands without an address"),
    ("allow app OpenSSH", 1, "`app` is refused"),
    ("allow from 1.1.1.1 app OpenSSH", 3, "is refused"),
    ("allow log 22", 1, "`log` is refused"),
    ("allow in in 22", 2, "`in` is given twice"),
    ("allow on eth0 on eth1 22", 3, "`on` is given twice"),
    ("allow on eth0:1 22", 2, "is an alias"),
    ("allow on eth/0 22", 2, "is not an interface name"),
    ("allow on waytoolonginterface 22", 2, "longer than 15 bytes"),
    (
        "allow 22 comment ssh access",
        4,
        "\"access\" stands after the comment",
    ),
    ("allow 22 comment 'a\nb'", 3, "has a control character"),
    (
        "allow fron 1.1.1.1",
        1,
        "unknown word \"fron\"; did you mean \"from\"",
    ),
    (
        "allow 22 coment x",
        2,
        "unknown word \"coment\"; did you mean \"comment\"",
    ),
];

/// The sets that the tables refer to.
fn sets() -> SetTable {
    let network = |text: &str| text.parse().expect(text);
    let office: Arc<[_]> = [network("203.0.113.0/24"), network("2001:db8:1::/48")].into();
    let feed: Arc<[_]> = [network("198.51.100.0/24")].into();
    SetTable::from([("office".to_owned(), office), ("feed".to_owned(), feed)])
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
