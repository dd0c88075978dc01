//! Hosts, guard with one open port, and a policy that closes it and opens another.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, Instance, Terminal, Topology, UdpEcho, ask_all, within},
    require,
};
use serde_json::Value;

/// Open in the good policy, closed in the bad one; and the other way round.
pub(crate) const GOOD: u16 = 1000;
pub(crate) const BAD: u16 = 3000;

/// Time to confirm in.
pub(crate) const TIME: Duration = Duration::from_secs(5);
pub(crate) const CONFIRM: [&str; 2] = ["--confirm", "5s"];
/// How exactly the kernel keeps it.
const TOLERANCE: Duration = Duration::from_secs(2);

/// A policy with one port open to everybody.
pub(crate) fn policy(port: u16) -> String {
    format!(
        "# port {port}\ninterfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = {port}\n"
    )
}

/// Open in the large policy only; nobody listens, so the host says so.
pub(crate) const ONLY_LARGE: u16 = 9999;

/// The same and thousands of rules more: larger than the tables that a small policy gets.
pub(crate) fn large(port: u16) -> String {
    let mut text = policy(port);
    text += &format!("\n[[rule]]\naction = \"allow\"\nport = {ONLY_LARGE}\n");
    for number in 0..4000 {
        let (high, low) = (number / 250, number % 250);
        let port = 10_000 + number;
        text += &format!(
            "\n[[rule]]\naction = \"allow\"\nport = {port}\nfrom = \"10.{high}.{low}.0/24\"\n"
        );
    }
    text
}

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: [UdpEcho; 2],
    pub(crate) lab: Topology,
}

impl Scene {
    /// guard off, the good policy on disk. `None` skips the test.
    pub(crate) fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter", "setsid"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&policy(GOOD));
        Some(Self {
            guard,
            _echoes: [GOOD, BAD].map(|port| UdpEcho::start(&lab.srv, port)),
            lab,
        })
    }

    /// guard on with the good policy.
    pub(crate) fn enabled() -> Option<Self> {
        let scene = Self::new()?;
        drop(scene.guard.guardctl(&["enable"]).ok());
        scene.assert_in_force(GOOD);
        Some(scene)
    }

    /// A file with the policy that shuts everybody out.
    pub(crate) fn bad_policy(&self) -> PathBuf {
        let path = self.guard.folder().join("bad.policy");
        fs::write(&path, policy(BAD)).expect("a file");
        path
    }

    /// `apply bad.policy --confirm 5s`, without a terminal; when it was in force.
    pub(crate) fn apply_bad(&self) -> Instant {
        let path = self.bad_policy();
        let words = [
            "apply",
            path.to_str().expect("a path"),
            CONFIRM[0],
            CONFIRM[1],
        ];
        let printed = self
            .guard
            .guardctl(&words)
            .ok()
            .says("PENDING: in 5 s generation ");
        drop(printed.says("unless `guardctl confirm` comes first"));
        Instant::now()
    }

    /// The same at a terminal of its own, counting down.
    pub(crate) fn apply_bad_at_a_terminal(&self) -> (Terminal, Instant) {
        let path = self.bad_policy();
        let words = [
            "apply",
            path.to_str().expect("a path"),
            CONFIRM[0],
            CONFIRM[1],
        ];
        self.at_a_terminal(&words)
    }

    /// A command with a deadline at a terminal of its own, counting down.
    pub(crate) fn at_a_terminal(&self, words: &[&str]) -> (Terminal, Instant) {
        let mut command = self.guard.command_behind(&["setsid", "--ctty"], words);
        let mut terminal = Terminal::start(&mut command);
        terminal.until_said(" s left, then ");
        (terminal, Instant::now())
    }

    /// Everybody reaches this port and not the other, over both families.
    #[track_caller]
    pub(crate) fn assert_in_force(&self, open: u16) {
        let closed = GOOD + BAD - open;
        let (friend, srv) = (&*self.lab.friend, &self.lab.srv);
        let answers = ask_all([
            (friend, srv.v4, open),
            (friend, srv.v6, open),
            (friend, srv.v4, closed),
            (friend, srv.v6, closed),
        ]);
        use Answer::{Echo, Silence};
        assert_eq!(answers, [Echo, Echo, Silence, Silence], "open: {open}");
    }

    /// The bad policy is in force, and gives way to the good one when `TIME` has passed since
    /// `since`, while `disturb` is done to the controller. No file changes, and the next command finds
    /// things as they were.
    #[track_caller]
    pub(crate) fn assert_returns(&self, since: Instant, disturb: impl FnOnce(&Self)) {
        self.assert_in_force(BAD);
        assert_eq!(self.guard.policy(), policy(GOOD));
        disturb(self);
        let to = self.lab.srv.v4;
        let back = within(TIME + TOLERANCE, || {
            (self.lab.friend.ask_udp(to, GOOD) == Answer::Echo).then(|| since.elapsed())
        });
        let back = back.unwrap_or_else(|| panic!("not back after {:?}", since.elapsed()));
        assert!(
            back + TOLERANCE >= TIME && back <= TIME + TOLERANCE,
            "back after {back:?}"
        );
        self.assert_in_force(GOOD);
        assert_eq!(self.guard.policy(), policy(GOOD));
    }

    /// What `status --json` says.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.guard.guardctl(&["status", "--json"]).json()
    }

    /// Nothing is pending or half done: files, words and kernel say the same.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        let status = self.status();
        assert_eq!(status["pending"], Value::Null, "{status}");
        assert_eq!(status["warnings"], serde_json::json!([]), "{status}");
        assert!(!self.guard.state().join("pending.json").exists());
    }

    /// What became of the newest policy of the history.
    #[track_caller]
    pub(crate) fn newest(&self) -> Value {
        let history = self.guard.guardctl(&["history", "--json"]).ok().json();
        history["entries"][0].clone()
    }
}
