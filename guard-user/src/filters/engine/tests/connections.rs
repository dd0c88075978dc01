//! Failures that several lines tell of: of one connection, or of one pattern.

use super::*;

#[test]
fn a_login_forgives_the_tries_before_it_and_only_those() {
    let mut sshd = builtin_filter("sshd");
    let mut say = |pid: u32, text: &str| {
        host(
            &mut sshd,
            format!("Aug 14 10:00:00 srv sshd-session[{pid}]: {text}").as_bytes(),
        )
    };
    let pam = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=";

    assert_eq!(say(1, &format!("{pam}joe")), None);
    assert_eq!(
        say(1, "Accepted password for joe from 203.0.113.7 port 1 ssh2"),
        None
    );
    assert_eq!(say(1, "Connection closed by 203.0.113.7 port 1"), None);

    assert_eq!(say(2, &format!("{pam}joe")), None);
    assert_eq!(
        say(2, &format!("{pam}root")).as_deref(),
        Some("203.0.113.7"),
        "a second user"
    );

    assert_eq!(
        say(3, "User root not allowed because account is locked"),
        None,
        "who?"
    );
    let hosts = say(
        3,
        "Received disconnect from 203.0.113.8 port 1:11: Bye Bye [preauth]",
    );
    assert_eq!(hosts.as_deref(), Some("203.0.113.8"));
}

#[test]
fn a_flood_of_connections_is_remembered_within_bounds() {
    let mut sshd = builtin_filter("sshd");
    for pid in 0..100_000 {
        let line = format!("Aug 14 10:00:00 srv sshd[{pid}]: Connection from 203.0.113.7 port 1");
        sshd.line(line.as_bytes(), LineTime::InText, NOW_MS);
    }

    assert!(
        sshd.connections.remembered() <= 8192,
        "{}",
        sshd.connections.remembered()
    );
    let line = "Aug 14 10:00:00 srv sshd[99999]: Disconnecting: Too many authentication failures [preauth]";
    assert_eq!(
        host(&mut sshd, line.as_bytes()).as_deref(),
        Some("203.0.113.7")
    );
}

#[test]
fn patterns_over_several_lines_take_the_lines_that_they_match() {
    let mut filter = filter_of(
        "lines",
        "[Definition]\nmaxlines = 3\nfailregex = ^ begin (?P<mark>\\w+)$<SKIPLINES>^ end (?P=mark) <HOST>$\ndatepattern = {^LN-BEG}\n",
    );
    for (line, found) in [
        ("2025-08-14 10:00:00 begin a", None),
        ("2025-08-14 10:00:00 begin b", None),
        ("2025-08-14 10:00:00 end a 203.0.113.7", Some("203.0.113.7")),
        ("2025-08-14 10:00:00 end b 203.0.113.8", Some("203.0.113.8")),
        ("2025-08-14 10:00:00 end b 203.0.113.8", None),
    ] {
        assert_eq!(
            host(&mut filter, line.as_bytes()).as_deref(),
            found,
            "{line}"
        );
    }
}

#[test]
fn one_ignored_event_hides_no_later_failure_of_several_lines() {
    let mut filter = filter_of(
        "ignored-event",
        "[Definition]\nfailregex = ^.*rsyncd\\[(?P<pid>\\d+)\\]: connect from .+ \\(<HOST>\\)$<SKIPLINES>^.+ \
         rsyncd\\[(?P=pid)\\]: rsync error: .*$\nignoreregex = Received SIGINT\nmaxlines = 100\n",
    );
    let connects = |n: u8| format!("connect from host.example (203.0.113.{n})");
    let ends = "rsync error: auth failed (code 5)".to_owned();
    let mut hosts = Vec::new();
    for (process, message) in [
        (1, connects(1)),
        (2, connects(2)),
        (2, "rsync error: Received SIGINT (code 20)".to_owned()),
        (1, ends.clone()),
        (3, connects(3)),
        (3, ends),
    ] {
        let line = format!("Nov 28 10:57:25 srv rsyncd[{process}]: {message}");
        hosts.extend(host(&mut filter, line.as_bytes()));
    }
    assert_eq!(hosts, ["203.0.113.1", "203.0.113.3"]);
}

#[test]
fn a_failure_that_gives_a_name_is_of_the_address_that_its_connection_has() {
    let mut filter = filter_of(
        "known-address",
        "[Definition]\nprefregex = ^\\s*\\S+ <F-MLFID>d\\[\\d+\\]</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$\n\
         failregex = ^<F-NOFAIL>connection from</F-NOFAIL> <ADDR>$\n  ^login failed for <HOST>$\n",
    );
    let mut evaluate_line = |process: u8, message: &str| {
        let line = format!("Nov 28 10:57:25 srv d[{process}]: {message}");
        host(&mut filter, line.as_bytes())
    };
    assert_eq!(evaluate_line(1, "connection from 203.0.113.7"), None);
    assert_eq!(
        evaluate_line(1, "login failed for host.example").as_deref(),
        Some("203.0.113.7")
    );
    assert_eq!(
        evaluate_line(2, "login failed for host.example").as_deref(),
        Some("host.example")
    );
    assert_eq!(evaluate_line(2, "connection from 2001:db8::7"), None);
    assert_eq!(
        evaluate_line(2, "login failed for 203.0.113.8").as_deref(),
        Some("203.0.113.8")
    );
}
