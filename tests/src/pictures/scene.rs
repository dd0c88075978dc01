//! A server with a daemon, clients of its web server, and attackers whose traffic is bounded.

use std::time::Duration;

use guard_common::packet::TcpFlags;

use crate::lab::{Flood, GuardDaemon, Instance, Nginx, Rate, Sources, Topology, Wire, http_get};

const POLICY: &str = r#"
interfaces = ["eth0"]

[[rule]]
action = "limit"
port = 22
proto = "tcp"

[[rule]]
action = "allow"
port = [80, 443]
proto = "tcp"
"#;

/// Everything that moves in a picture. What is declared first is dropped first.
#[derive(Debug)]
pub struct Scene {
    floods: Vec<Flood>,
    _daemon: GuardDaemon,
    /// guard on the server.
    pub guard: Instance,
    _nginx: Nginx,
    /// The hosts.
    pub lab: Topology,
}

impl Scene {
    /// Sets it up, and lets the attackers begin.
    #[must_use]
    pub fn set() -> Self {
        let lab = Topology::new();
        lab.wan.ip("route add blackhole default");
        lab.wan.ip("-6 route add blackhole default");
        let nginx = Nginx::on_ports(&lab.srv, &[80]);
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable", "--force"]).ok());
        let daemon = GuardDaemon::start(&guard);
        for (source, length) in [
            ("198.51.100.77", "1d"),
            ("203.0.113.128/25", "1h"),
            ("2001:db8:bad::/48", "2d"),
        ] {
            drop(guard.guardctl(&["ban", source, "--for", length]).ok());
        }
        let mut scene = Self {
            floods: Vec::new(),
            _daemon: daemon,
            guard,
            _nginx: nginx,
            lab,
        };
        scene.attack();
        scene
    }

    /// One source at each of some ports, and a network at SSH: thousands of packets per second, for a minute at most.
    fn attack(&mut self) {
        for (port, per_second) in [(23, 900), (3389, 420), (5432, 160), (6379, 60)] {
            let mut frames = self.lab.forged_syns(port, Sources::OneNetwork);
            let at = usize::from(port) % frames.len();
            frames.swap(0, at);
            frames.truncate(1);
            self.flood(frames, per_second);
        }
        let network = self.lab.forged_syns(22, Sources::OneNetwork);
        self.flood(network, 2400);
        let stray = self
            .lab
            .forged_segments(80, Sources::OneNetwork, TcpFlags::ACK, 100);
        self.flood(stray, 300);
    }

    fn flood(&mut self, frames: Vec<Vec<u8>>, per_second: u32) {
        let wire = Wire::open(&self.lab.wan, "srv");
        let flood = Flood::start(wire, frames, Rate::PerSecond(per_second));
        self.floods.push(flood);
    }

    /// A flood from everywhere, as long as it is kept.
    #[must_use]
    pub fn wave(&self) -> Flood {
        let frames = self.lab.forged_datagrams(53, Sources::Everywhere, 60);
        let wire = Wire::open(&self.lab.wan, "srv");
        Flood::start(wire, frames, Rate::PerSecond(4000))
    }

    /// Clients of the web server, one after the other, so many seconds long.
    pub fn visit(&self, length: Duration) {
        let begin = std::time::Instant::now();
        while begin.elapsed() < length {
            for to in [self.lab.srv.v4, self.lab.srv.v6] {
                let address = std::net::SocketAddr::new(to, 80);
                let visit = || http_get(address, Duration::from_secs(1));
                // A request that fails is one less in the picture.
                drop(self.lab.friend.run(visit));
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }
}
