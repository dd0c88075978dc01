//! A server with guard on, and an echo that rules open and close.

use std::time::{Duration, Instant};

use guard_tests::{
    lab::{Answer, Instance, Ran, TcpEcho, Topology, UdpEcho, within},
    require,
};
use serde_json::Value;

pub(crate) const PORT: u16 = 7000;
/// Another port is open for good.
pub(crate) const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 9000\n";
/// As long as rules of these tests last.
pub(crate) const SHORT: Duration = Duration::from_secs(4);

/// Longer than any of them.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: (UdpEcho, TcpEcho),
    pub(crate) lab: Topology,
}

impl Scene {
    /// With this policy in force; `None` skips the test.
    pub(crate) fn with(policy: &str) -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(policy);
        let scene = Self {
            guard,
            _echoes: (
                UdpEcho::start(&lab.srv, PORT),
                TcpEcho::start(&lab.srv, PORT),
            ),
            lab,
        };
        let _ = scene.run("enable").ok();
        Some(scene)
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        self.guard.guardctl(&words)
    }

    /// Does a datagram get through to each address of the server?
    pub(crate) fn get_through(&self) -> [bool; 2] {
        let srv = &self.lab.srv;
        [srv.v4, srv.v6].map(|to| self.lab.friend.ask_udp(to, PORT) == Answer::Echo)
    }

    /// Waits until both families get through, or neither does; how long it was since.
    #[track_caller]
    pub(crate) fn changes_to(&self, gets_through: bool, since: Instant) -> Duration {
        let changed = within(PATIENCE, || {
            (self.get_through() == [gets_through; 2]).then(|| since.elapsed())
        });
        changed.unwrap_or_else(|| panic!("nothing has changed: {:?}", self.get_through()))
    }

    /// The rules as `list` has them.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let listed = self.run("list --json").ok().json();
        listed["rules"].as_array().expect("rules").clone()
    }

    /// The commands of the history, the newest first.
    pub(crate) fn commands(&self) -> Vec<String> {
        let listed = self.run("history --json").ok().json();
        let entries = listed["entries"].as_array().expect("entries").iter();
        let command = |entry: &Value| entry["command"].as_str().expect("a text").to_owned();
        entries.map(command).collect()
    }
}
