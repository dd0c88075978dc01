//! Small servers that answer what they are sent: threads of the test inside a namespace.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Namespace, download};

/// How soon a server notices that it shall end.
const NOTICE: Duration = Duration::from_millis(20);

/// Answers over TCP, both families, with what it reads.
#[derive(Debug)]
pub struct TcpEcho {
    server: Server,
}

/// What a server over TCP answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// What it reads.
    Echo,
    /// The same, but for requests of a download.
    EchoAndDownloads,
}

/// Answers over UDP, both families, with what it reads.
#[derive(Debug)]
pub struct UdpEcho {
    server: Server,
}

impl TcpEcho {
    /// Starts to listen; when this returns, connections are accepted.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(namespace: &Namespace, port: u16) -> Self {
        Self::answering(namespace, port, Answers::Echo)
    }

    /// The same; whoever sends the request of a [`download`](super::download()) gets that.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn with_downloads(namespace: &Namespace, port: u16) -> Self {
        Self::answering(namespace, port, Answers::EchoAndDownloads)
    }

    fn answering(namespace: &Namespace, port: u16, answers: Answers) -> Self {
        let listener = namespace
            .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))
            .unwrap_or_else(|error| panic!("tcp {port}: {error}"));
        listener.set_nonblocking(true).expect("a socket");
        let server = Server::start(move |stop, served| {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        served.fetch_add(1, Ordering::Relaxed);
                        let stop = Arc::clone(stop);
                        thread::spawn(move || serve(&mut stream, &stop, answers));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Self { server }
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.server.served.load(Ordering::Relaxed)
    }
}

fn serve(stream: &mut TcpStream, stop: &AtomicBool, answers: Answers) {
    let mut buffer = [0; 2048];
    if stream.set_nonblocking(false).is_err() || stream.set_read_timeout(Some(NOTICE)).is_err() {
        return;
    }
    while !stop.load(Ordering::Relaxed) {
        let question = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(error) if is_timeout(&error) => continue,
            Err(_) => return,
        };
        let answered = match (answers, download::requested(question)) {
            (Answers::EchoAndDownloads, Some(bytes)) => download::send(stream, bytes, stop),
            (Answers::EchoAndDownloads, None) | (Answers::Echo, _) => stream.write_all(question),
        };
        if answered.is_err() {
            return;
        }
    }
}

impl UdpEcho {
    /// Starts to answer.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(namespace: &Namespace, port: u16) -> Self {
        let socket = namespace
            .run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)))
            .unwrap_or_else(|error| panic!("udp {port}: {error}"));
        socket.set_read_timeout(Some(NOTICE)).expect("a socket");
        let server = Server::start(move |stop, served| {
            let mut buffer = [0; 8192];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                    served.fetch_add(1, Ordering::Relaxed);
                    socket.send_to(&buffer[..length], peer).ok();
                }
            }
        });
        Self { server }
    }

    /// Datagrams received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.server.served.load(Ordering::Relaxed)
    }
}

/// A thread that ends with the value.
#[derive(Debug)]
struct Server {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(work: impl FnOnce(&Arc<AtomicBool>, &AtomicU64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&served));
        let thread = thread::spawn(move || work(&stopped, &counted));
        Self {
            stop,
            served,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
