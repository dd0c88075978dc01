//! A server with an echo that everybody may use, and guard.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    process::Stdio,
    time::Duration,
};

use guard_tests::{
    lab::{Answer, Host, Instance, Ran, TcpEcho, Topology, UdpEcho, within},
    require,
};
use serde_json::Value;

pub(crate) const PORT: u16 = 7000;
pub(crate) const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

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
        let _ = scene.guardctl(&["enable"]).ok();
        Some(scene)
    }

    pub(crate) fn enabled() -> Option<Self> {
        Self::with(POLICY)
    }

    pub(crate) fn guardctl(&self, words: &[&str]) -> Ran {
        self.guard.guardctl(words)
    }

    /// guardctl with this text on its standard input.
    pub(crate) fn guardctl_reads(&self, words: &[&str], text: &str) -> (Option<i32>, String) {
        let mut child = self
            .guard
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("guardctl");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(text.as_bytes()).expect("written");
        drop(input);
        let mut said = String::new();
        let output = child.wait_with_output().expect("ended");
        for mut stream in [output.stdout.as_slice(), output.stderr.as_slice()] {
            stream.read_to_string(&mut said).expect("text");
        }
        (output.status.code(), said)
    }

    /// Addresses of attacker and server, by family.
    pub(crate) fn families(&self) -> [(IpAddr, IpAddr); 2] {
        let (attacker, srv) = (&self.lab.attacker, &self.lab.srv);
        [(attacker.v4, srv.v4), (attacker.v6, srv.v6)]
    }

    /// Does a datagram of the attacker get through to this address?
    pub(crate) fn gets_through(&self, to: IpAddr) -> bool {
        self.lab.attacker.ask_udp(to, PORT) == Answer::Echo
    }

    /// Waits until it does.
    pub(crate) fn comes_through(&self, to: IpAddr) {
        let found = within(Duration::from_secs(15), || {
            self.gets_through(to).then_some(())
        });
        assert!(found.is_some(), "nothing came through to {to}");
    }

    /// A connection from a host.
    pub(crate) fn connection(&self, from: &Host, to: IpAddr) -> TcpStream {
        let limit = Duration::from_secs(5);
        let connect = || TcpStream::connect_timeout(&(to, PORT).into(), limit);
        from.run(connect).expect("a connection")
    }

    pub(crate) fn listed(&self) -> Vec<Value> {
        let listed = self.guardctl(&["bans", "list", "--json"]).ok().json();
        listed["bans"].as_array().expect("a list").clone()
    }

    pub(crate) fn sources(&self) -> Vec<String> {
        let listed = self.listed().into_iter();
        let source = |ban: Value| ban["source"].as_str().expect("a text").to_owned();
        listed.map(source).collect()
    }
}
