//! A server with guard and fail2ban, and a log of failed logins.

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use guard_tests::{
    lab::{Answer, Fail2ban, Instance, Ran, Topology, UdpEcho, finish, guardctl_path, within},
    require,
};
use serde_json::Value;

const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

pub(crate) struct Scene {
    pub(crate) fail2ban: Fail2ban,
    pub(crate) guard: Instance,
    log: PathBuf,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl Scene {
    /// guard on, fail2ban started with its jail sshd and these settings; `None` skips the test.
    pub(crate) fn new(settings: &str, options: &str) -> Option<Self> {
        let programs = [&["ip", "nsenter", "date"][..], &Fail2ban::PROGRAMS].concat();
        if !(require::root() && require::programs(&programs)) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        let _ = guard.guardctl(&["enable"]).ok();
        let log = guard.folder().join("auth.log");
        std::fs::write(&log, "").expect("a log");
        let jails = format!(
            "[DEFAULT]\nbackend = polling\nusedns = no\nfindtime = 10m\nmaxretry = 5\n\
             action = guard[guardctl=\"{}\"{options}]\n\n\
             [sshd]\nenabled = true\nfilter = sshd\nlogpath = {}\n{settings}\n",
            guardctl_path().display(),
            log.display(),
        );
        let mut scene = Self {
            fail2ban: Fail2ban::new(&jails, &action()),
            guard,
            log,
            _echo: UdpEcho::start(&lab.srv, PORT),
            lab,
        };
        scene.start();
        Some(scene)
    }

    pub(crate) fn start(&mut self) {
        let variables = self.guard.environment();
        self.fail2ban.start(&self.lab.srv, variables);
    }

    /// So many failed logins, now.
    pub(crate) fn fails(&self, who: IpAddr, times: usize) {
        let mut date = std::process::Command::new("date");
        let ran = finish(
            date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            Duration::from_secs(5),
        );
        let now = ran.ok().stdout;
        // A process of sshd serves one host, and fail2ban knows that.
        static PROCESS: AtomicU32 = AtomicU32::new(1000);
        let process = PROCESS.fetch_add(1, Ordering::Relaxed);
        let line = format!(
            "{} srv sshd[{process}]: Failed password for root from {who} port 50022 ssh2\n",
            now.trim()
        );
        let mut log = OpenOptions::new()
            .append(true)
            .open(&self.log)
            .expect("the log");
        log.write_all(line.repeat(times).as_bytes())
            .expect("written");
    }

    pub(crate) fn guardctl(&self, words: &[&str]) -> Ran {
        self.guard.guardctl(words)
    }

    /// Addresses of attacker, friend and server, by family.
    pub(crate) fn families(&self) -> [(IpAddr, IpAddr, IpAddr); 2] {
        let Topology {
            attacker,
            friend,
            srv,
            ..
        } = &self.lab;
        [
            (attacker.v4, friend.v4, srv.v4),
            (attacker.v6, friend.v6, srv.v6),
        ]
    }

    /// Does a datagram of the attacker get through?
    pub(crate) fn gets_through(&self, to: IpAddr) -> bool {
        self.lab.attacker.ask_udp(to, PORT) == Answer::Echo
    }

    pub(crate) fn friend_gets_through(&self, to: IpAddr) -> bool {
        self.lab.friend.ask_udp(to, PORT) == Answer::Echo
    }

    /// Waits until he does, or does not.
    pub(crate) fn attacker_is(&self, through: bool, to: IpAddr) {
        let found = within(Duration::from_secs(20), || {
            (self.gets_through(to) == through).then_some(())
        });
        assert!(
            found.is_some(),
            "through {through} to {to}\n{}",
            self.fail2ban.log()
        );
    }

    /// Waits until fail2ban has logged this so often.
    pub(crate) fn logged(&self, text: &str, times: usize) {
        let found = within(Duration::from_secs(30), || {
            let count = self.fail2ban.log().matches(text).count();
            (count >= times).then_some(())
        });
        assert!(
            found.is_some(),
            "{times} times {text:?} in\n{}",
            self.fail2ban.log()
        );
    }

    /// fail2ban had nothing to complain about.
    pub(crate) fn no_complaint(&self) {
        let log = self.fail2ban.log();
        let is_wrong = |line: &&str| {
            let is_one = ["ERROR", "CRITICAL", "WARNING"]
                .iter()
                .any(|level| line.contains(level));
            is_one && !line.contains("New database created")
        };
        assert_eq!(log.lines().find(is_wrong), None, "{log}");
    }

    pub(crate) fn bans(&self) -> Vec<Value> {
        let listed = self.guardctl(&["bans", "list", "--json"]).ok().json();
        listed["bans"].as_array().expect("a list").clone()
    }

    pub(crate) fn sources(&self) -> Vec<String> {
        let source = |ban: Value| ban["source"].as_str().expect("a text").to_owned();
        self.bans().into_iter().map(source).collect()
    }
}

fn action() -> PathBuf {
    let packaging = "../packaging/fail2ban/action.d/guard.conf";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(packaging)
}
