//! Sessions that begin in other ways than most: with data in the SYN, from both ends at once, with one of several
//! processes that share a port.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{FromRawFd as _, IntoRawFd as _},
    thread,
    time::Duration,
};

use guard_tests::{
    lab::{Background, Flood, Folder, Host, Namespace, Rate, Sources, Wire, finish, until, within},
    require,
};
use socket2::{Domain, Socket, Type};

use super::scene::{NONE, OPEN, PATIENCE, Scene, Where, alone, in_both_places, set_patience};

fn set_option(socket: &impl std::os::fd::AsRawFd, option: libc::c_int, value: libc::c_int) {
    // SAFETY: a live descriptor, and an integer with its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "option {option}");
}

/// A number of the kernel's own about TCP inside.
fn counted(host: &Namespace, name: &str) -> u64 {
    let table = host.run(|| fs::read_to_string("/proc/thread-self/net/netstat"));
    let table = table.expect("counters");
    let mut lines = table.lines().filter(|line| line.starts_with("TcpExt:"));
    let mut words = || lines.next().unwrap_or_default().split(' ');
    let (names, numbers) = (words(), words());
    let found = names.zip(numbers).find(|(its, _)| *its == name);
    let number = found.and_then(|(_, number)| number.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {table}"))
}

#[test]
fn data_in_a_syn_is_answered_at_once() {
    const ANSWER: usize = 200_000;
    in_both_places(|place, scene| {
        scene.server().sysctl("net/ipv4/tcp_fastopen", "3");
        scene.lab.friend.sysctl("net/ipv4/tcp_fastopen", "3");
        scene.enable(NONE);
        let listener = scene.listen();
        set_option(&listener, libc::TCP_FASTOPEN, 16);
        let server = thread::spawn(move || {
            for _ in 0..8 {
                let (mut stream, _) = listener.accept().expect("a client");
                set_patience(&stream);
                let mut question = [0; 5];
                stream.read_exact(&mut question).expect("a question");
                stream.write_all(&[7; ANSWER]).expect("a client");
            }
        });
        // The first of each family learns its cookie.
        for _ in 0..4 {
            for to in scene.addresses() {
                let mut stream = fast_connect(&scene.lab.friend, to);
                stream.write_all(b"hello").expect("a connection");
                let mut answer = vec![0; ANSWER];
                stream.read_exact(&mut answer).expect("an answer");
            }
        }
        server.join().expect("a server");
        let fast = counted(scene.server(), "TCPFastOpenPassive");
        assert_eq!(fast, 6, "{place:?}: connections with data in their SYN");
        scene.assert_unharmed();
    });
}

/// A socket whose SYN leaves with the first data.
fn fast_connect(host: &Host, to: SocketAddr) -> TcpStream {
    let socket = host.run(|| Socket::new(Domain::for_address(to), Type::STREAM, None));
    let socket = socket.expect("a socket");
    set_option(&socket, libc::TCP_FASTOPEN_CONNECT, 1);
    socket.connect(&to.into()).expect("a promise");
    let stream = TcpStream::from(socket);
    set_patience(&stream);
    stream
}

/// Neither end listens: both ask, and the SYNs cross. What the router holds back are the resets of whoever is asked
/// first, which would end it.
#[test]
fn two_ends_that_ask_each_other_at_once_have_a_session() {
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    for program in ["iptables", "ip6tables"] {
        let mut command = scene.lab.wan.command(program);
        command.args("-A FORWARD -p tcp --tcp-flags RST RST -j DROP".split(' '));
        drop(finish(&mut command, PATIENCE).ok());
    }
    scene.enable(NONE);
    for (is_first, port) in [(true, 41_000), (false, 41_001)] {
        for (own, other) in [
            (scene.lab.srv.v4, scene.lab.friend.v4),
            (scene.lab.srv.v6, scene.lab.friend.v6),
        ] {
            let (own, other) = (SocketAddr::new(own, OPEN), SocketAddr::new(other, port));
            let server = || asks_for(&scene.lab.srv, own, other);
            let friend = || asks_for(&scene.lab.friend, other, own);
            let ends = if is_first {
                let server = server();
                [server, friend()]
            } else {
                let friend = friend();
                [server(), friend]
            };
            let [mut server, mut friend] = ends.map(established);
            for _ in 0..3 {
                let mut bytes = [0; 4];
                server.write_all(b"ping").expect("a session");
                friend.read_exact(&mut bytes).expect("a session");
                friend.write_all(b"pong").expect("a session");
                server.read_exact(&mut bytes).expect("a session");
            }
        }
    }
    scene.assert_unharmed();
}

/// A socket that asks; its SYN is on its way.
fn asks_for(host: &Host, own: SocketAddr, other: SocketAddr) -> Socket {
    let socket = host.run(|| Socket::new(Domain::for_address(own), Type::STREAM, None));
    let socket = socket.expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket.bind(&own.into()).expect("its port");
    socket.set_nonblocking(true).expect("a socket");
    let asked = socket.connect(&other.into());
    assert!(asked.is_err(), "{own} has a session with {other} at once");
    thread::sleep(Duration::from_millis(50));
    socket
}

#[track_caller]
fn established(socket: Socket) -> TcpStream {
    let answered = within(PATIENCE, || socket.peer_addr().ok());
    let error = socket.take_error();
    assert!(answered.is_some(), "no session: {error:?}");
    // SAFETY: the descriptor has just been given up by its owner.
    let stream = unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) };
    stream.set_nonblocking(false).expect("a socket");
    set_patience(&stream);
    stream
}

/// Answers every connection with the number of its process.
const SERVER: &str = "
import os, socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('::', int(sys.argv[1])))
s.listen(32)
print('listening', flush=True)
while True:
    c, _ = s.accept()
    try:
        c.settimeout(0.5)
        if c.recv(5):
            c.sendall(b'%10d' % os.getpid())
    except OSError:
        pass
    c.close()
";

#[test]
fn processes_that_share_a_port_answer_each_of_their_clients_in_floods_too() {
    const CLIENTS: usize = 40;
    if !require::program("python3") {
        return;
    }
    let Some(scene) = Scene::new(Where::Here) else {
        return;
    };
    let _alone = alone();
    let folder = Folder::new();
    let servers: Vec<Background> = (0..4)
        .map(|number| {
            let mut python = scene.lab.srv.command("python3");
            python.args(["-c", SERVER, &OPEN.to_string()]);
            Background::start(&mut python, folder.join(&format!("{number}.log")))
        })
        .collect();
    until("four listeners", || {
        servers
            .iter()
            .all(|server| server.said().contains("listening"))
    });
    // Native XDP on this kind of cable sends answers only to whoever runs an XDP program, too; no such program takes
    // frames of this size.
    for (host, interface) in [
        (&scene.lab.wan, "srv"),
        (&scene.lab.wan, "srv1"),
        (&*scene.lab.srv, "eth0"),
        (&*scene.lab.srv, "eth1"),
    ] {
        host.ip(&format!("link set {interface} mtu 9000"));
    }
    scene.enable(NONE);
    let ask = |number: usize| {
        let to = scene.addresses()[number % 2];
        let mut stream = scene.connect(to);
        stream.write_all(b"hello").expect("a connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let mut processes: Vec<String> = (0..CLIENTS).map(ask).collect();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 4, "{processes:?}");
    scene.assert_unharmed();

    let flood = Flood::start(
        Wire::open(&scene.lab.wan, "srv"),
        scene.lab.forged_syns(OPEN, Sources::Everywhere),
        Rate::Unlimited,
    );
    let answered = || scene.guard.counted().reason("syn-cookie");
    let acts = within(PATIENCE, || (answered() > 10_000).then_some(()));
    assert!(acts.is_some(), "{:?}", scene.guard.counted().table());
    (0..CLIENTS).map(ask).for_each(drop);
    drop(flood);
}
