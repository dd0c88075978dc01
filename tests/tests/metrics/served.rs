//! The daemon serves metrics where the policy says, and nobody who connects there holds it up.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{GuardDaemon, until},
    require,
};

use super::scene::Scene;

const PORT: &str = "127.0.0.1:9977";
const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn policy(listen: &str) -> String {
    format!("[metrics]\nlisten = \"{listen}\"\n")
}

/// What is answered at the port; nothing, when nobody is there.
fn at_port(scene: &Scene) -> String {
    let address: SocketAddr = PORT.parse().expect("an address");
    scene
        .lab
        .srv
        .run(|| TcpStream::connect(address).map(ask).unwrap_or_default())
}

fn ask(mut stream: impl std::io::Read + std::io::Write) -> String {
    let mut answer = String::new();
    stream.write_all(GET).unwrap_or_default();
    stream.read_to_string(&mut answer).unwrap_or_default();
    answer
}

#[test]
fn metrics_are_served_where_the_policy_says_and_nowhere_else() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let daemon = GuardDaemon::start(&scene.guard);
    let listeners = || {
        let listed = scene.lab.srv.command("ss").args(["-Hltun"]).output();
        String::from_utf8_lossy(&listed.expect("ss").stdout).into_owned()
    };
    assert!(!listeners().contains(":9977"), "{}", listeners());

    let socket = scene.guard.run().join("metrics");
    let interfaces = "interfaces = [\"eth0\"]\n";
    scene
        .guard
        .write_policy(&format!("{interfaces}{}", policy(PORT)));
    assert_eq!(at_port(&scene), "", "not before it is in force");
    drop(scene.guard.guardctl(&["reload"]).ok());
    until("the port to answer", || {
        at_port(&scene).contains("\nguard_active 1.0\n")
    });
    assert!(listeners().contains("127.0.0.1:9977"), "{}", listeners());

    let path = format!("unix:{}", socket.display());
    scene
        .guard
        .write_policy(&format!("{interfaces}{}", policy(&path)));
    drop(scene.guard.guardctl(&["reload"]).ok());
    until("the socket to answer", || {
        UnixStream::connect(&socket)
            .is_ok_and(|stream| ask(stream).contains("\nguard_active 1.0\n"))
    });
    assert_eq!(at_port(&scene), "");
    let mode = std::fs::metadata(&socket)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);

    scene.guard.write_policy(interfaces);
    drop(scene.guard.guardctl(&["reload"]).ok());
    until("the socket to go", || !socket.exists());
    drop(daemon);

    for bad in ["0.0.0.0:9977", "192.0.2.1:9977", "unix:metrics"] {
        scene
            .guard
            .write_policy(&format!("{interfaces}{}", policy(bad)));
        drop(scene.guard.guardctl(&["check"]).exit(5).says(bad));
    }
}

#[test]
fn a_port_in_use_is_said_and_taken_when_it_is_free() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled(&policy(PORT));
    let address: SocketAddr = PORT.parse().expect("an address");
    let other = scene
        .lab
        .srv
        .run(|| TcpListener::bind(address))
        .expect("the port");
    let daemon = GuardDaemon::start(&scene.guard);
    until("the daemon to say so", || {
        daemon.said().contains("another program listens there")
    });
    drop(other);
    until("the port to answer", || {
        at_port(&scene).contains("guard_active")
    });
}

#[test]
fn a_thousand_connections_that_say_nothing_hold_up_neither_daemon_nor_metrics() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled(&policy(PORT));
    let _daemon = GuardDaemon::start(&scene.guard);
    until("the port to answer", || {
        at_port(&scene).contains("guard_active")
    });
    let address: SocketAddr = PORT.parse().expect("an address");
    let idle: Vec<TcpStream> = scene.lab.srv.run(|| {
        let connected = (0..900).filter_map(|_| TcpStream::connect(address).ok());
        connected
            .map(|mut stream| {
                stream.write_all(b"GET /metrics HT").unwrap_or_default();
                stream
            })
            .collect()
    });
    assert!(idle.len() > 800, "{}", idle.len());

    let began = Instant::now();
    drop(
        scene
            .guard
            .guardctl(&["daemon", "--status"])
            .ok()
            .says("eth0 protected"),
    );
    drop(scene.guard.guardctl(&["daemon", "--reconcile"]).ok());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    scene.send(2);
    until("the datagrams to be counted", || {
        scene.dropped(&scene.stats(&[])) == 4
    });
    until("the port to answer again", || {
        at_port(&scene).contains("guard_active")
    });
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    drop(idle);
}
