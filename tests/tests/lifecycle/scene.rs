//! A server with guard and its daemon, one port open, one closed, one open on eth0 alone.

use std::{net::IpAddr, time::Duration};

use guard_common::testing::{packet, packet_v6};
use guard_tests::lab::{Answer, GuardDaemon, Instance, Topology, UdpEcho, finish, until};

pub(crate) const OPEN: u16 = 1000;
pub(crate) const CLOSED: u16 = 3000;
pub(crate) const ON_ETH0: u16 = 2000;

const HEAD: &str = "interfaces = [\"eth0\"]\n\n";
const PATIENCE: Duration = Duration::from_secs(60);
const RULES: &str = "[[rule]]\naction = \"allow\"\nport = 1000\n\n\
                     [[rule]]\naction = \"allow\"\nport = 2000\non = \"eth0\"\n";

pub(crate) struct Scene {
    pub(crate) daemon: GuardDaemon,
    pub(crate) guard: Instance,
    pub(crate) echoes: [UdpEcho; 3],
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_policy(HEAD)
    }

    /// With the way out watched as kernels before 6.6 do it.
    pub(crate) fn with_clsact() -> Self {
        Self::with(HEAD, &[("GUARD_TC", "clsact")])
    }

    /// With something in front of the rules.
    pub(crate) fn with_policy(head: &str) -> Self {
        Self::with(head, &[])
    }

    fn with(head: &str, environment: &[(&str, &str)]) -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&format!("{head}{RULES}"));
        let command = |words: &[&str]| {
            let mut command = guard.command(words);
            command.envs(environment.iter().copied());
            command
        };
        drop(finish(&mut command(&["enable"]), PATIENCE).ok());
        let daemon = GuardDaemon::start_as(&guard, &mut command(&["daemon"]));
        assert!(
            !daemon.said().contains("changed"),
            "nothing is to be renewed after enable: {}",
            daemon.said()
        );
        let scene = Self {
            daemon,
            guard,
            echoes: [OPEN, CLOSED, ON_ETH0].map(|port| UdpEcho::start(&lab.srv, port)),
            lab,
        };
        scene.assert_filters();
        scene
    }

    /// An interface that has just come loses a frame or two: first the open port must answer.
    #[track_caller]
    pub(crate) fn assert_filters(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            until(&format!("the open port at {to} to answer"), || {
                self.lab.friend.ask_udp(to, OPEN) == Answer::Echo
            });
            assert_eq!(
                self.lab.attacker.ask_udp(to, CLOSED),
                Answer::Silence,
                "{to}"
            );
        }
    }

    /// What going down took away comes back.
    pub(crate) fn up(&self, interface: &str) {
        self.lab.srv.ip_batch(&format!(
            "link set {interface} up\n\
             addr replace 2001:db8:2::1/64 dev {interface} nodad\n\
             route replace default via 192.0.2.254\nroute replace default via 2001:db8:2::fe\n"
        ));
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        self.lab.srv.ip(&format!("link set {from} down"));
        self.lab.srv.ip(&format!("link set {from} name {to}"));
        self.up(to);
    }

    /// A datagram to the open port, from the router's side of the cable.
    pub(crate) fn frame_from(&self, source: &str) -> Vec<u8> {
        let macs = (self.lab.srv.mac("eth0"), self.lab.wan.mac("srv"));
        let source: IpAddr = source.parse().expect("an address");
        let (packet, to) = match source {
            IpAddr::V4(_) => (packet(), self.lab.srv.v4),
            IpAddr::V6(_) => (packet_v6(), self.lab.srv.v6),
        };
        packet
            .macs(macs.0, macs.1)
            .from_ip(source)
            .to_ip(to)
            .udp(OPEN)
            .build()
    }
}
