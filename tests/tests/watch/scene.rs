//! A server with rules of several kinds, guard on it, and somebody who watches.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use guard_common::abi::watch;
use guard_tests::{
    lab::{Background, Instance, TcpEcho, Topology, until},
    require,
};
use guard_user::host::clock::boot_time_ns;
use serde_json::Value;

/// Open to everybody.
pub(crate) const OPEN: u16 = 1000;
/// Closed by rule 2.
pub(crate) const DENIED: u16 = 2000;
/// No rule names it.
pub(crate) const CLOSED: u16 = 3000;
/// Two connections at once, by rule 3.
pub(crate) const LIMITED: u16 = 4000;

const POLICY: &str = r#"
interfaces = ["eth0"]

[[rule]]
action = "allow"
port = 1000

[[rule]]
action = "deny"
port = 2000

[[rule]]
action = "limit"
port = 4000
proto = "tcp"
rate = "1/h"
burst = 2
"#;

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: [TcpEcho; 4],
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable", "--force"]).ok());
        Some(Self {
            guard,
            _echoes: [OPEN, DENIED, CLOSED, LIMITED].map(|port| TcpEcho::start(&lab.srv, port)),
            lab,
        })
    }

    /// Starts guardctl, and waits until its program is where the filter finds it.
    pub(crate) fn watch(&self, name: &str, words: &[&str]) -> Background {
        // Who was killed may stand there still, with a time that is over.
        let places = || {
            let (words, now) = (self.guard.watch_words(), boot_time_ns());
            (0..watch::WATCHERS)
                .filter(|place| words[watch::until_at(*place) as usize] > now)
                .count()
        };
        let before = places();
        let log = self.guard.folder().join(name);
        let mut watcher = Background::start(&mut self.guard.command(words), log);
        until("somebody to watch", || {
            watcher.assert_alive();
            places() > before
        });
        watcher
    }
}

/// What a watcher has printed, one object a line.
pub(crate) fn lines(watcher: &Background) -> Vec<Value> {
    // The last line may be half there.
    let said = watcher.said();
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits for a line.
#[track_caller]
pub(crate) fn line(watcher: &Background, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    until(what, || {
        found = lines(watcher).into_iter().find(&is_it);
        found.is_some()
    });
    found.expect("it was found")
}

/// Ends it as Ctrl-C does, and waits.
#[track_caller]
pub(crate) fn interrupt(watcher: &mut Background) {
    signal(watcher, libc::SIGINT);
    until("the end", || watcher.has_ended());
}

pub(crate) fn signal(watcher: &Background, signal: i32) {
    // SAFETY: a child of this test, which has not been waited for.
    let result = unsafe { libc::kill(watcher.id() as i32, signal) };
    assert_eq!(result, 0, "kill {}", watcher.id());
}

/// Runs tshark over a file: its lines.
#[track_caller]
pub(crate) fn tshark(file: &std::path::Path, words: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-r"])
        .arg(file)
        .args(words)
        .stdin(Stdio::null());
    let ran = guard_tests::lab::finish(&mut command, Duration::from_secs(60)).ok();
    ran.stdout.lines().map(str::to_owned).collect()
}
