//! Answers that leave by another interface than the questions come by.

use guard_common::packet::TcpFlags;
use guard_tests::lab::{Flood, Rate, Sources, TcpEcho, Wire, within};

use crate::scene::{NONE, OPEN, PATIENCE, Place, Scene, alone};

/// Connections, new ones and one that goes on.
const CONNECTIONS: usize = 10;

impl Scene {
    /// Whatever comes does so by eth0; what the server sends leaves by eth1.
    pub(crate) fn come_by_one_and_leave_by_the_other(&self) {
        for family in ["-4", "-6"] {
            self.lab.wan.ip(&format!("{family} rule del iif friend"));
        }
        for (host, name) in [
            (&*self.lab.srv, "eth0"),
            (&*self.lab.srv, "eth1"),
            (&self.lab.wan, "srv1"),
        ] {
            for which in ["all", name] {
                host.sysctl(&format!("net/ipv4/conf/{which}/rp_filter"), "0");
            }
        }
        self.lab.srv.ip("route replace default via 192.0.3.254");
        self.lab
            .srv
            .ip("-6 route replace default via 2001:db8:3::fe");
    }

    #[track_caller]
    fn assert_answers(&self) {
        let mut sessions: Vec<_> = self.addresses().map(|to| self.connect(to)).into();
        for _ in 0..CONNECTIONS {
            for to in self.addresses() {
                let took = self.lab.friend.time_tcp(to.ip(), OPEN);
                assert!(took.is_some(), "{to}");
            }
            sessions.iter_mut().for_each(crate::streams::asks);
        }
    }
}

#[test]
fn answers_that_leave_by_another_protected_interface_make_sessions() {
    let Some(scene) = Scene::new(Place::Here) else {
        return;
    };
    scene.come_by_one_and_leave_by_the_other();
    let _echo = TcpEcho::start(scene.server(), OPEN);
    scene.enable(NONE);
    scene.assert_answers();
    scene.assert_unharmed();
}

#[test]
fn sessions_whose_answers_leave_by_an_unprotected_interface_are_not_cut() {
    let Some(scene) = Scene::new(Place::Here) else {
        return;
    };
    let _alone = alone();
    scene.come_by_one_and_leave_by_the_other();
    let _echo = TcpEcho::start(scene.server(), OPEN);
    scene.enable_on(NONE, &["eth0"]);
    scene.assert_answers();
    // Nobody can tell them from a flood there, so the flood passes, too.
    let frames = scene
        .lab
        .forged_segments(OPEN, Sources::Everywhere, TcpFlags::ACK, 0);
    let wire = Wire::open(&scene.lab.wan, "srv");
    let flood = Flood::start(wire, frames, Rate::PerSecond(5000));
    let passes = within(PATIENCE, || (flood.sent() > 2000).then_some(()));
    assert!(passes.is_some(), "a slow flood");
    scene.assert_answers();
    drop(flood);
    assert_eq!(scene.guard.counted().reason("out-of-state"), 0);
}
