//! Lines as attackers would like to write them, and what connections add up to.

use jiff::tz::TimeZone;

use super::*;
use crate::filters::builtin;

mod connections;

const NOW_MS: i64 = 1_755_165_600_000;

fn builtin_filter(name: &str) -> Filter {
    let file = builtin::file(name).unwrap();
    let definition = Definition::read(&file, &Given::new()).unwrap();
    Filter::new(definition, TimeZone::UTC).unwrap()
}

/// A filter of its own; the file goes away with the test.
fn filter_of(name: &str, text: &str) -> Filter {
    let file =
        std::env::temp_dir().join(format!("guard-engine-{}-{name}.conf", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let read = Definition::read(&file, &Given::new());
    std::fs::remove_file(&file).unwrap();
    Filter::new(read.unwrap(), TimeZone::UTC).unwrap()
}

/// The host that a line gives, if any.
fn host(filter: &mut Filter, line: &[u8]) -> Option<String> {
    match filter.line(line, LineTime::InText, NOW_MS) {
        LineOutcome::Failure(failure) => Some(failure.host.to_string()),
        LineOutcome::None | LineOutcome::Ignored | LineOutcome::Pending => None,
    }
}

#[test]
fn every_built_in_filter_and_every_mode_of_it_is_right() {
    for (name, modes) in [
        ("apache-auth", &["normal", "aggressive"][..]),
        ("dovecot", &["normal", "aggressive"]),
        ("guard-portscan", &[]),
        ("nginx-bad-request", &[]),
        ("nginx-botsearch", &[]),
        (
            "nginx-http-auth",
            &["normal", "auth", "fallback", "aggressive"],
        ),
        ("nginx-limit-req", &[]),
        (
            "postfix",
            &[
                "normal",
                "more",
                "auth",
                "rbl",
                "errors",
                "ddos",
                "extra",
                "aggressive",
            ],
        ),
        ("sshd", &["normal", "ddos", "extra", "aggressive"]),
    ] {
        let file = builtin::file(name).unwrap();
        for mode in modes.iter().copied().map(Some).chain([None]) {
            for logtype in ["file", "journal", "rfc5424"] {
                let mut given = Given::from([("logtype".to_owned(), logtype.to_owned())]);
                given.extend(mode.map(|mode| ("mode".to_owned(), mode.to_owned())));
                let filter = Filter::load(&file, &given).unwrap_or_else(|wrong| panic!("{wrong}"));

                assert_eq!(filter.backtracking(), 0, "{name} {mode:?}");
                assert!(filter.remarks().is_empty(), "{name} {mode:?}");
                let patterns = filter.failures.iter().chain(&filter.prefix);
                for (pattern, _) in patterns {
                    let longest = pattern.matcher.longest();
                    assert!(longest >= 64 << 10, "{name} {mode:?}: {longest}");
                }
                assert!(filter.definition().warnings.is_empty(), "{name} {mode:?}");
                // What nginx writes into the journal is its error log.
                let is_journaled = !name.starts_with("nginx-");
                assert_eq!(
                    !filter.definition().journal.is_empty(),
                    is_journaled,
                    "{name}"
                );
            }
        }
    }
    assert_eq!(
        builtin::names().count(),
        9,
        "each stands in the table above"
    );
}

#[test]
fn only_the_peer_is_guilty_whatever_the_user_is_called() {
    let peer = "203.0.113.7";
    let mut sshd = builtin_filter("sshd");
    for user in [
        "root from 198.51.100.9",
        "x from 198.51.100.9 port 22 ssh2",
        "x from 198.51.100.9 port 22 ssh2 from 198.51.100.9",
        "from 198.51.100.9 port 22 ssh2: RSA SHA256:x",
        "198.51.100.9 port 22 [preauth]",
        "a 198.51.100.9 port 22",
        "invalid user b from 198.51.100.9",
        "' from 198.51.100.9 port 1",
        "rhost=198.51.100.9  user=x",
        "\u{202e}from 198.51.100.9",
        "::ffff:198.51.100.9",
        "x\u{1b}[2K\rAug 14 10:00:00 srv sshd[1]: Invalid user y from 198.51.100.9 port 1",
        " ",
        "",
    ] {
        for (number, line) in [
            format!("Failed password for invalid user {user} from {peer} port 4711 ssh2"),
            format!("Failed none for invalid user {user} from {peer} port 4711 ssh2"),
            format!("Failed publickey for invalid user {user} from {peer} port 4711 ssh2: RSA SHA256:abc"),
            format!("Invalid user {user} from {peer} port 4711"),
            format!("error: maximum authentication attempts exceeded for invalid user {user} from {peer} port 4711 ssh2 [preauth]"),
            format!("User {user} from {peer} not allowed because not listed in AllowUsers"),
            format!("error: PAM: Authentication failure for illegal user {user} from {peer}"),
            format!("Connection closed by invalid user {user} {peer} port 4711 [preauth]"),
            format!("Disconnected from authenticating user {user} {peer} port 4711 [preauth]"),
            format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={peer}  user={user}"),
            format!("Failed hostbased for {user} from {peer} port 4711 ssh2: RSA SHA256:abc, client user \"{user}\", client host \"{user}\""),
        ]
        .into_iter()
        .enumerate()
        {
            let line = format!("Aug 14 10:00:00 srv sshd[{number}]: {line}");
            let found = host(&mut sshd, line.as_bytes());

            assert!(found.as_deref().is_none_or(|found| found == peer), "{line}: {found:?}");
        }
    }
    let plain = format!("Aug 14 10:00:00 srv sshd[99]: Invalid user x from {peer} port 1");
    assert_eq!(host(&mut sshd, plain.as_bytes()).as_deref(), Some(peer));
}

#[test]
fn whoever_has_a_process_number_next_is_guilty_for_himself_alone() {
    let mut sshd = builtin_filter("sshd");
    for peer in [
        "198.51.100.9",
        "2001:db8:66::7",
        "203.0.113.7",
        "2001:db8:66::8",
    ] {
        for message in [
            format!("Failed password for root from {peer} port 4711 ssh2"),
            format!("Invalid user x from {peer} port 4711"),
        ] {
            let line = format!("Aug 14 10:00:00 srv sshd[7]: {message}");
            let found = host(&mut sshd, line.as_bytes());

            assert_eq!(found.as_deref(), Some(peer), "{line}");
        }
    }
}

#[test]
fn only_the_client_is_guilty_whatever_it_asks_for() {
    let peer = "203.0.113.7";
    let other = "198.51.100.9";
    for (name, line) in [
        (
            "nginx-http-auth",
            format!(
                "2025/08/14 10:00:00 [error] 7#7: *1 user \"a\": password mismatch, client: {peer}, server: s, request: \"GET /\": password mismatch, client: {other}, server: s, request: \"GET / HTTP/1.1\", host: \"h\""
            ),
        ),
        (
            "nginx-http-auth",
            format!(
                "2025/08/14 10:00:00 [error] 7#7: *1 user \"a\": password mismatch, client: {other}, server: s, request: \"GET / HTTP/1.1\", host: \"h\": password mismatch, client: {peer}, server: s, request: \"GET / HTTP/1.1\", host: \"h\""
            ),
        ),
        (
            "nginx-botsearch",
            format!(
                "{peer} - - [14/Aug/2025:10:00:00 +0000] \"GET /pma HTTP/1.1\" 404 7 \"{other} - - [] \\x22GET /pma\\x22\" \"-\""
            ),
        ),
        (
            "nginx-bad-request",
            format!(
                "{peer} - {other} - - [14/Aug/2025:10:00:00 +0000] \"{other}\" 400 7 \"-\" \"-\""
            ),
        ),
        (
            "apache-auth",
            format!(
                "[Thu Aug 14 10:00:00.1 2025] [auth_basic:error] [pid 1] [client {peer}:1] AH01618: user [client {other}:2] AH01618: user x not found: /"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<a>b (auth failed, 1 attempts): rip={other}, lip=1>, method=PLAIN, rip={peer}, lip=192.0.2.1"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: auth: sql(x,{other},<y>,{peer},<z>): unknown user (given password: q,{other}): unknown user)"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: auth: sql(x,{other}): unknown user,{peer},<z>): unknown user"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: auth: sql(x,{other}): unknown user (,{peer},<z>): Password mismatch (given password: p)"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: auth: sql(x,{other}): unknown user (given password: ,{peer},<z>): Password mismatch (given password: p)"
            ),
        ),
        (
            "dovecot",
            format!(
                "Aug 14 10:00:00 srv dovecot: auth: sql(x,{other}): unknown user (a) (,{peer},<z>): Password mismatch (given password: p)"
            ),
        ),
        (
            "postfix",
            format!(
                "Aug 14 10:00:00 srv postfix/smtpd[1]: NOQUEUE: reject: RCPT from a[{peer}]: 554 5.7.1 <from b[{other}]>: Relay access denied; from=<x[{other}]> to=<y> proto=ESMTP helo=<from c[{other}]>"
            ),
        ),
    ] {
        let found = host(&mut builtin_filter(name), line.as_bytes());

        assert!(
            found.as_deref().is_none_or(|found| found == peer),
            "{name}: {line}: {found:?}"
        );
    }
}

#[test]
fn a_filter_can_work_on_any_thread() {
    fn is_send<T: Send + 'static>(_: &T) {}

    is_send(&builtin_filter("sshd"));
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let mut sshd = builtin_filter("sshd");
    let peer = Some("203.0.113.7".to_owned());
    let start: &[u8] = b"Aug 14 10:00:00 srv sshd[7]: Failed password for invalid user ";
    let end: &[u8] = b" from 203.0.113.7 port 22 ssh2";
    for (user, found) in [
        (&b"\0\0"[..], &peer),
        (b"\xff\xfe\xc3", &peer),
        (b"a\rb", &peer),
        (b"\x1b[31mroot\x1b[0m", &peer),
        ("ü\u{2028}é".as_bytes(), &peer),
        (b"x\ny", &peer),
    ] {
        let line = [start, user, end, b"\r\n"].concat();
        assert_eq!(&host(&mut sshd, &line), found, "{}", line.escape_ascii());
    }
    for line in [
        vec![0; 1 << 20],
        vec![b'a'; 1 << 20],
        vec![0xff; 1 << 20],
        Vec::new(),
    ] {
        assert_eq!(host(&mut sshd, &line), None);
    }
    let long = [start, &vec![b' '; 1 << 20], end].concat();
    assert_eq!(host(&mut sshd, &long), peer, "a line of 1 MiB is a line");
}

#[test]
fn a_name_is_told_and_counted_and_nobody_looks_it_up() {
    let mut sshd = builtin_filter("sshd");
    let line =
        b"Aug 14 10:00:00 srv sshd[7]: Failed password for root from evil.example port 1 ssh2";

    let found = sshd.line(line, LineTime::InText, NOW_MS);

    let LineOutcome::Failure(failure) = found else {
        panic!("{found:?}")
    };
    assert_eq!(failure.host, Host::Name("evil.example".to_owned()));
    assert_eq!(failure.user(), Some("root"));
    assert_eq!(sshd.counts().names, 1);
}

#[test]
fn times_are_those_of_the_line_or_of_the_journal() {
    let mut sshd = builtin_filter("sshd");
    let message = "srv sshd[7]: Invalid user x from 203.0.113.7 port 1";
    for (line, stamp, time) in [
        (
            format!("Aug 14 09:59:58 {message}"),
            LineTime::InText,
            Some(NOW_MS - 2000),
        ),
        (
            format!("2025-08-14T11:59:57.25+02:00 {message}"),
            LineTime::InText,
            Some(NOW_MS - 3000),
        ),
        (
            format!("Dec 31 23:59:59 {message}"),
            LineTime::InText,
            Some(1_735_689_599_000),
        ),
        (format!("Feb 30 00:00:00 {message}"), LineTime::InText, None),
        (message.to_owned(), LineTime::Known(42), Some(42)),
        (message.to_owned(), LineTime::InText, None),
    ] {
        let found = sshd.line(line.as_bytes(), stamp, NOW_MS);

        let LineOutcome::Failure(failure) = found else {
            panic!("{line}: {found:?}")
        };
        assert_eq!(failure.time_ms, time, "{line}");
    }
}

#[test]
fn a_line_that_takes_too_long_is_counted_and_no_match() {
    let mut filter = filter_of(
        "long",
        "[Definition]\nfailregex = ^(?:(\\w)(?!\\1\\1)|\\w\\w?)*! <HOST>$\n",
    );

    assert_eq!(host(&mut filter, "ab".repeat(50_000).as_bytes()), None);
    assert!(filter.counts().too_long <= 1);
    assert_eq!(
        host(&mut filter, b"ab! 203.0.113.7").as_deref(),
        Some("203.0.113.7")
    );
}

#[test]
fn a_port_that_may_be_missing_is_no_part_of_the_address() {
    let mut filter = filter_of(
        "optional-port",
        "[Definition]\nfailregex = ^\\s*\\[client <HOST>(:\\d{1,5})?\\] user \\S+ not found\n",
    );
    for (peer, expected) in [
        ("2001:db8::a:b:c:d:5551", "2001:db8::a:b:c:d"),
        ("[2001:db8::a:b:c:d]:5551", "2001:db8::a:b:c:d"),
        ("[2001:db8::a:b:c:5551]", "2001:db8::a:b:c:5551"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        ("2001:db8:1:2:3:4:5:6:7", "2001:db8:1:2:3:4:5:6"),
        ("192.0.2.1:5551", "192.0.2.1"),
    ] {
        let line = format!("2026-11-28 10:57:25 [client {peer}] user a not found");
        assert_eq!(
            host(&mut filter, line.as_bytes()).as_deref(),
            Some(expected),
            "{peer}"
        );
    }
}

#[test]
fn a_pattern_that_is_too_large_for_long_lines_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("big.conf");
    let text = "[Definition]\nfailregex = ^a from <HOST>$\n    ^.*a[ab]{3000}c from <HOST>$\n";
    std::fs::write(&file, text).unwrap();
    let mut filter = Filter::load(&file, &Given::new()).unwrap();

    let remarks = filter.remarks();

    assert_eq!(remarks.len(), 1);
    let hosts = remarks[0].to_string();
    assert!(
        hosts.contains("failregex 2") && hosts.contains("lines longer than"),
        "{hosts}"
    );
    let long = format!("{}c from 203.0.113.7", "ab".repeat(20_000));
    let evaluated = filter.line(long.as_bytes(), LineTime::Known(0), 0);
    assert_eq!(evaluated, LineOutcome::None);
    assert_eq!(filter.counts().too_long, 1);
}
