//! A host of a fleet: guard, its daemon, guard-fleet and an attacker of its own, who has the same addresses before every
//! host.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use guard_user::{
    control::{Request, Response, client, fleet::FleetView},
    layout::Layout,
};

use super::{
    Answer, Background, FleetServers, GuardDaemon, Instance, Ran, Topology, UdpEcho, WallClock,
    finish, guard_fleet,
};

/// The host.
#[derive(Debug)]
pub struct FleetHost {
    fleet: Option<Background>,
    /// Its daemon.
    pub daemon: GuardDaemon,
    clock: Option<WallClock>,
    /// Its guard.
    pub guard: Instance,
    _echo: UdpEcho,
    /// The host, an attacker, and the router between them.
    pub lab: Topology,
}

impl FleetHost {
    /// Open to everybody: whoever sends a datagram gets it back.
    pub const PORT: u16 = 7000;
    /// What its guard.toml says at first.
    pub const POLICY: &str =
        "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = [22, 7000]\n";

    /// A host that has joined, and hears the others.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn join(servers: &impl FleetServers, group: &str, name: &str) -> Self {
        let mut host = Self::joined(servers, group, name);
        host.start_fleet();
        drop(host.until_status(0));
        host
    }

    /// The same with a time of day that is wrong by so many seconds; `None` skips the test.
    ///
    /// # Panics
    /// As [`FleetHost::join`].
    #[must_use]
    pub fn join_at(
        servers: &impl FleetServers,
        (group, name): (&str, &str),
        wrong_s: i64,
    ) -> Option<Self> {
        let mut host = Self::prepared(Some(wrong_s))?;
        host.join_again(servers, group, name);
        host.start_fleet();
        drop(host.until_status(0));
        Some(host)
    }

    /// A host that has joined, without guard-fleet.
    ///
    /// # Panics
    /// When it cannot join.
    #[must_use]
    pub fn joined(servers: &impl FleetServers, group: &str, name: &str) -> Self {
        let host = Self::prepared(None).expect("no clock to set");
        host.join_again(servers, group, name);
        host
    }

    fn prepared(wrong_s: Option<i64>) -> Option<Self> {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(Self::POLICY);
        drop(guard.guardctl(&["enable"]).ok());
        let clock = match wrong_s {
            None => None,
            Some(seconds) => {
                let clock = WallClock::new(guard.folder())?;
                clock.set(seconds);
                Some(clock)
            }
        };
        let daemon = start_daemon(&guard, clock.as_ref());
        Some(Self {
            fleet: None,
            daemon,
            clock,
            guard,
            _echo: UdpEcho::start(&lab.srv, Self::PORT),
            lab,
        })
    }

    /// After it left.
    ///
    /// # Panics
    /// When it cannot.
    pub fn join_again(&self, servers: &impl FleetServers, group: &str, name: &str) {
        let path = |path: PathBuf| path.to_str().expect("a path").to_owned();
        let key = path(servers.key(&format!("{group}-{name}")));
        let (urls, ca) = (servers.urls(), servers.ca().map(path));
        let mut words = vec!["fleet", "join"];
        words.extend(urls.iter().map(String::as_str));
        words.extend(["--key", &key, "--group", group, "--host", name]);
        if let Some(ca) = &ca {
            words.extend(["--ca", ca]);
        }
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
        if let Some(clock) = &self.clock {
            clock.shown_to(&mut command);
        }
        let log = self.guard.folder().join("fleet.log");
        self.fleet = Some(Background::start(&mut command, log));
    }

    /// guardctl, by this host's clock.
    ///
    /// # Panics
    /// When it does not end.
    pub fn guardctl(&self, words: &[&str]) -> Ran {
        let mut command = self.guard.command(words);
        if let Some(clock) = &self.clock {
            clock.shown_to(&mut command);
        }
        finish(&mut command, Duration::from_secs(60))
    }

    /// Ends the daemon, and starts another.
    ///
    /// # Panics
    /// When one of both fails.
    pub fn restart_daemon(&mut self) {
        drop(self.guardctl(&["daemon", "--stop"]).ok());
        self.daemon.wait();
        self.daemon = start_daemon(&self.guard, self.clock.as_ref());
    }

    /// As SIGKILL ends it.
    pub fn kill_fleet(&mut self) {
        self.fleet = None;
    }

    /// The process of guard-fleet, if it runs.
    #[must_use]
    pub fn fleet_process(&self) -> Option<u32> {
        self.fleet.as_ref().map(Background::id)
    }

    /// What its daemon knows of the fleet.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[must_use]
    pub fn view(&self) -> FleetView {
        let layout = Layout {
            etc: self.guard.etc(),
            state: self.guard.state(),
            run: self.guard.run(),
            bpffs: self.guard.bpffs(),
            ..Layout::from_environment()
        };
        let answer = client::ask(&layout, Request::Fleet).expect("an answer");
        let Response::Fleet(view) = answer else {
            panic!("{answer:?}");
        };
        view
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
        drop(self.guardctl(&words).ok());
    }

    /// Waits until `fleet status` ends with this code.
    ///
    /// # Panics
    /// When it does not.
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
            .all(|to| attacker.ask_udp(*to, Self::PORT) == Answer::Silence)
    }

    /// Waits until the kernel drops the attacker, or lets him in.
    ///
    /// # Panics
    /// When it does not.
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

    /// # Panics
    /// When the kernel does not drop the attacker.
    #[track_caller]
    pub fn assert_dropped(&self) {
        assert!(self.is_dropped(), "{:?}", self.guard.banned());
    }
}

fn start_daemon(guard: &Instance, clock: Option<&WallClock>) -> GuardDaemon {
    let mut command = guard.command(&["daemon"]);
    match clock {
        Some(clock) => GuardDaemon::start_as(guard, clock.shown_to(&mut command)),
        None => GuardDaemon::start(guard),
    }
}
