//! A server with rules of every kind, echoes behind them, and guard.

use std::{fs, net::IpAddr};

use guard_tests::{
    lab::{Instance, TcpEcho, Topology, UdpEcho},
    require,
};
use serde_json::Value;

/// Open to everybody, by rule 1.
pub(crate) const OPEN: u16 = 1000;
/// Closed to the attacker by rule 2, open to everybody else by rule 3.
pub(crate) const DENIED: u16 = 2000;
/// No rule names it.
pub(crate) const CLOSED: u16 = 3000;
/// Open to the friend, by rule 4.
pub(crate) const FRIENDS: u16 = 4000;

pub(crate) const HEAD: &str = "interfaces = [\"eth0\"]\n";
pub(crate) const RULES: &str = r#"
[sets]
friends = { file = "friends.txt" }
enemies = { file = "enemies.txt" }

[[rule]]
action = "allow"
port = 1000

[[rule]]
action = "deny"
port = 2000
from = "@enemies"

[[rule]]
action = "allow"
port = 2000

[[rule]]
action = "allow"
port = 4000
from = "@friends"
"#;

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: ([UdpEcho; 4], [TcpEcho; 4]),
    pub(crate) lab: Topology,
}

impl Scene {
    /// guard off, the policy on disk. `None` skips the test.
    pub(crate) fn off() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        fs::write(
            guard.etc().join("friends.txt"),
            "198.51.100.0/24\n2001:db8:100::/64\n",
        )
        .expect("a set");
        fs::write(
            guard.etc().join("enemies.txt"),
            "203.0.113.0/24\n2001:db8:66::/64\n",
        )
        .expect("a set");
        guard.write_policy(&format!("{HEAD}{RULES}"));
        let ports = [OPEN, DENIED, CLOSED, FRIENDS];
        Some(Self {
            guard,
            _echoes: (
                ports.map(|port| UdpEcho::start(&lab.srv, port)),
                ports.map(|port| TcpEcho::start(&lab.srv, port)),
            ),
            lab,
        })
    }

    /// guard on.
    pub(crate) fn new() -> Option<Self> {
        let scene = Self::off()?;
        drop(scene.guard.guardctl(&["enable"]).ok());
        Some(scene)
    }

    /// `explain WORDS --json`.
    #[track_caller]
    pub(crate) fn explain(&self, words: &str) -> Value {
        self.ask(words, &[])
    }

    /// The same of the policy file, without the rights of root.
    #[track_caller]
    pub(crate) fn explain_file(&self, words: &str) -> Value {
        let file = self.guard.etc().join("guard.toml");
        self.ask(words, &["--file", file.to_str().expect("a path")])
    }

    #[track_caller]
    fn ask(&self, words: &str, more: &[&str]) -> Value {
        let mut line = vec!["explain", "--json"];
        line.extend(more);
        line.extend(words.split(' '));
        self.guard.guardctl(&line).ok().json()
    }

    /// Runs what `explain` suggests.
    #[track_caller]
    pub(crate) fn follow(&self, answer: &Value) {
        let command = answer["way_in"].as_str().unwrap_or_default();
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "guardctl", "no command: {answer}");
        drop(self.guard.guardctl(&words[1..]).ok());
    }
}

/// The words of a question about IPv4, asked about IPv6.
pub(crate) fn over_v6(words: &str) -> String {
    [
        ("203.0.113.66", "2001:db8:66::66"),
        ("198.51.100.10", "2001:db8:100::10"),
        ("192.0.2.1", "2001:db8:2::1"),
        ("127.0.0.1", "::1"),
    ]
    .into_iter()
    .fold(words.to_owned(), |words, (v4, v6)| words.replace(v4, v6))
}

/// `from A port P to B port P proto P`.
pub(crate) fn question(from: (IpAddr, u16), to: (IpAddr, u16), rest: &str) -> String {
    let (from, source, to, port) = (from.0, from.1, to.0, to.1);
    format!("from {from} port {source} to {to} port {port} {rest}")
}
