//! A server with guard on it, somebody who knocks at a closed port, and the screen of `top`.

use guard_tests::{
    lab::{Flood, Instance, Rate, Sources, Terminal, Topology, Wire, within},
    require,
};
use std::time::Duration;

/// Closed: no rule names it.
pub(crate) const CLOSED: u16 = 22;

const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 80\nproto = \"tcp\"\n";

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter", "setsid"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable", "--force"]).ok());
        Some(Self { guard, lab })
    }

    /// SYNs of one source to the closed port; and who sends them.
    pub(crate) fn knock(&self, per_second: u32) -> (Flood, String) {
        let mut frames = self.lab.forged_syns(CLOSED, Sources::OneNetwork);
        frames.truncate(1);
        // Behind the Ethernet header the source stands at byte 12.
        let source = frames[0][26..30].iter().map(u8::to_string);
        let source = source.collect::<Vec<_>>().join(".");
        let wire = Wire::open(&self.lab.wan, "srv");
        (
            Flood::start(wire, frames, Rate::PerSecond(per_second)),
            source,
        )
    }

    /// `top` at a terminal of this size.
    pub(crate) fn top(&self, words: &[&str], columns: u16, rows: u16) -> Terminal {
        self.top_with(words, columns, rows, &[])
    }

    /// The same with words of the environment.
    pub(crate) fn top_with(
        &self,
        words: &[&str],
        columns: u16,
        rows: u16,
        environment: &[(&str, &str)],
    ) -> Terminal {
        let words: Vec<&str> = ["top"].into_iter().chain(words.iter().copied()).collect();
        let mut command = self
            .guard
            .command_behind(&["setsid", "--ctty", "--wait"], &words);
        command
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied());
        let mut terminal = Terminal::start(&mut command);
        terminal.resize(columns, rows);
        terminal
    }
}

/// What is on the screen, line by line.
pub(crate) fn screen(terminal: &mut Terminal, columns: u16, rows: u16) -> Vec<String> {
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(terminal.bytes());
    parser.screen().rows(0, columns).collect()
}

/// Waits until a line of the screen is as wanted.
#[track_caller]
pub(crate) fn until_shown(
    terminal: &mut Terminal,
    size: (u16, u16),
    what: &str,
    is_it: impl Fn(&str) -> bool,
) -> String {
    let found = within(Duration::from_secs(30), || {
        let lines = screen(terminal, size.0, size.1);
        lines.into_iter().find(|line| is_it(line))
    });
    found.unwrap_or_else(|| {
        panic!(
            "{what} was not shown:\n{}",
            screen(terminal, size.0, size.1).join("\n")
        )
    })
}
