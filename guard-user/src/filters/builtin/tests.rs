//! Today's daemons: Debian 12 and 13, Ubuntu 24.04.

use jiff::tz::TimeZone;

use super::*;
use crate::{
    filters::{Definition, Filter, Given, LineOutcome, LineTime, Spec},
    logs::Matches,
};

const NOW_MS: i64 = 1_795_863_600_000;

fn filter(spec: &str) -> Filter {
    let spec = Spec::parse(spec).unwrap();
    let definition = Definition::read(&file(&spec.name).unwrap(), &spec.given).unwrap();
    Filter::new(definition, TimeZone::UTC).unwrap()
}

fn host(filter: &mut Filter, line: &str) -> Option<String> {
    match filter.line(line.as_bytes(), LineTime::InText, NOW_MS) {
        LineOutcome::Failure(failure) => Some(failure.host.to_string()),
        LineOutcome::None | LineOutcome::Ignored | LineOutcome::Pending => None,
    }
}

#[test]
fn lines_of_todays_daemons_are_failures_of_whoever_connected() {
    for (spec, line, expected) in [
        (
            "dovecot",
            "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Connection closed (auth failed, 3 attempts in 16 \
             secs) (auth_failed): user=<a>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.1, TLS, session=<AbC/d>",
            Some("203.0.113.7"),
        ),
        (
            "dovecot",
            "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) \
             (auth_failed): user=<x>, method=PLAIN, rip=198.51.100.77, lip=1.1.1.1>, method=PLAIN, \
             rip=2001:db8::7, lip=192.0.2.1, session=<AbC/d>",
            Some("2001:db8::7"),
        ),
        (
            "dovecot",
            "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Connection closed (no auth attempts in 0 secs) \
             (no_auth_attempts): user=<>, rip=203.0.113.7, lip=192.0.2.1, TLS handshaking: read(size=1026) failed",
            None,
        ),
        (
            "dovecot[mode=aggressive]",
            "Nov 28 10:57:25 srv dovecot: imap-login: Login aborted: Connection closed (no auth attempts in 0 secs) \
             (no_auth_attempts): user=<>, rip=203.0.113.7, lip=192.0.2.1, TLS handshaking: read(size=1026) failed",
            Some("203.0.113.7"),
        ),
        (
            "guard-portscan",
            "Nov 28 10:57:25 srv guardctl[7]: [GUARD DROP] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 \
             PROTO=TCP SPT=51234 DPT=23 SYN REASON=default-drop",
            Some("203.0.113.7"),
        ),
        (
            "guard-portscan",
            "guardctl daemon: info: [GUARD DROP] IN=eth0 OUT= SRC=2001:db8::7 DST=2001:db8:1::1 LEN=94 PROTO=TCP \
             SPT=51234 DPT=23 SYN REASON=rule-deny RULE=3",
            Some("2001:db8::7"),
        ),
        // What comes back from a host that somebody else attacks in this host's name.
        (
            "guard-portscan",
            "Nov 28 10:57:25 srv guardctl[7]: [GUARD DROP] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 \
             PROTO=TCP SPT=443 DPT=23 SYN ACK REASON=default-drop",
            None,
        ),
        (
            "guard-portscan",
            "Nov 28 10:57:25 srv guardctl[7]: [GUARD DROP] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 \
             PROTO=UDP SPT=53 DPT=23 REASON=default-drop",
            None,
        ),
        (
            "guard-portscan",
            "Nov 28 10:57:25 srv guardctl[7]: [GUARD MONITOR] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 \
             PROTO=TCP SPT=51234 DPT=23 SYN REASON=default-drop",
            None,
        ),
        (
            "sshd",
            "Nov 28 10:57:25 srv sshd-session[7]: Failed password for invalid user a from 203.0.113.7 port 40000 ssh2",
            Some("203.0.113.7"),
        ),
        (
            "sshd",
            "Nov 28 10:57:25 srv sshd[7]: drop connection #0 from [203.0.113.7]:40000 on [192.0.2.1]:22 penalty: \
             failed authentication",
            Some("203.0.113.7"),
        ),
        (
            "sshd",
            "Nov 28 10:57:25 srv sshd[7]: drop connection #0 from [2001:db8::7]:40000 on [2001:db8::1]:22 penalty: \
             caused crash",
            Some("2001:db8::7"),
        ),
        (
            "sshd",
            "Nov 28 10:57:25 srv sshd[7]: drop connection #10 from [203.0.113.7]:40000 on [192.0.2.1]:22 past \
             MaxStartups",
            None,
        ),
        (
            "sshd",
            "Nov 28 10:57:25 srv sshd[7]: Timeout before authentication for connection from 203.0.113.7 to \
             192.0.2.1, pid = 802",
            None,
        ),
        (
            "sshd[mode=ddos]",
            "Nov 28 10:57:25 srv sshd[7]: Timeout before authentication for connection from 203.0.113.7 to \
             192.0.2.1, pid = 802",
            Some("203.0.113.7"),
        ),
        (
            "sshd[mode=aggressive]",
            "Nov 28 10:57:25 srv sshd[7]: fatal: Timeout before authentication for 203.0.113.7 port 40000",
            Some("203.0.113.7"),
        ),
        (
            "sshd[mode=aggressive]",
            "Nov 28 10:57:25 srv sshd-session[7]: ssh_dispatch_run_fatal: Connection from 203.0.113.7 port 40000: \
             message authentication code incorrect [preauth]",
            Some("203.0.113.7"),
        ),
        (
            "sshd[mode=ddos]",
            "Nov 28 10:57:25 srv sshd-session[7]: fatal: ssh_dispatch_run_fatal: Connection from invalid user a b \
             2001:db8::7 port 40000: Broken pipe [preauth]",
            Some("2001:db8::7"),
        ),
        (
            "nginx-http-auth",
            "203.0.113.7 - bob [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 401 172 \"-\" \"curl/8\"",
            Some("203.0.113.7"),
        ),
        (
            "nginx-http-auth",
            "203.0.113.7 - a [01/Jan/2000:00:00:00 +0000]  [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 401 172",
            Some("203.0.113.7"),
        ),
        (
            "nginx-http-auth",
            "203.0.113.7 - - [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 401 172 \"-\" \"curl/8\"",
            None,
        ),
        (
            "nginx-limit-req",
            "2001:db8::7 - - [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 429 162 \"-\" \"curl/8\"",
            Some("2001:db8::7"),
        ),
        (
            "nginx-limit-req",
            "2001:db8::7 - - [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 503 190 \"-\" \"curl/8\"",
            None,
        ),
        (
            "nginx-limit-req[status=\"429|503\"]",
            "2001:db8::7 - - [28/Nov/2026:10:57:25 +0000] \"GET / HTTP/1.1\" 503 190 \"-\" \"curl/8\"",
            Some("2001:db8::7"),
        ),
    ] {
        assert_eq!(
            host(&mut filter(spec), line).as_deref(),
            expected,
            "{spec}: {line}"
        );
    }
}

#[test]
fn each_refused_connection_is_a_failure_of_its_own() {
    let mut sshd = filter("sshd");
    for peer in ["203.0.113.7", "203.0.113.8", "203.0.113.7"] {
        let line = format!(
            "Nov 28 10:57:25 srv sshd[7]: drop connection #0 from [{peer}]:40000 on [192.0.2.1]:22 penalty: failed \
             authentication"
        );
        let outcome = sshd.line(line.as_bytes(), LineTime::InText, NOW_MS);
        let LineOutcome::Failure(failure) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            (failure.host.to_string().as_str(), failure.attempts),
            (peer, 1)
        );
    }
}

#[test]
fn the_port_behind_an_address_of_apache_is_no_part_of_it() {
    let today = "[Sat Nov 28 10:57:25.123456 2026] [auth_basic:error] [pid 7:tid 8] [client PEER] AH01618: user a not found: /";
    let former = "[Sat Nov 28 10:57:25 2026] [error] [client PEER] user a not found: /";
    for (line, peer, expected) in [
        (today, "2001:db8::a:b:c:d:5551", "2001:db8::a:b:c:d"),
        (today, "2001:db8::5:40000", "2001:db8::5"),
        (today, "::1:22", "::1"),
        (today, "2001:db8:1:2:3:4:5:6:5551", "2001:db8:1:2:3:4:5:6"),
        (today, "203.0.113.7:5551", "203.0.113.7"),
        (former, "203.0.113.7", "203.0.113.7"),
        (former, "2001:db8::a:b:c:5551", "2001:db8::a:b:c:5551"),
    ] {
        let line = line.replace("PEER", peer);
        let found = host(&mut filter("apache-auth"), &line);
        assert_eq!(found.as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn a_process_without_rights_is_taken_for_no_daemon() {
    for name in names() {
        let given = Given::from([("logtype".to_owned(), "journal".to_owned())]);
        let definition = Definition::read(&file(name).unwrap(), &given).unwrap();
        for text in &definition.journal {
            let matches = Matches::parse(text).unwrap();
            for unit in [
                "session-3.scope",
                "ssh.service",
                "sshd.service",
                "dovecot.service",
                "postfix.service",
                "postfix@-.service",
                "apache2.service",
                "httpd.service",
                "nginx.service",
                "user@1000.service",
            ] {
                for command in [
                    "sshd",
                    "sshd-session",
                    "sshd-auth",
                    "dovecot",
                    "log",
                    "smtpd",
                    "apache2",
                    "httpd",
                    "nginx",
                ] {
                    let has = |field: &str, value: &str| match field {
                        "_UID" => value == "1000",
                        "_COMM" => value == command,
                        "_SYSTEMD_UNIT" => value == unit,
                        _ => true,
                    };
                    assert!(!matches.fit(has), "{name}: {unit} {command}");
                }
            }
        }
    }
}

#[test]
fn the_daemons_themselves_are_read_from_the_journal() {
    for (name, unit, command, uid) in [
        ("sshd", "ssh.service", "sshd", "0"),
        ("sshd", "sshd.service", "sshd-session", "0"),
        (
            "sshd",
            "sshd@7-192.0.2.1:22-203.0.113.7:40000.service",
            "sshd-session",
            "0",
        ),
        ("dovecot", "dovecot.service", "log", "0"),
        ("postfix", "postfix@-.service", "master", "0"),
        ("apache-auth", "apache2.service", "apache2", "33"),
    ] {
        let definition = Definition::read(&file(name).unwrap(), &Given::new()).unwrap();
        let fits = definition.journal.iter().any(|text| {
            Matches::parse(text)
                .unwrap()
                .fit(|field, value| match field {
                    "_UID" => value == uid,
                    "_COMM" => value == command,
                    "_SYSTEMD_UNIT" => value == unit,
                    _ => false,
                })
        });
        assert!(fits, "{name} of {unit}");
    }
}
