//! A server with guard and its daemon.

use std::time::Duration;

use guard_tests::lab::{
    Answer, Background, GuardDaemon, Instance, Ran, TcpEcho, Topology, UdpEcho,
};

pub(crate) const OPEN: u16 = 1000;
pub(crate) const CLOSED: u16 = 3000;
pub(crate) const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 1000\n";
/// What a command waits for a daemon that does not answer, and the time to start.
pub(crate) const GIVES_UP: Duration = Duration::from_secs(6);

pub(crate) struct Scene {
    pub(crate) daemon: GuardDaemon,
    pub(crate) guard: Instance,
    _echoes: ([UdpEcho; 2], [TcpEcho; 2]),
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable"]).ok());
        Self {
            daemon: GuardDaemon::start(&guard),
            guard,
            _echoes: (
                [OPEN, CLOSED].map(|port| UdpEcho::start(&lab.srv, port)),
                [OPEN, CLOSED].map(|port| TcpEcho::start(&lab.srv, port)),
            ),
            lab,
        }
    }

    #[track_caller]
    pub(crate) fn assert_filters(&self) {
        self.assert_open_and_closed(OPEN, CLOSED);
    }

    #[track_caller]
    pub(crate) fn assert_open_and_closed(&self, open: u16, closed: u16) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(self.lab.friend.ask_udp(to, open), Answer::Echo, "{to}");
            assert_eq!(self.lab.friend.ask_udp(to, closed), Answer::Silence, "{to}");
        }
    }

    pub(crate) fn ask(&self, what: &str) -> Ran {
        self.guard.guardctl(&["daemon", what])
    }

    /// A second daemon of the same instance.
    pub(crate) fn another(&self) -> Background {
        let log = self.guard.folder().join("another.log");
        Background::start(&mut self.guard.command(&["daemon"]), log)
    }
}
