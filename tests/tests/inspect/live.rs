//! What passes because of what has been before: answers, and sessions whose port was closed.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use guard_tests::lab::{Host, UdpEcho};

use super::scene::{CLOSED, OPEN, Scene, question};

/// A port of the friend's.
const ASKED: u16 = 5353;
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn an_answer_passes_as_a_reply_and_nobody_elses() {
    let Some(scene) = Scene::new() else { return };
    let (srv, friend, attacker) = (&scene.lab.srv, &scene.lab.friend, &scene.lab.attacker);
    let _echo = UdpEcho::start(friend, ASKED);
    for (own, other, stranger) in [
        (srv.v4, friend.v4, attacker.v4),
        (srv.v6, friend.v6, attacker.v6),
    ] {
        let socket = ask(srv, other);
        let port = socket.local_addr().expect("an address").port();
        let answer = |from, from_port| {
            let words = question((from, from_port), (own, port), "proto udp");
            (scene.explain(&words), scene.explain_file(&words))
        };

        let (running, file) = answer(other, ASKED);
        assert_eq!(running["action"], "pass", "{running}");
        assert_eq!(running["reason"], "reply", "{running}");
        assert!(running["rule"].is_null(), "{running}");
        // A file knows of no conversation.
        assert_eq!(file["reason"], "default-drop", "{file}");
        for (from, from_port) in [(stranger, ASKED), (other, ASKED + 1)] {
            let (running, _) = answer(from, from_port);
            assert_eq!(running["reason"], "default-drop", "{running}");
        }
    }
}

#[test]
fn a_session_whose_port_was_closed_passes_as_a_live_session() {
    let Some(scene) = Scene::new() else { return };
    let (srv, friend) = (&scene.lab.srv, &scene.lab.friend);
    let mut sessions: Vec<(IpAddr, TcpStream)> = [srv.v4, srv.v6]
        .map(|to| (to, connect(friend, SocketAddr::new(to, OPEN))))
        .into_iter()
        .collect();

    drop(scene.guard.guardctl(&["delete", "1"]).ok());

    for (to, stream) in &mut sessions {
        let local = stream.local_addr().expect("an address");
        let from = (local.ip(), local.port());
        for (flags, reason) in [("ack", "live-session"), ("syn", "default-drop")] {
            let words = question(from, (*to, OPEN), &format!("proto tcp flags {flags}"));
            let answer = scene.explain(&words);
            assert_eq!(answer["reason"], reason, "{words}: {answer}");
        }
        // Another segment to the same port is none of that session.
        for (port, from_port) in [(OPEN, from.1 ^ 1), (CLOSED, from.1)] {
            let words = question((from.0, from_port), (*to, port), "proto tcp flags ack");
            let answer = scene.explain(&words);
            assert_eq!(answer["reason"], "default-drop", "{words}: {answer}");
        }
        assert!(says(stream), "the session over {to} is dead");
    }
}

/// The server asks, the friend answers.
fn ask(srv: &Host, to: IpAddr) -> UdpSocket {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = srv.run(|| UdpSocket::bind((any, 0))).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.connect((to, ASKED)).expect("a route");
    socket.send(b"ping").expect("a way out");
    let mut answer = [0; 8];
    assert_eq!(socket.recv(&mut answer).expect("an answer"), 4);
    socket
}

fn connect(from: &Host, to: SocketAddr) -> TcpStream {
    let stream = from.run(|| TcpStream::connect_timeout(&to, PATIENCE));
    let mut stream = stream.expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    assert!(says(&mut stream));
    stream
}

/// A word and its echo.
fn says(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    stream.write_all(b"ping").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"ping"
}
