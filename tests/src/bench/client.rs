//! The honest client: as many requests as a few connections can do, each timed.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::cpus;
use crate::lab::{Namespace, Nginx};

/// Connections at a time.
const CONNECTIONS: usize = 8;
/// Requests over one connection, then a new one is made.
const REQUESTS: usize = 20;
/// A page that takes longer is no page.
const PATIENCE: Duration = Duration::from_secs(1);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n";

/// What the client got done.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// How long each answered request took, the first of a connection with the handshake, sorted.
    pub answered: Vec<Duration>,
    /// Requests and connections without an answer.
    pub failed: u64,
}

impl Work {
    /// The time within which this share of all requests was answered; those that never were count as
    /// the longest.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let asked = self.answered.len() + self.failed as usize;
        let place = (asked as f64 * share) as usize;
        self.answered.get(place).copied().unwrap_or(PATIENCE)
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Clients(Vec<JoinHandle<Work>>);

impl Clients {
    /// Begins to ask, until `length` has passed.
    #[must_use]
    pub fn start(host: &Namespace, server: SocketAddr, length: Duration) -> Self {
        let end = Instant::now() + length;
        let one = |_| {
            host.spawn(move || {
                cpus::pin(cpus::sender());
                cpus::wake_promptly();
                ask(server, end)
            })
        };
        Self((0..CONNECTIONS).map(one).collect())
    }

    /// Waits for all of them.
    ///
    /// # Panics
    /// When one of them did.
    #[must_use]
    pub fn finish(self) -> Work {
        let mut all = Work::default();
        for client in self.0 {
            let work = client.join().expect("an honest client");
            all.answered.extend(work.answered);
            all.failed += work.failed;
        }
        all.answered.sort();
        all
    }
}

fn ask(server: SocketAddr, end: Instant) -> Work {
    let mut work = Work::default();
    while Instant::now() < end {
        if connection(server, end, &mut work.answered).is_err() {
            work.failed += 1;
        }
    }
    work
}

/// One connection and its requests.
fn connection(server: SocketAddr, end: Instant, answered: &mut Vec<Duration>) -> io::Result<()> {
    let mut started = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    for _ in 0..REQUESTS {
        stream.write_all(REQUEST)?;
        read_answer(&mut stream)?;
        let now = Instant::now();
        answered.push(now - started);
        if now >= end {
            break;
        }
        started = now;
    }
    Ok(())
}

/// Reads head and body; the body is nginx's one line.
fn read_answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    let mut len = 0;
    while !bytes[..len].ends_with(Nginx::BODY.as_bytes()) {
        match stream.read(&mut bytes[len..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => len += more,
        }
    }
    if bytes.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
