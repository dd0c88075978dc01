//! `[log] drops`: dropped packets in the real journal, and the jail that reads them there.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    ops::Range,
    time::Duration,
};

use guard_tests::{
    lab::{
        Answer, GuardDaemon, Instance, Journald, LogDaemon as _, Namespace, Ran, Service, Topology,
        until,
    },
    require,
};
use serde_json::Value;

const OPEN: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 22\n\n\
    [[rule]]\naction = \"deny\"\nport = 3001\n";
const LOGGED: &str = "\n[log]\ndrops = true\n";
const JAILS: &str = "[jail.guard-portscan]\nmaxretry = 6\nbantime = \"1m\"\n";
/// Closed ports that are tried.
const FIRST: u16 = 3000;
/// One that answers is there at once, and the others never are.
const PATIENCE: Duration = Duration::from_millis(20);

struct Server {
    daemon: Option<GuardDaemon>,
    guard: Instance,
    journald: Journald,
    _unit: Service,
    lab: Topology,
}

impl Server {
    fn start(policy: &str) -> Option<Self> {
        let is_possible = require::root()
            && require::programs(&["ip", "nsenter", "unshare"])
            && Journald::is_possible()
            && Service::is_possible();
        if !is_possible {
            return None;
        }
        let lab = Topology::new();
        let journald = Journald::start("RateLimitIntervalSec=0\nRateLimitBurst=0\n");
        let unit = Service::start("guard.service", &journald);
        let guard = Instance::new(&lab.srv);
        guard.write_policy(policy);
        guard.write_jails(JAILS);
        drop(guard.guardctl(&["enable"]).ok());
        let launcher: Vec<String> = journald
            .launcher()
            .into_iter()
            // As systemd does it for whose output it takes.
            .chain(["env".to_owned(), "JOURNAL_STREAM=8:1".to_owned()])
            .chain(unit.launcher())
            .collect();
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let mut command = guard.command_behind(&launcher, &["daemon"]);
        let daemon = GuardDaemon::start_as(&guard, &mut command);
        let server = Self {
            daemon: Some(daemon),
            guard,
            journald,
            _unit: unit,
            lab,
        };
        until("the log to begin", || {
            scan(&server.lab.friend, server.lab.srv.v4, FIRST..FIRST + 1);
            !server.logged().is_empty()
        });
        Some(server)
    }

    /// What the journal has of dropped packets.
    fn logged(&self) -> Vec<Value> {
        let ran = self.journald.journalctl(&[
            "--no-pager",
            "--quiet",
            "--output=json",
            "_SYSTEMD_UNIT=guard.service",
        ]);
        ran.stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|entry: &Value| entry["GUARD_REASON"].is_string())
            .collect()
    }

    fn of(&self, source: IpAddr) -> Vec<Value> {
        let source = source.to_string();
        let mut entries = self.logged();
        entries.retain(|entry| entry["GUARD_SOURCE"] == source.as_str());
        entries
    }

    /// What the daemon and the journal have to say.
    fn said(&self) -> String {
        let daemon = self.daemon.as_ref().map(GuardDaemon::said);
        format!("{}\n{}", daemon.unwrap_or_default(), self.journald.said())
    }

    fn reload(&self, policy: &str) -> Ran {
        self.guard.write_policy(policy);
        self.guard.guardctl(&["reload"]).ok()
    }
}

/// Tries these closed ports.
fn scan(from: &Namespace, to: IpAddr, ports: Range<u16>) {
    from.run(|| {
        for port in ports {
            let address = SocketAddr::new(to, port);
            drop(TcpStream::connect_timeout(&address, PATIENCE).expect_err("a closed port"));
        }
    });
}

#[test]
fn dropped_packets_stand_in_the_journal_and_who_tries_port_after_port_is_banned() {
    let Some(mut server) = Server::start(&format!("{OPEN}{LOGGED}")) else {
        return;
    };
    let (v4, v6) = (server.lab.srv.v4, server.lab.srv.v6);
    for (to, source, banned) in [
        (v4, server.lab.attacker.v4, "203.0.113.66"),
        (v6, server.lab.attacker.v6, "2001:db8:66::/64"),
    ] {
        // One port again and again, and another: nobody who mistypes is banned.
        for _ in 0..4 {
            scan(&server.lab.attacker, to, FIRST..FIRST + 2);
        }
        until(
            &format!("both ports in the journal: {}", server.said()),
            || server.of(source).len() == 2,
        );
        assert!(
            !server.guard.banned().contains(&banned.to_owned()),
            "{source}"
        );
        let entries = server.of(source);
        let entry = entries.iter().find(|entry| entry["GUARD_PORT"] == "3001");
        let entry = entry.expect("the port that a rule closes");
        assert_eq!(entry["GUARD_REASON"], "rule-deny");
        assert_eq!(entry["GUARD_RULE"], "2");
        assert_eq!(entry["GUARD_ACTION"], "drop");
        assert_eq!(entry["GUARD_INTERFACE"], "eth0");
        assert_eq!(entry["GUARD_DESTINATION"], to.to_string());
        assert_eq!(entry["GUARD_PROTOCOL"], "tcp");
        assert_eq!(entry["PRIORITY"], "6");
        let line = entry["MESSAGE"].as_str().expect("a line");
        assert!(
            line.starts_with(&format!(
                "[GUARD DROP] IN=eth0 OUT= SRC={source} DST={to} LEN="
            )) && line.ends_with(" DPT=3001 SYN REASON=rule-deny RULE=2"),
            "{line}"
        );

        scan(&server.lab.attacker, to, FIRST..FIRST + 8);
        until("the ban", || {
            server.guard.banned().contains(&banned.to_owned())
        });
        assert_eq!(server.lab.attacker.ask_tcp(to, 22), Answer::Silence, "{to}");
    }

    // Asked no more, it logs nothing more.
    drop(server.reload(OPEN));
    let mut port = FIRST + 100;
    until("no more lines", || {
        port += 1;
        scan(&server.lab.friend, v4, port..port + 1);
        std::thread::sleep(Duration::from_millis(300));
        let tried = port.to_string();
        let logged = server.of(server.lab.friend.v4);
        logged
            .iter()
            .all(|entry| entry["GUARD_PORT"] != tried.as_str())
    });
    drop(server.daemon.take());
}

#[test]
fn a_flood_is_as_many_lines_as_the_policy_says_and_the_rest_is_a_number() {
    let Some(server) = Server::start(&format!("{OPEN}{LOGGED}rate = \"2/s\"\n")) else {
        return;
    };
    // Ten to begin with, and two a second: 40 ports twice are at most that.
    let begin = std::time::Instant::now();
    scan(&server.lab.friend, server.lab.srv.v4, FIRST..FIRST + 40);
    until("lines", || server.logged().len() >= 10);
    std::thread::sleep(Duration::from_millis(500));
    let most = 10.0 + 2.0 * begin.elapsed().as_secs_f64() + 1.0;
    let lines = server.logged().len();
    assert!(
        lines as f64 <= most && lines < 40,
        "{lines} lines, at most {most}"
    );
}
