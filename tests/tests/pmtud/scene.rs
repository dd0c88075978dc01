//! A web server whose clients live behind a narrow link.

use guard_tests::{
    lab::{Counted, Instance, Namespace, Nginx, Topology},
    require,
};

/// MTU of the link in the middle.
pub(crate) const NARROW: u32 = 1300;

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _site: Nginx,
    _far: Namespace,
    pub(crate) lab: Topology,
}

impl Scene {
    /// With guard on and port 80 open. `None` when something is missing on this machine.
    pub(crate) fn new() -> Option<Self> {
        if !require::root() || !require::programs(&["nginx", "curl"]) {
            return None;
        }
        let lab = Topology::new();
        let scene = Self {
            _far: lab.narrow(NARROW),
            guard: Instance::new(&lab.srv),
            _site: Nginx::start(&lab.srv),
            lab,
        };
        Some(scene)
    }

    pub(crate) fn enable(&self) {
        for words in [
            &["allow", "80/tcp"][..],
            &["allow", "8080/tcp"],
            &["enable", "--iface", "eth0"],
        ] {
            drop(self.guard.guardctl(words).ok());
        }
    }

    /// Errors so far that were believed, and that were not.
    pub(crate) fn errors(&self) -> (u64, u64) {
        let counted: Counted = self.guard.counted();
        (
            counted.reason("icmp-related"),
            counted.reason("icmp-unrelated"),
        )
    }
}
