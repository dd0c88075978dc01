//! Somebody who asks a port again and again, and remembers when it answered.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use guard_tests::lab::Host;

/// Between two questions.
const PERIOD: Duration = Duration::from_millis(5);

/// Asks over UDP until it is stopped.
pub(crate) struct Pulse {
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Instant>>>,
}

impl Pulse {
    pub(crate) fn start(from: &Host, to: IpAddr, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(AtomicBool::new(false));
        let (stopped, hears) = (Arc::clone(&stop), Arc::clone(&heard));
        let thread = from.spawn(move || {
            let any: IpAddr = match to {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let mut answers = Vec::new();
            let mut buffer = [0; 16];
            while !stopped.load(Ordering::Relaxed) {
                // A conversation of its own each time: one that began while the port was open may
                // go on.
                let socket = UdpSocket::bind((any, 0)).expect("a socket");
                socket.set_read_timeout(Some(PERIOD)).expect("a limit");
                // While the server has no interface, the router says so; it is no answer.
                let _unreachable = socket.send_to(b"ping", (to, port));
                match socket.recv(&mut buffer) {
                    Ok(_) => {
                        answers.push(Instant::now());
                        hears.store(true, Ordering::Relaxed);
                    }
                    Err(error) => assert!(
                        [
                            ErrorKind::WouldBlock,
                            ErrorKind::TimedOut,
                            ErrorKind::ConnectionRefused,
                            ErrorKind::HostUnreachable,
                            ErrorKind::NetworkUnreachable
                        ]
                        .contains(&error.kind()),
                        "{error}"
                    ),
                }
            }
            answers
        });
        Self {
            stop,
            heard,
            thread: Some(thread),
        }
    }

    /// Has it had an answer?
    pub(crate) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Ends it and returns when the port answered.
    pub(crate) fn stop(mut self) -> Vec<Instant> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("taken only here");
        thread.join().expect("the one who asks")
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
