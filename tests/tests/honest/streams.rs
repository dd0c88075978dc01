//! Sessions that live in other ways than by questions and answers: one end has said its last, or says nothing for
//! longer than an entry lives; the same ends begin anew; they were there before guard.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use aya::maps::MapData;
use guard_common::abi::{
    ceiling_map,
    flow::{BUCKET_WORDS, BUCKETS, WAYS},
    names,
};
use guard_tests::lab::{Instance, within};
use guard_user::dataplane::tables::mapping::Mapping;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use super::scene::{NONE, PATIENCE, Scene, USUAL, in_both_places, set_patience};

/// What one end sends after the other has sent its last byte.
const CHUNKS: usize = 80;
const CHUNK: usize = 8192;
const PAUSE: Duration = Duration::from_millis(20);

/// Sends for a while.
fn go_on(stream: &mut TcpStream) {
    for number in 0..CHUNKS {
        stream
            .write_all(&[number as u8; CHUNK])
            .expect("an open way");
        thread::sleep(PAUSE);
    }
}

fn everything(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end of stream");
    bytes.len()
}

/// A session of which one end has said its last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The client has, and is answered for long.
    Download = b'd' as isize,
    /// The server has, and is sent to for long.
    Upload = b'u' as isize,
}

/// Such sessions in each family; `meanwhile` happens when they are half closed.
pub(crate) fn half_closed(scene: &Scene, kinds: &[Half], meanwhile: impl FnOnce()) {
    let server = scene.serve(2 * kinds.len(), |mut stream| {
        let mut kind = [0];
        stream.read_exact(&mut kind).expect("a question");
        if kind[0] == Half::Download as u8 {
            assert_eq!(everything(&mut stream), 0);
            thread::sleep(Duration::from_millis(500));
            go_on(&mut stream);
            0
        } else {
            stream.write_all(b"send").expect("an answer");
            stream.shutdown(Shutdown::Write).expect("a last word");
            everything(&mut stream)
        }
    });
    let mut sessions: Vec<(TcpStream, Half)> = Vec::new();
    for kind in kinds {
        for to in scene.addresses() {
            let mut stream = scene.connect(to);
            stream.write_all(&[*kind as u8]).expect("a question");
            match kind {
                Half::Download => stream.shutdown(Shutdown::Write).expect("a last word"),
                Half::Upload => assert_eq!(everything(&mut stream), 4),
            }
            sessions.push((stream, *kind));
        }
    }
    meanwhile();
    thread::scope(|scope| {
        for (stream, kind) in &mut sessions {
            scope.spawn(|| match kind {
                Half::Download => assert_eq!(everything(stream), CHUNKS * CHUNK),
                Half::Upload => {
                    go_on(stream);
                    stream.shutdown(Shutdown::Write).expect("a last word");
                }
            });
        }
    });
    for taken in server.join().expect("servers") {
        assert!(taken == 0 || taken == CHUNKS * CHUNK, "{taken} bytes");
    }
}

const BOTH: [Half; 2] = [Half::Download, Half::Upload];

#[test]
fn whoever_has_said_his_last_word_goes_on_listening() {
    in_both_places(|_, scene| {
        scene.enable(NONE);
        half_closed(scene, &BOTH, || ());
        scene.assert_unharmed();
    });
}

/// Lets every entry of the flow table be older by so many seconds, in which others have overwritten what was noted of
/// handshakes. How many entries there were.
pub(crate) fn age(guard: &Instance, seconds: u32) -> usize {
    const TICK: u64 = u32::MAX as u64;
    let flows = shared(guard, names::FLOWS, BUCKETS as usize * BUCKET_WORDS);
    let mut aged = 0;
    for bucket in 0..BUCKETS as usize {
        for way in 0..WAYS {
            let tag = bucket * BUCKET_WORDS + way;
            let state = tag + WAYS;
            if flows.load(tag) != 0 {
                let word = flows.load(state);
                let tick = (word as u32).wrapping_sub(seconds);
                flows.store(state, word & !TICK | u64::from(tick));
                aged += 1;
            }
        }
    }
    let ceilings = shared(guard, names::CEILINGS, ceiling_map::WORDS as usize);
    for number in 0..ceiling_map::HANDSHAKES {
        ceilings.store((ceiling_map::HANDSHAKES_FIRST + number) as usize, 0);
    }
    aged
}

/// A table of guard's, which has so many words.
fn shared(guard: &Instance, name: &str, words: usize) -> Mapping {
    let pin = find(&guard.bpffs(), name).expect("its pin");
    let map = MapData::from_pin(&pin).expect("a map");
    Mapping::new(map.fd().as_fd(), words).expect("shared memory")
}

/// The pin of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find_map(|path| {
        if path.is_dir() {
            find(&path, name)
        } else {
            path.ends_with(name).then_some(path)
        }
    })
}

/// Longer than any entry of TCP lives, with a margin for ticks that are a little longer than a second.
pub(crate) const FOR_EVER: u32 = 9 * 3600;

#[test]
fn half_closed_sessions_outlive_their_entries() {
    in_both_places(|_, scene| {
        scene.enable(USUAL);
        half_closed(scene, &BOTH, || assert!(age(&scene.guard, FOR_EVER) >= 4));
        assert_eq!(scene.guard.counted().reason("out-of-state"), 0);
    });
}

#[test]
fn keep_alives_of_a_session_that_was_silent_for_hours_are_answered() {
    in_both_places(|_, scene| {
        scene.enable(USUAL);
        let server = scene.serve(2, echo);
        let mut sessions: Vec<TcpStream> = scene
            .addresses()
            .into_iter()
            .map(|to| {
                let mut stream = scene.connect(to);
                asks(&mut stream);
                let often = TcpKeepalive::new()
                    .with_time(Duration::from_secs(1))
                    .with_interval(Duration::from_secs(1))
                    .with_retries(2);
                SockRef::from(&stream)
                    .set_tcp_keepalive(&often)
                    .expect("keep-alives");
                stream
            })
            .collect();
        assert!(age(&scene.guard, FOR_EVER) >= 2);
        // Three that are not answered end a session.
        thread::sleep(Duration::from_millis(4500));
        sessions.iter_mut().for_each(asks);
        drop(sessions);
        server.join().expect("servers");
        assert_eq!(scene.guard.counted().reason("out-of-state"), 0);
    });
}

pub(crate) fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..length]).expect("a client");
    }
}

pub(crate) fn asks(stream: &mut TcpStream) {
    let mut answer = [0; 5];
    stream.write_all(b"hello").expect("a session");
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"hello");
}

/// Which end says its last word first, and so remembers the session for a minute.
#[derive(Clone, Copy)]
enum First {
    Server,
    Client,
}

#[test]
fn the_same_ends_begin_anew_while_one_remembers_the_session_before() {
    const TIMES: usize = 3;
    in_both_places(|_, scene| {
        scene.lab.friend.sysctl("net/ipv4/tcp_tw_reuse", "1");
        scene.enable(NONE);
        for (port, first) in [(40_001, First::Server), (40_002, First::Client)] {
            let server = scene.serve(2 * TIMES, move |mut stream| {
                let mut question = [0; 5];
                stream.read_exact(&mut question).expect("a question");
                stream.write_all(&question).expect("a client");
                if let First::Client = first {
                    assert_eq!(everything(&mut stream), 0);
                }
            });
            for _ in 0..TIMES {
                for to in scene.addresses() {
                    let mut stream = connect_from(scene, port, to);
                    asks(&mut stream);
                    if let First::Server = first {
                        assert_eq!(everything(&mut stream), 0);
                    }
                }
                // A second later its timestamps are newer.
                thread::sleep(Duration::from_millis(1100));
            }
            server.join().expect("servers");
        }
        scene.assert_unharmed();
    });
}

/// A connection from a port that may still be remembered.
#[track_caller]
fn connect_from(scene: &Scene, port: u16, to: SocketAddr) -> TcpStream {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = scene
        .lab
        .friend
        .run(|| Socket::new(Domain::for_address(to), Type::STREAM, None))
        .expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket
        .bind(&SocketAddr::new(any, port).into())
        .expect("its port");
    let connected = within(PATIENCE, || {
        socket.connect_timeout(&to.into(), PATIENCE).ok()
    });
    assert!(connected.is_some(), "{port} to {to}");
    let stream = TcpStream::from(socket);
    set_patience(&stream);
    stream
}

#[test]
fn downloads_that_are_older_than_guard_go_on() {
    in_both_places(|_, scene| {
        half_closed(scene, &[Half::Download], || {
            scene.enable(NONE);
            // Only an answer shows that answers leave by a guarded interface.
            for to in scene.addresses() {
                let connect = || TcpStream::connect_timeout(&to, PATIENCE);
                drop(scene.lab.friend.run(connect).expect("an answer"));
            }
        });
        scene.assert_unharmed();
    });
}
