//! A server behind guard, and an attacker whose datagrams are counted one by one.

use std::net::{IpAddr, UdpSocket};

use guard_tests::lab::{Instance, Topology};
use serde_json::Value;

/// Nothing may come in here.
pub(crate) const CLOSED: u16 = 9999;

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn enabled(policy: &str) -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&format!("interfaces = [\"eth0\"]\n{policy}"));
        drop(guard.guardctl(&["enable"]).ok());
        Self { guard, lab }
    }

    /// So many datagrams of each family to the closed port.
    pub(crate) fn send(&self, each: usize) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            let own: IpAddr = match to {
                IpAddr::V4(_) => self.lab.attacker.v4,
                IpAddr::V6(_) => self.lab.attacker.v6,
            };
            self.lab.attacker.run(|| {
                let socket = UdpSocket::bind((own, 0)).expect("a socket");
                for _ in 0..each {
                    socket.send_to(b"x", (to, CLOSED)).expect("sent");
                }
            });
        }
    }

    /// `guardctl stats --json` with these words.
    pub(crate) fn stats(&self, words: &[&str]) -> Value {
        let words = [&["stats", "--json"], words].concat();
        self.guard.guardctl(&words).ok().json()
    }

    /// Packets to the closed port that were dropped, as this answer has it.
    pub(crate) fn dropped(&self, stats: &Value) -> u64 {
        let ports = stats["ports"].as_array().expect("ports");
        let port = ports.iter().find(|port| port["port"] == CLOSED);
        port.map_or(0, |port| {
            port["dropped"]["packets"].as_u64().expect("packets")
        })
    }
}
