//! A server with guard, its daemon, and a log that the test writes.

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::IpAddr,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use guard_tests::{
    lab::{Answer, GuardDaemon, Instance, Ran, Topology, UdpEcho, until},
    require,
};
use serde_json::Value;

pub(crate) const PORT: u16 = 7000;
pub(crate) const POLICY: &str = "interfaces = [\"eth0\"]\nnever = [\"198.51.100.10\"]\n\n\
    [[rule]]\naction = \"allow\"\nport = 7000\n\n[[rule]]\naction = \"allow\"\nport = 22\n";

pub(crate) struct Scene {
    pub(crate) daemon: GuardDaemon,
    pub(crate) guard: Instance,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl Scene {
    /// With these jails, in which LOG stands for the file that [`Scene::log`] names; `None` skips the test.
    pub(crate) fn with(jails: &str) -> Option<Self> {
        Self::started(jails, |_| {})
    }

    /// The same, with something to do before the daemon starts.
    pub(crate) fn started(jails: &str, before: impl FnOnce(&Instance)) -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        let log = log_of(&guard);
        std::fs::write(&log, b"").expect("a log");
        guard.write_jails(&jails.replace("LOG", &log.display().to_string()));
        before(&guard);
        drop(guard.guardctl(&["enable"]).ok());
        Some(Self {
            daemon: GuardDaemon::start(&guard),
            _echo: UdpEcho::start(&lab.srv, PORT),
            guard,
            lab,
        })
    }

    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.guard)
    }

    /// Writes lines of sshd, as a syslog daemon would.
    pub(crate) fn write(&self, messages: &[&str]) {
        let stamp = rfc3339(SystemTime::now());
        let lines: String = messages
            .iter()
            .map(|message| format!("{stamp} srv sshd[4711]: {message}\n"))
            .collect();
        self.write_raw(lines.as_bytes());
    }

    pub(crate) fn write_raw(&self, bytes: &[u8]) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log())
            .expect("the log");
        file.write_all(bytes).expect("written");
    }

    /// So many failed logins of a source.
    pub(crate) fn fail(&self, source: &str, times: usize) {
        let message = format!("Failed password for root from {source} port 40000 ssh2");
        self.write(&vec![message.as_str(); times]);
    }

    pub(crate) fn guardctl(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        self.guard.guardctl(&words)
    }

    /// `jail status NAME --json`.
    pub(crate) fn status(&self, jail: &str) -> Value {
        let ran = self.guardctl(&format!("jail status {jail} --json"));
        ran.json()["jails"][0].clone()
    }

    pub(crate) fn count(&self, jail: &str, what: &str) -> u64 {
        self.status(jail)["counts"][what].as_u64().unwrap_or(0)
    }

    pub(crate) fn until_banned(&self, source: &str) {
        until(
            &format!("{source} to be banned; {}", self.daemon.said()),
            || self.guard.banned().iter().any(|banned| banned == source),
        );
    }

    /// Waits until the daemon has read so many lines of the jail's logs.
    pub(crate) fn until_read(&self, jail: &str, lines: u64) {
        until(&format!("{jail} to have read {lines} lines"), || {
            self.count(jail, "lines") >= lines
        });
    }

    /// Of the attacker's addresses 203.0.113.66 is shut out, and nobody else.
    #[track_caller]
    pub(crate) fn assert_shut_out_v4(&self) {
        let (v4, v6) = (self.lab.srv.v4, self.lab.srv.v6);
        assert_eq!(self.lab.attacker.ask_udp(v4, PORT), Answer::Silence);
        assert_eq!(self.lab.attacker.ask_udp(v6, PORT), Answer::Echo);
        self.assert_friend_gets_in();
    }

    #[track_caller]
    pub(crate) fn assert_friend_gets_in(&self) {
        for to in self.addresses() {
            assert_eq!(self.lab.friend.ask_udp(to, PORT), Answer::Echo, "{to}");
        }
    }

    pub(crate) fn addresses(&self) -> [IpAddr; 2] {
        [self.lab.srv.v4, self.lab.srv.v6]
    }
}

fn log_of(guard: &Instance) -> PathBuf {
    guard.folder().join("auth.log")
}

/// `2026-11-21T22:00:00Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let mut ran = std::process::Command::new("date");
    ran.args([
        "-u",
        "-d",
        &format!("@{seconds}"),
        "+%Y-%m-%dT%H:%M:%S+00:00",
    ]);
    let output = ran.output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
