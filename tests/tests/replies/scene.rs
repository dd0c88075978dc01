//! A server that opens no port at all, and a friend who offers names, pages, the time and an echo.

use guard_tests::{
    lab::{Dnsmasq, Instance, Nginx, TcpEcho, Topology, UdpEcho},
    require,
};

/// Port of an echo, over TCP and UDP.
pub(crate) const ECHO: u16 = 7844;
/// Port of the clock.
pub(crate) const TIME: u16 = 123;

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _servers: (Nginx, Dnsmasq, [UdpEcho; 2], TcpEcho),
    pub(crate) lab: Topology,
}

impl Scene {
    /// With guard on. `None` when something is missing on this machine.
    pub(crate) fn new() -> Option<Self> {
        if !require::root() || !require::programs(&["dig", "dnsmasq", "nginx", "curl"]) {
            return None;
        }
        let lab = Topology::new();
        let scene = Self {
            guard: Instance::new(&lab.srv),
            _servers: (
                Nginx::start(&lab.friend),
                Dnsmasq::names(&lab.friend),
                [ECHO, TIME].map(|port| UdpEcho::start(&lab.friend, port)),
                TcpEcho::start(&lab.friend, ECHO),
            ),
            lab,
        };
        Some(scene)
    }

    pub(crate) fn enable(&self) {
        drop(self.guard.guardctl(&["enable", "--iface", "eth0"]).ok());
    }
}
