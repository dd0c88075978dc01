//! A host with guard, its daemon, guard-fleet and a LAPI beside them.

use std::time::{Duration, Instant};

use guard_tests::{
    lab::{
        Answer, Background, CrowdsecLapi, GuardDaemon, Instance, Ran, Topology, UdpEcho,
        guard_fleet, until, within,
    },
    require,
};

const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";
/// Two deltas, and what a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    fleet: Option<Background>,
    daemon: GuardDaemon,
    pub(crate) guard: Instance,
    pub(crate) lapi: CrowdsecLapi,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl Scene {
    /// A host that has joined with these words more; `None` skips the test.
    pub(crate) fn joined(more: &[&str]) -> Option<Self> {
        if !require::root() {
            return None;
        }
        let lab = Topology::new();
        let lapi = CrowdsecLapi::start(&lab.srv)?;
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        let log = guard.folder().join("auth.log");
        std::fs::write(&log, "").expect("a log");
        guard.write_jails(&format!(
            "[jail.sshd]\nlogpath = [\"{}\"]\nmaxretry = 2\n",
            log.display()
        ));
        drop(guard.guardctl(&["enable"]).ok());
        let daemon = GuardDaemon::start(&guard);
        let (url, key, password) = (lapi.url(), lapi.key(), lapi.password());
        let mut words = vec!["crowdsec", "join", &url, "--key", key.to_str()?];
        words.extend(more);
        if !more.is_empty() {
            words.extend(["--password", password.to_str()?]);
        }
        drop(guard.guardctl(&words).ok());
        let mut scene = Self {
            fleet: None,
            daemon,
            guard,
            lapi,
            _echo: UdpEcho::start(&lab.srv, PORT),
            lab,
        };
        scene.restart_fleet();
        scene.until_status(0);
        Some(scene)
    }

    pub(crate) fn kill_fleet(&mut self) {
        self.fleet = None;
    }

    pub(crate) fn restart_fleet(&mut self) {
        self.fleet = None;
        // Where the LAPI is.
        let program = guard_fleet();
        let mut command = self.lab.srv.command(program.get_program());
        command.arg("run").envs(self.guard.environment());
        let log = self.guard.folder().join("fleet.log");
        self.fleet = Some(Background::start(&mut command, log));
    }

    pub(crate) fn restart_daemon(&mut self) {
        drop(self.guard.guardctl(&["daemon", "--stop"]).ok());
        self.daemon.wait();
        self.daemon = GuardDaemon::start(&self.guard);
    }

    pub(crate) fn status(&self) -> Ran {
        self.guard.guardctl(&["fleet", "status"])
    }

    #[track_caller]
    pub(crate) fn until_status(&self, code: i32) -> Ran {
        let status = within(PATIENCE, || {
            Some(self.status()).filter(|ran| ran.code == Some(code))
        });
        status.unwrap_or_else(|| panic!("not {code}: {}", self.status()))
    }

    fn reaches(&self) -> bool {
        let attacker = &self.lab.attacker;
        [self.lab.srv.v4, self.lab.srv.v6]
            .iter()
            .any(|to| attacker.ask_udp(*to, PORT) == Answer::Echo)
    }

    /// Waits until the attacker reaches the open port in both families, or in none.
    #[track_caller]
    pub(crate) fn until_reached(&self, reaches: bool) {
        let begin = Instant::now();
        while self.reaches() != reaches {
            assert!(begin.elapsed() < PATIENCE, "{reaches}: {}", self.status());
        }
        println!("reached: {reaches} after {:?}", begin.elapsed());
    }

    #[track_caller]
    pub(crate) fn until_banned(&self, source: &str) {
        let found = within(PATIENCE, || {
            self.guard
                .banned()
                .contains(&source.to_owned())
                .then_some(())
        });
        assert!(found.is_some(), "{source}: {}", self.status());
    }

    #[track_caller]
    pub(crate) fn assert_dropped(&self) {
        assert!(!self.reaches(), "{:?}", self.guard.banned());
    }

    #[track_caller]
    pub(crate) fn assert_friend_reaches(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(self.lab.friend.ask_udp(to, PORT), Answer::Echo, "{to}");
        }
    }

    /// A jail of this host bans it.
    pub(crate) fn ban_by_a_jail(&self, address: &str) {
        for _ in 0..2 {
            let words = ["jail", "attempt", "sshd", address];
            drop(self.guard.guardctl(&words).ok());
        }
        until("the jail to ban", || {
            self.guard.banned().contains(&address.to_owned())
        });
    }
}
