//! Hosts, guard with one open port, and packets whose fate tells whether it filters.

use std::{collections::BTreeSet, process::Stdio, thread, time::Duration};

use guard_tests::lab::{Answer, Capture, Instance, Marked, TcpEcho, Topology, UdpEcho, ask_all};

/// Open in every policy of this file, and closed in every one.
pub(crate) const OPEN: u16 = 1000;
pub(crate) const CLOSED: u16 = 3000;

/// Port 1000 open, and some more rules, by which policies differ in size.
/// Nobody listens at the open port, and a ceiling would drop what is to be counted.
pub(crate) fn policy(more: usize) -> String {
    let mut text = format!(
        "interfaces = [\"eth0\"]\n\n[limits]\nceiling = \"off\"\n\n[[rule]]\naction = \"allow\"\nport = {OPEN}\n",
    );
    for number in 0..more {
        let source = format!(
            "10.{}.{}.{}",
            number >> 8 & 255,
            number & 255,
            1 + number % 200
        );
        let port = 10_000 + number % 500;
        text += &format!("\n[[rule]]\naction = \"allow\"\nport = {port}\nfrom = \"{source}\"\n");
    }
    text
}

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: (UdpEcho, UdpEcho, TcpEcho),
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&policy(0));
        Self {
            guard,
            _echoes: (
                UdpEcho::start(&lab.srv, OPEN),
                UdpEcho::start(&lab.srv, CLOSED),
                TcpEcho::start(&lab.srv, CLOSED),
            ),
            lab,
        }
    }

    pub(crate) fn enabled() -> Self {
        let scene = Self::new();
        drop(scene.guard.guardctl(&["enable"]).ok());
        scene
    }

    #[track_caller]
    pub(crate) fn assert_filters(&self) {
        let friend = &*self.lab.friend;
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            let answers = ask_all([(friend, to, OPEN), (friend, to, CLOSED)]);
            assert_eq!(answers, [Answer::Echo, Answer::Silence], "{to}");
        }
    }

    /// Runs guardctl and kills it after a time; did it live to be killed?
    pub(crate) fn kill(&self, words: &[&str], after: Duration) -> bool {
        let mut child = self
            .guard
            .command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("guardctl");
        // The moment is the point of the test, not an event that is waited for.
        thread::sleep(after);
        let was_running = child.try_wait().expect("our own child").is_none();
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        was_running
    }
}

/// Packets of both kinds while something happens; only those to the open port are delivered, and
/// none of them is lost.
pub(crate) fn while_filtered(lab: &Topology, happens: impl FnOnce()) {
    let capture = Capture::start(&lab.srv, "eth0");
    let stream = Marked::start(lab, 0, [OPEN, CLOSED]);
    stream.wait_for_more();
    happens();
    stream.wait_for_more();
    let sent = stream.stop();
    let delivered = Marked::numbers(0, &capture.stop());
    let expected: BTreeSet<u32> = (0..sent).step_by(2).collect();
    let leaked = delivered.difference(&expected).count();
    let lost = expected.difference(&delivered).count();
    assert_eq!((leaked, lost), (0, 0), "leaked and lost of {sent}");
    println!("{sent} packets, none leaked, none lost");
}
