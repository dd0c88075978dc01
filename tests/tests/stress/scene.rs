//! A server with guard and a jail for a log that the test writes; its daemon comes and goes.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::IpAddr,
    path::PathBuf,
};

use guard_tests::{
    lab::{Answer, GuardDaemon, Instance, Ran, Topology, UdpEcho, until},
    require, sshd_log,
};
use serde_json::Value;

pub(crate) const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\nnever = [\"198.51.100.10\"]\n\n\
    [[rule]]\naction = \"allow\"\nport = 7000\n";
/// With LOG for the file that [`Scene::log`] names.
pub(crate) const JAIL: &str = "[jail.sshd]\nenabled = true\nlogpath = \"LOG\"\nmaxretry = 5\n\
    findtime = \"10m\"\nbantime = \"1h\"\n";

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl Scene {
    /// With this jail, guard on, and no daemon; `None` skips the test.
    pub(crate) fn with(jail: &str) -> Option<Self> {
        Self::prepared(jail, |_| {})
    }

    /// The same, with something to do before guard is turned on.
    pub(crate) fn prepared(jail: &str, before: impl FnOnce(&Instance)) -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        let scene = Self {
            _echo: UdpEcho::start(&lab.srv, PORT),
            guard,
            lab,
        };
        let log = scene.log();
        fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
        File::create(&log).expect("a log");
        let jails = scene.guard.etc().join("jails.d");
        fs::create_dir_all(&jails).expect("a folder");
        let text = jail.replace("\"LOG\"", &format!("\"{}\"", log.display()));
        fs::write(jails.join("stress.toml"), text).expect("a jail");
        before(&scene.guard);
        drop(scene.guardctl("enable").ok());
        Some(scene)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.guard.folder().join("log/auth.log")
    }

    pub(crate) fn open_log(&self) -> File {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        options.open(self.log()).expect("the log")
    }

    /// So many failed logins of a source.
    pub(crate) fn fail(&self, source: &str, times: usize) {
        let lines = sshd_log::failures(source, times);
        self.open_log()
            .write_all(lines.as_bytes())
            .expect("written");
    }

    pub(crate) fn guardctl(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        self.guard.guardctl(&words)
    }

    /// What `jail status` says of the jail.
    pub(crate) fn status(&self) -> Value {
        self.jail("sshd")
    }

    /// The same of another. A jail whose log is not there yet is reported with exit 8.
    pub(crate) fn jail(&self, name: &str) -> Value {
        let ran = self.guardctl(&format!("jail status {name} --json"));
        assert!(matches!(ran.code, Some(0 | 8)), "{ran}");
        ran.json()["jails"][0].clone()
    }

    pub(crate) fn until_banned(&self, daemon: &GuardDaemon, source: &str) {
        until(&format!("{source} to be banned; {}", daemon.said()), || {
            self.guard.banned().iter().any(|banned| banned == source)
        });
    }

    /// Does a datagram of the attacker get through?
    pub(crate) fn is_attacker_let_in(&self) -> bool {
        self.lab.attacker.ask_udp(self.lab.srv.v4, PORT) == Answer::Echo
    }

    #[track_caller]
    pub(crate) fn assert_friend_gets_in(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(self.lab.friend.ask_udp(to, PORT), Answer::Echo, "{to}");
        }
    }

    /// Does the kernel drop what comes from there?
    pub(crate) fn is_shut_out(&self, source: IpAddr) -> bool {
        let to = match source {
            IpAddr::V4(_) => self.lab.srv.v4,
            IpAddr::V6(_) => self.lab.srv.v6,
        };
        let line = format!("explain from {source} to {to} port {PORT} proto udp --json");
        let said = self.guardctl(&line).json();
        said["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("ban"))
    }

    /// Files that were put aside.
    pub(crate) fn aside(&self) -> Vec<String> {
        let names = fs::read_dir(self.guard.state())
            .expect("the folder")
            .flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("damaged")).collect()
    }
}

pub(crate) fn is_long() -> bool {
    std::env::var_os("GUARD_LONG").is_some()
}

/// The most memory that a process ever had, in KB.
pub(crate) fn peak_kb(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .expect("a number of KB")
}

/// CPU time that a process has had, all its threads together.
pub(crate) fn cpu_seconds(id: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("its threads");
    let spent = threads.flatten().map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let word = text.split(' ').next().unwrap_or_default();
        word.parse::<f64>().unwrap_or_default() / 1e9
    });
    spent.sum()
}

/// Numbers that look random (xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}
