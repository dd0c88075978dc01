//! The real journal, by a real journald and the real journalctl.

use std::time::Duration;

use guard_tests::{
    lab::{
        Answer, GuardDaemon, Instance, Journald, LogDaemon as _, Ran, Service, Sshd, Topology,
        until, within,
    },
    require,
};
use serde_json::Value;

const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 22\n";
/// Nothing that is written is dropped.
const UNLIMITED: &str = "RateLimitIntervalSec=0\nRateLimitBurst=0\n";

struct Server {
    daemon: Option<GuardDaemon>,
    guard: Instance,
    journald: Journald,
    lab: Topology,
}

impl Server {
    /// With journald, and a daemon that knows no other journal.
    fn start(settings: &str, jails: &str) -> Option<Self> {
        let is_possible = require::root()
            && require::programs(&["ip", "nsenter", "unshare", "sshd", "ssh"])
            && Journald::is_possible()
            && Service::is_possible();
        if !is_possible {
            return None;
        }
        let lab = Topology::new();
        let journald = Journald::start(settings);
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        guard.write_jails(jails);
        drop(guard.guardctl(&["enable"]).ok());
        let mut server = Self {
            daemon: None,
            guard,
            journald,
            lab,
        };
        server.start_daemon();
        Some(server)
    }

    fn start_daemon(&mut self) {
        let launcher = self.journald.launcher();
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let mut command = self.guard.command_behind(&launcher, &["daemon"]);
        self.daemon = Some(GuardDaemon::start_as(&self.guard, &mut command));
    }

    fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon");
        daemon.signal(libc::SIGKILL);
        daemon.wait();
    }

    fn guardctl(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        self.guard.guardctl(&words)
    }

    fn status(&self) -> Value {
        self.guardctl("jail status sshd --json").json()["jails"][0].clone()
    }

    fn count(&self, what: &str) -> u64 {
        self.status()["counts"][what].as_u64().unwrap_or(0)
    }

    /// Waits until so many entries are read, and asks once more for such as come twice.
    #[track_caller]
    fn assert_read(&self, entries: u64) {
        until(
            &format!("{entries} entries to be read: {}", self.status()),
            || self.count("lines") >= entries,
        );
        assert_eq!(self.count("lines"), entries);
    }

    /// Waits until journald has so many lines with this in them.
    fn until_written(&self, text: &str, lines: usize) {
        until("journald to have written", || {
            self.journald.said().matches(text).count() >= lines
        });
    }

    fn until_banned(&self, sources: &[&str]) {
        self.until_bans(|bans| bans == sources);
    }

    /// Waits until the bans are as they should be.
    fn until_bans(&self, are_right: impl Fn(&[String]) -> bool) {
        let banned = within(Duration::from_secs(10), || {
            are_right(&self.guard.banned()).then_some(())
        });
        let said = || format!("{}\n{}", self.status(), self.journald.said());
        assert!(banned.is_some(), "{:?}: {}", self.guard.banned(), said());
    }
}

/// So many failed logins.
fn failures(source: &str, number: usize) -> String {
    format!("Failed password for root from {source} port 40000 ssh2\n").repeat(number)
}

/// So many lines of a server, none of which is a failure.
fn others(number: usize) -> String {
    (0..number)
        .map(|n| format!("Accepted publickey for root from 198.51.100.10 port {n} ssh2\n"))
        .collect()
}

#[test]
fn five_failed_logins_in_a_real_journal_are_a_ban() {
    // What is not said is as it is on every host with sshd and journald.
    let Some(server) = Server::start(UNLIMITED, "[jail.sshd]\n") else {
        return;
    };
    let sshd = Sshd::logging(&server.lab.srv, &server.journald);
    let (v4, v6) = (server.lab.srv.v4, server.lab.srv.v6);
    let mut friends = [v4, v6].map(|to| sshd.session(&server.lab.friend, to));

    for to in [v4, v6] {
        for failure in 0..5 {
            let known = usize::from(to.is_ipv6());
            assert_eq!(server.guard.banned().len(), known, "{failure}");
            sshd.fails(&server.lab.attacker, to, "root");
        }
        server.until_bans(|bans| bans.len() > usize::from(to.is_ipv6()));
    }

    assert_eq!(server.guard.banned(), ["2001:db8:66::/64", "203.0.113.66"]);
    for to in [v4, v6] {
        assert_eq!(server.lab.attacker.ask_tcp(to, 22), Answer::Silence, "{to}");
        assert!(sshd.session(&server.lab.friend, to).answers(), "{to}");
    }
    assert!(friends.iter_mut().all(|friend| friend.answers()));
    let logs = server.status()["logs"].clone();
    assert_eq!(logs[0]["is_read"], true, "{logs}");
}

#[test]
fn no_entry_is_lost_and_none_is_read_twice_whatever_becomes_of_journald() {
    const MANY: usize = 500;
    let Some(mut server) = Server::start(UNLIMITED, "[jail.sshd]\n") else {
        return;
    };
    let mut ssh = Service::start("ssh.service", &server.journald);
    let mut evil = Service::start("evil.service", &server.journald);

    // Anybody can say this; only the unit of sshd is believed.
    evil.prints(&failures("198.51.100.77", 10));
    ssh.prints(&(others(MANY) + &failures("203.0.113.61", 5)));
    server.assert_read(505);
    server.until_banned(&["203.0.113.61"]);

    server.journald.start_again();
    ssh.start_again(&server.journald);
    ssh.prints(&(others(MANY) + &failures("203.0.113.62", 5)));
    server.assert_read(1010);
    server.until_banned(&["203.0.113.61", "203.0.113.62"]);

    drop(server.journald.journalctl(&["--rotate"]).ok());
    ssh.prints(&(others(MANY) + &failures("203.0.113.63", 3)));
    server.assert_read(1513);
    drop(server.journald.journalctl(&["--vacuum-files=1"]).ok());
    ssh.prints(&others(MANY));
    server.assert_read(2013);

    // Written while nobody reads; the entry behind which reading goes on is deleted meanwhile.
    server.kill_daemon();
    ssh.prints(&failures("203.0.113.64", 5));
    server.until_written("203.0.113.64", 5);
    drop(server.journald.journalctl(&["--rotate"]).ok());
    drop(server.journald.journalctl(&["--vacuum-files=2"]).ok());
    ssh.prints(&failures("203.0.113.65", 5));
    server.until_written("203.0.113.65", 5);
    server.start_daemon();
    server.until_banned(&[
        "203.0.113.61",
        "203.0.113.62",
        "203.0.113.64",
        "203.0.113.65",
    ]);
    // All that is left is as young as failures that count, and is read again.
    let left = [
        "--no-pager",
        "--quiet",
        "--output=cat",
        "_SYSTEMD_UNIT=ssh.service",
    ];
    let left = server
        .journald
        .journalctl(&left)
        .ok()
        .stdout
        .lines()
        .count() as u64;
    server.assert_read(left);
    // Three failures before are three.
    ssh.prints(&failures("203.0.113.63", 1));
    server.assert_read(left + 1);
    assert_eq!(server.guard.banned().len(), 4);
    ssh.prints(&failures("203.0.113.63", 1));
    server.until_banned(&[
        "203.0.113.61",
        "203.0.113.62",
        "203.0.113.63",
        "203.0.113.64",
        "203.0.113.65",
    ]);
}

#[test]
fn what_a_message_holds_does_no_harm() {
    let jail = "[jail.sshd]\njournal = \"SYSLOG_IDENTIFIER=sshd\"\nmaxretry = 1\n";
    let Some(server) = Server::start(UNLIMITED, jail) else {
        return;
    };
    let failure = "Failed password for root from 203.0.113.66 port 1 ssh2";
    let forged = format!("x\nMESSAGE={failure}\n\nMESSAGE={failure}\nsrv sshd[1]: {failure}");
    let mut binary = b"SYSLOG_IDENTIFIER=sshd\nMESSAGE\n".to_vec();
    binary.extend_from_slice(&(forged.len() as u64).to_le_bytes());
    binary.extend_from_slice(forged.as_bytes());
    binary.push(b'\n');
    server.journald.send(&binary);
    // What stands behind so many bytes is cut off with the address.
    let long = format!(
        "Failed password for {} from 203.0.113.67 port 1 ssh2",
        "x".repeat(90_000)
    );
    server
        .journald
        .send(format!("SYSLOG_IDENTIFIER=sshd\nMESSAGE={long}\n").as_bytes());
    server
        .journald
        .send(format!("SYSLOG_IDENTIFIER=cron\nMESSAGE={failure}\n").as_bytes());
    server
        .journald
        .send(b"SYSLOG_IDENTIFIER=sshd\nMESSAGE\n\x04\0\0\0\0\0\0\0\xff\0\x1b\r\n");
    server.assert_read(3);
    assert_eq!(server.count("cut"), 1, "{}", server.status());
    assert_eq!(server.guard.banned(), Vec::<String>::new());

    server.journald.send(
        b"SYSLOG_IDENTIFIER=sshd\nMESSAGE=Failed password for root from 203.0.113.68 port 1 ssh2\n",
    );
    server.until_banned(&["203.0.113.68"]);
}

#[test]
fn what_journald_drops_is_told() {
    let limited = "RateLimitIntervalSec=1s\nRateLimitBurst=100\n";
    let Some(server) = Server::start(limited, "[jail.sshd]\n") else {
        return;
    };
    let mut ssh = Service::start("ssh.service", &server.journald);
    ssh.prints(&others(5000));
    until("the loss to be told", || {
        // journald tells it with the next message behind the interval.
        ssh.prints(&others(1));
        let state = server.status()["logs"].to_string();
        state.contains("journald itself dropped")
    });
    drop(
        server
            .guardctl("jail status sshd")
            .ok()
            .says("RateLimitBurst="),
    );
}
