//! Answers that leave by another interface than the questions come by.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

use guard_common::packet::TcpFlags;
use guard_tests::lab::{Flood, Rate, Sources, TcpEcho, Wire, finish, within};
use socket2::{Domain, Socket, Type};

use super::scene::{NONE, OPEN, PATIENCE, Scene, Where, acks, alone};

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
            sessions.iter_mut().for_each(super::streams::asks);
        }
    }
}

#[test]
fn answers_that_leave_by_another_protected_interface_make_sessions() {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    scene.come_by_one_and_leave_by_the_other();
    let _echo = TcpEcho::start(scene.server(), OPEN);
    scene.enable(NONE);
    let _session = scene.connect(scene.addresses()[0]);
    scene.assert_answers();
    let status = scene.guard.guardctl(&["status"]).ok().stderr;
    assert!(!status.contains("answers leave by"), "{status}");
    scene.assert_unharmed();
}

#[test]
fn sessions_whose_answers_leave_by_an_unprotected_interface_are_not_cut() {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    let _alone = alone();
    scene.come_by_one_and_leave_by_the_other();
    let _echo = TcpEcho::start(scene.server(), OPEN);
    scene.enable_on(NONE, &["eth0"]);
    // An interface that strangers can come by is not guarded.
    let said = || scene.guard.guardctl(&["status"]).exit(8).stderr;
    let warning = format!("port {OPEN}: answers leave by an interface that guard does not protect");
    assert!(!said().contains(&warning), "{}", said());
    let mut session = scene.connect(scene.addresses()[0]);
    super::streams::asks(&mut session);
    assert!(said().contains(&warning), "{}", said());
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

/// A transparent proxy: the router leads whole networks to this host, and a listener on another address and port
/// takes what they are asked, with the address that was asked for.
#[test]
fn a_transparent_proxy_answers_for_addresses_that_this_host_does_not_have() {
    const PROXY: u16 = 50_080;
    const IP_TRANSPARENT: libc::c_int = 19;
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    let _alone = alone();
    let lab = &scene.lab;
    let elsewhere: SocketAddr = SocketAddr::new([100, 64, 0, 9].into(), OPEN);
    lab.wan.ip("route add 100.64.0.0/24 via 192.0.3.1");
    lab.srv.ip("rule add fwmark 1 lookup 200");
    lab.srv.ip("route add local default dev lo table 200");
    for which in ["all", "eth1"] {
        lab.srv
            .sysctl(&format!("net/ipv4/conf/{which}/rp_filter"), "0");
    }
    let rule = format!(
        "-t mangle -A PREROUTING -d 100.64.0.0/24 -p tcp --dport {OPEN} -j TPROXY --on-ip 127.0.0.1 --on-port {PROXY} --tproxy-mark 1"
    );
    let mut iptables = lab.srv.command("iptables");
    drop(finish(iptables.args(rule.split(' ')), PATIENCE).ok());
    let socket = lab
        .srv
        .run(|| Socket::new(Domain::IPV4, Type::STREAM, None))
        .expect("a socket");
    let on: libc::c_int = 1;
    // SAFETY: a live descriptor, and an integer with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_TRANSPARENT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "a transparent socket");
    let proxy: SocketAddr = SocketAddr::new([127, 0, 0, 1].into(), PROXY);
    socket.bind(&proxy.into()).expect("its port");
    socket.listen(64).expect("a listener");
    let listener = TcpListener::from(socket);
    let server = thread::spawn(move || {
        for _ in 0..1 + CONNECTIONS {
            let (stream, _) = listener.accept().expect("a client");
            assert_eq!(stream.local_addr().ok(), Some(elsewhere));
            thread::spawn(move || super::streams::echo(stream));
        }
    });
    scene.enable(NONE);
    let mut session = scene.connect(elsewhere);
    super::streams::asks(&mut session);
    assert_eq!(scene.guard.counted().reason("out-of-state"), 0);
    let flood = acks(lab, &scene.guard);
    for _ in 0..CONNECTIONS {
        let took = lab.friend.time_tcp(elsewhere.ip(), OPEN);
        assert!(
            took.is_some_and(|took| took < Duration::from_secs(1)),
            "{took:?}"
        );
        super::streams::asks(&mut session);
    }
    drop(flood);
    server.join().expect("a proxy");
}
