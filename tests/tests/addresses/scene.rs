//! A server without any address, guard on it, and the router at the other end of its cable.

use std::time::Duration;

use guard_tests::{
    lab::{Instance, Namespace, unique_prefix, within},
    require,
};

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) srv: Namespace,
    pub(crate) router: Namespace,
}

impl Scene {
    /// `None` when something is missing on this machine.
    pub(crate) fn new(programs: &[&str]) -> Option<Self> {
        if !require::root() || !require::programs(programs) {
            return None;
        }
        let prefix = unique_prefix();
        let srv = Namespace::new(format!("{prefix}-srv"));
        let router = Namespace::new(format!("{prefix}-router"));
        router.sysctl("net/ipv6/conf/all/forwarding", "1");
        srv.sysctl("net/ipv6/conf/default/accept_ra", "1");
        router.ip_batch(&format!(
            "link add lan type veth peer name eth0 netns {}\n\
             addr add 192.0.2.254/24 dev lan\n\
             addr add 2001:db8:2::fe/64 dev lan nodad\n\
             addr add fe80::fe/64 dev lan nodad\n\
             link set lan up\n",
            srv.name()
        ));
        let scene = Self {
            guard: Instance::new(&srv),
            srv,
            router,
        };
        drop(scene.guard.guardctl(&["enable", "--iface", "eth0"]).ok());
        scene.srv.ip("link set eth0 up");
        Some(scene)
    }

    /// Addresses and routes of the server, as `ip` tells them.
    pub(crate) fn configuration(&self) -> String {
        self.srv.ip("addr show dev eth0") + &self.srv.ip("-6 route show default")
    }

    /// Waits until they have this in them.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        const PATIENCE: Duration = Duration::from_secs(20);
        let has = || self.configuration().contains(text).then_some(());
        let found = within(PATIENCE, has);
        assert!(found.is_some(), "no {text:?} in\n{}", self.configuration());
    }

    #[track_caller]
    pub(crate) fn expect_reason(&self, name: &str) {
        let counted = self.guard.counted();
        assert!(
            counted.reason(name) > 0,
            "no {name} in {:?}",
            counted.table()
        );
    }
}
