//! Killed, stopped, doubled.

use guard_common::testing::packet;
use guard_tests::{
    lab::{Capture, Flood, GuardDaemon, Rate, Wire, until},
    require,
};

use super::scene::{CLOSED, GIVES_UP, Scene};

#[test]
fn killed_under_a_flood_it_leaks_nothing_and_its_successor_goes_on_counting() {
    if !require::root() {
        return;
    }
    let mut scene = Scene::new();
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    let frame = packet().macs(macs.0, macs.1).udp(CLOSED).build();
    let capture = Capture::start(&scene.lab.srv, "eth0");
    let flood = Flood::start(
        Wire::open(&scene.lab.wan, "srv"),
        vec![frame; 1000],
        Rate::PerSecond(100_000),
    );
    until("the flood", || flood.sent() > 20_000);

    scene.daemon.signal(libc::SIGKILL);
    scene.daemon.wait();
    let at_death = flood.sent();
    let before = scene.guard.counted().dropped("udp", CLOSED);
    drop(scene.ask("--status").exit(3).says("no daemon is running"));
    drop(scene.guard.guardctl(&["status"]).ok());
    until("more of the flood", || flood.sent() > at_death + 50_000);
    scene.daemon = GuardDaemon::start(&scene.guard);
    let after = scene.guard.counted().dropped("udp", CLOSED);

    let sent = flood.stop();
    let leaked = capture
        .stop()
        .iter()
        .filter(|seen| !seen.is_outgoing && seen.port() == Some(("udp", CLOSED)))
        .count();
    assert_eq!(leaked, 0, "of {sent}");
    assert!(
        after > before + 40_000,
        "counters went from {before} to {after}"
    );
    println!("0 of {sent} leaked; {before} counted before, {after} after");
    scene.assert_filters();
    drop(scene.ask("--status").ok().says("eth0 protected"));
}

#[test]
fn stopped_it_keeps_no_command_waiting_and_nothing_from_being_enforced() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.daemon.signal(libc::SIGSTOP);

    for what in ["--status", "--reconcile"] {
        let ran = scene.ask(what).exit(12).says("does not answer");
        assert!(ran.took < GIVES_UP, "{ran}");
        let json = scene.guard.guardctl(&["daemon", what, "--json"]).exit(12);
        assert_eq!(json.json()["error"]["exit"], 12);
    }
    scene.assert_filters();
    drop(scene.guard.guardctl(&["status"]).ok());
    drop(scene.guard.guardctl(&["allow", "3000"]).ok());
    drop(scene.guard.guardctl(&["delete", "1"]).ok());
    scene.assert_open_and_closed(3000, 1000);

    scene.daemon.signal(libc::SIGCONT);
    until("it to answer again", || {
        scene.ask("--status").code == Some(0)
    });
}

#[test]
fn stopped_with_a_full_queue_of_callers_it_keeps_none_of_them_for_ever() {
    if !require::root() {
        return;
    }
    const QUEUE: usize = 8;
    const CALLERS: usize = 2 * QUEUE;
    let mut scene = Scene::new();
    drop(scene.ask("--stop").ok());
    scene.daemon.wait();
    scene
        .lab
        .srv
        .sysctl("net/core/somaxconn", &QUEUE.to_string());
    scene.daemon = GuardDaemon::start(&scene.guard);
    scene.daemon.signal(libc::SIGSTOP);
    let path = scene.guard.run().join("control");
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let socket = nonblocking_socket();
        callers.push(socket);
        if !connect(callers.last().expect("just pushed"), &path) {
            break;
        }
    }
    assert!(callers.len() < CALLERS, "the queue never filled");

    let ran = scene.ask("--status").exit(12);

    assert!(ran.took < GIVES_UP, "{ran}");
    scene.daemon.signal(libc::SIGCONT);
    drop(callers);
    until("it to answer again", || {
        scene.ask("--status").code == Some(0)
    });
}

fn nonblocking_socket() -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd as _;
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes integers.
    let descriptor = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just opened, and nobody else's.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(descriptor) }
}

/// `false` when the queue is full.
fn connect(socket: &std::os::fd::OwnedFd, path: &std::path::Path) -> bool {
    use std::os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _};
    // SAFETY: all-zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
        *to = *from as libc::c_char;
    }
    // SAFETY: a live address of the length that is passed, and a descriptor that is open.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    result == 0
}

#[test]
fn there_is_one_daemon_and_a_second_is_told_its_number() {
    if !require::root() {
        return;
    }
    let mut scene = Scene::new();
    let number = scene.daemon.id().to_string();

    let ran = scene.guard.guardctl(&["daemon"]).exit(1);
    drop(ran.says("another daemon is running").says(&number));
    drop(scene.ask("--status").ok().says(&number));

    // The lock ends with the process, however it ends, and a socket that is left over is replaced.
    scene.daemon.signal(libc::SIGKILL);
    scene.daemon.wait();
    assert!(scene.guard.run().join("control").exists());
    let _second = scene.another();
    until("the second to answer", || {
        scene.ask("--status").code == Some(0)
    });
}
