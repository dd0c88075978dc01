//! Hosts of a fleet: each with guard, its daemon, guard-fleet and an attacker of its own, who has the same addresses
//! before every host.

use std::time::{Duration, Instant};

use guard_tests::lab::{
    Answer, Background, GuardDaemon, Instance, NatsServer, Ran, Topology, UdpEcho, guard_fleet,
};

const PORT: u16 = 7000;
pub(crate) const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

pub(crate) struct FleetHost {
    fleet: Option<Background>,
    pub(crate) daemon: GuardDaemon,
    pub(crate) guard: Instance,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl FleetHost {
    /// A host that has joined.
    pub(crate) fn join(nats: &NatsServer, group: &str, name: &str) -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable"]).ok());
        let daemon = GuardDaemon::start(&guard);
        let key = nats.key(&format!("{group}-{name}"));
        let key = key.to_str().expect("a path");
        let words = [
            "fleet", "join", &nats.url, "--key", key, "--group", group, "--host", name,
        ];
        drop(guard.guardctl(&words).ok());
        let mut host = Self {
            fleet: None,
            daemon,
            guard,
            _echo: UdpEcho::start(&lab.srv, PORT),
            lab,
        };
        host.start_fleet();
        host.until_status(0);
        host
    }

    pub(crate) fn start_fleet(&mut self) {
        let mut command = guard_fleet();
        command.arg("run").envs(self.guard.environment());
        let log = self.guard.folder().join("fleet.log");
        self.fleet = Some(Background::start(&mut command, log));
    }

    /// As SIGKILL ends it.
    pub(crate) fn kill_fleet(&mut self) {
        self.fleet = None;
    }

    /// guardctl with both addresses of the attacker.
    pub(crate) fn with_attacker(&self, words: &[&str]) {
        let (v4, v6) = (
            self.lab.attacker.v4.to_string(),
            self.lab.attacker.v6.to_string(),
        );
        let (first, rest) = words.split_first().expect("a command");
        let words = [&[*first, &v4, &v6], rest].concat();
        drop(self.guard.guardctl(&words).ok());
    }

    /// Waits until `fleet status` ends with this code.
    #[track_caller]
    pub(crate) fn until_status(&self, code: i32) -> Ran {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let ran = self.guard.guardctl(&["fleet", "status"]);
            if ran.code == Some(code) {
                return ran;
            }
            assert!(Instant::now() < deadline, "not {code}: {ran}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn is_dropped(&self) -> bool {
        let attacker = &self.lab.attacker;
        [self.lab.srv.v4, self.lab.srv.v6]
            .iter()
            .all(|to| attacker.ask_udp(*to, PORT) == Answer::Silence)
    }

    /// Waits until the kernel drops the attacker, or lets him in.
    #[track_caller]
    pub(crate) fn until_dropped(&self, is_dropped: bool) {
        let begin = Instant::now();
        while self.is_dropped() != is_dropped {
            let waited = begin.elapsed();
            assert!(
                waited < Duration::from_secs(20),
                "dropped: {is_dropped}: {}",
                self.guard.guardctl(&["fleet", "status"])
            );
        }
    }

    #[track_caller]
    pub(crate) fn assert_dropped(&self) {
        assert!(self.is_dropped(), "{:?}", self.guard.banned());
    }
}
