//! Hosts of a fleet: each with guard, its daemon, guard-fleet and an attacker of its own, who has the same addresses
//! before every host.

use std::time::{Duration, Instant};

use super::{
    Answer, Background, GuardDaemon, Instance, NatsServer, Ran, Topology, UdpEcho, guard_fleet,
};

const PORT: u16 = 7000;
pub(crate) const POLICY: &str =
    "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

/// A host that has joined.
#[derive(Debug)]
pub struct FleetHost {
    fleet: Option<Background>,
    /// Its daemon.
    pub daemon: GuardDaemon,
    /// Its guard.
    pub guard: Instance,
    _echo: UdpEcho,
    /// It, and who talks to it.
    pub lab: Topology,
}

impl FleetHost {
    /// A host that has joined.
    ///
    /// # Panics
    /// When something of it does not start, or the server does not answer it.
    #[must_use]
    pub fn join(nats: &NatsServer, group: &str, name: &str) -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable"]).ok());
        let daemon = GuardDaemon::start(&guard);
        let mut host = Self {
            fleet: None,
            daemon,
            guard,
            _echo: UdpEcho::start(&lab.srv, PORT),
            lab,
        };
        host.join_again(nats, group, name);
        host.start_fleet();
        host.until_status(0);
        host
    }

    /// After it left.
    ///
    /// # Panics
    /// When it cannot.
    pub fn join_again(&self, nats: &NatsServer, group: &str, name: &str) {
        let key = nats.key(&format!("{group}-{name}"));
        let key = key.to_str().expect("a path");
        let words = [
            "fleet", "join", &nats.url, "--key", key, "--group", group, "--host", name,
        ];
        drop(self.guard.guardctl(&words).ok());
    }

    /// Sends guard-fleet a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal_fleet(&self, signal: libc::c_int) {
        let fleet = self.fleet.as_ref().expect("guard-fleet");
        let id = i32::try_from(fleet.id()).expect("a process number");
        // SAFETY: the call takes integers and touches no memory.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// guard-fleet has not ended.
    ///
    /// # Panics
    /// When it has.
    pub fn assert_fleet_alive(&mut self) {
        self.fleet.as_mut().expect("guard-fleet").assert_alive();
    }

    /// Starts guard-fleet.
    pub fn start_fleet(&mut self) {
        let mut command = guard_fleet();
        command.arg("run").envs(self.guard.environment());
        let log = self.guard.folder().join("fleet.log");
        self.fleet = Some(Background::start(&mut command, log));
    }

    /// As SIGKILL ends it.
    pub fn kill_fleet(&mut self) {
        self.fleet = None;
    }

    /// guardctl with both addresses of the attacker.
    ///
    /// # Panics
    /// When it fails.
    pub fn with_attacker(&self, words: &[&str]) {
        let (v4, v6) = (
            self.lab.attacker.v4.to_string(),
            self.lab.attacker.v6.to_string(),
        );
        let (first, rest) = words.split_first().expect("a command");
        let words = [&[*first, &v4, &v6], rest].concat();
        drop(self.guard.guardctl(&words).ok());
    }

    /// Waits until `fleet status` ends with this code.
    ///
    /// # Panics
    /// When it does not within twenty seconds.
    #[track_caller]
    pub fn until_status(&self, code: i32) -> Ran {
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
    ///
    /// # Panics
    /// When it does not within twenty seconds.
    #[track_caller]
    pub fn until_dropped(&self, is_dropped: bool) {
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

    /// The kernel drops the attacker.
    ///
    /// # Panics
    /// When it lets him in.
    #[track_caller]
    pub fn assert_dropped(&self) {
        assert!(self.is_dropped(), "{:?}", self.guard.banned());
    }
}
