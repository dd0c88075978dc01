//! Asking a port as a client would, and telling the ways in which it may answer.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use super::Namespace;

/// A lost SYN is sent again after a second; silence is what lasts longer.
const TCP_PATIENCE: Duration = Duration::from_millis(1300);
const UDP_PATIENCE: Duration = Duration::from_millis(250);
const UDP_TRIES: usize = 3;

/// How a port answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An echo server returned what was sent.
    Echo,
    /// The host said that nobody listens.
    Refused,
    /// Nothing at all.
    Silence,
}

/// Longest that an honest client waits for a connection, and for an answer over it.
const LONGEST: Duration = Duration::from_secs(5);

impl Namespace {
    /// How long it takes to connect to an echo server and to be answered; `None` when it fails within five
    /// seconds, or is not answered as it should.
    #[must_use]
    pub fn time_tcp(&self, to: IpAddr, port: u16) -> Option<Duration> {
        self.run(|| {
            let begun = Instant::now();
            let mut stream =
                TcpStream::connect_timeout(&SocketAddr::new(to, port), LONGEST).ok()?;
            stream.set_read_timeout(Some(LONGEST)).ok()?;
            stream.write_all(b"hello").ok()?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).ok()?;
            (answer == *b"hello").then(|| begun.elapsed())
        })
    }

    /// Asks an echo server over TCP.
    ///
    /// # Panics
    /// When the kernel answers in another way than [`Answer`] knows.
    #[must_use]
    pub fn ask_tcp(&self, to: IpAddr, port: u16) -> Answer {
        self.run(|| answer(echo_tcp(SocketAddr::new(to, port))))
    }

    /// Asks an echo server over UDP.
    ///
    /// # Panics
    /// As [`Namespace::ask_tcp`].
    #[must_use]
    pub fn ask_udp(&self, to: IpAddr, port: u16) -> Answer {
        self.run(|| answer(echo_udp(SocketAddr::new(to, port))))
    }
}

/// Asks echo servers over UDP, all at once: silence takes its time, and so all of them keep it together.
///
/// # Panics
/// As [`Namespace::ask_udp`].
#[must_use]
pub fn ask_all<const N: usize>(questions: [(&Namespace, IpAddr, u16); N]) -> [Answer; N] {
    thread::scope(|scope| {
        questions
            .map(|(from, to, port)| scope.spawn(move || from.ask_udp(to, port)))
            .map(|asked| asked.join().expect("a question"))
    })
}

fn answer(outcome: io::Result<()>) -> Answer {
    let Err(error) = outcome else {
        return Answer::Echo;
    };
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        return Answer::Refused;
    }
    let is_silence = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock].contains(&kind);
    assert!(is_silence, "a probe failed: {error}");
    Answer::Silence
}

fn echo_tcp(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, TCP_PATIENCE)?;
    stream.set_read_timeout(Some(TCP_PATIENCE))?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"ping", "what {to} answered");
    Ok(())
}

fn echo_udp(to: SocketAddr) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(UDP_PATIENCE))?;
    let mut outcome = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..UDP_TRIES {
        socket.send(b"ping")?;
        let mut buffer = [0; 16];
        outcome = socket.recv(&mut buffer).map(|length| {
            assert_eq!(&buffer[..length], b"ping", "what {to} answered");
        });
        if answer_is_final(&outcome) {
            break;
        }
    }
    outcome
}

fn answer_is_final(outcome: &io::Result<()>) -> bool {
    let silent = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
    !matches!(outcome, Err(error) if silent.contains(&error.kind()))
}
