//! A cable of TCP that can be cut: what is on its way stays there, and neither end hears of it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Between two looks at whether it is cut, and at whether it is to end.
const LOOK: Duration = Duration::from_millis(10);

/// Listens on loopback and carries what it hears to a server.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    is_cut: AtomicBool,
    has_ended: AtomicBool,
    /// Bytes from the server.
    carried: AtomicU64,
}

impl Relay {
    /// To this server.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a listener");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || accept(&listener, to, &shared));
        Self {
            port,
            state,
            accepting: Some(accepting),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Carries nothing from now on, or goes on.
    pub fn cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::Relaxed);
    }

    /// Bytes that came from the server.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.accepting.take() {
            // It has nothing to say.
            thread.join().ok();
        }
    }
}

impl State {
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Waits while the cable is cut.
    fn wait(&self) {
        while self.is_cut.load(Ordering::Relaxed) && !self.has_ended() {
            thread::sleep(LOOK);
        }
    }
}

fn accept(listener: &TcpListener, to: SocketAddr, state: &Arc<State>) {
    while !state.has_ended() {
        state.wait();
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(LOOK);
            continue;
        };
        let Ok(server) = TcpStream::connect(to) else {
            continue;
        };
        client.set_nonblocking(false).expect("a socket");
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("a socket");
            socket.set_read_timeout(Some(LOOK)).expect("a socket");
        }
        let copy = |socket: &TcpStream| socket.try_clone().expect("a descriptor");
        let (client2, server2) = (copy(&client), copy(&server));
        let (up, down) = (Arc::clone(state), Arc::clone(state));
        thread::spawn(move || carry(client, server, &up, false));
        thread::spawn(move || carry(server2, client2, &down, true));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, is_counted: bool) {
    let mut bytes = [0; 16 << 10];
    while !state.has_ended() {
        let read = from.read(&mut bytes);
        state.wait();
        match read {
            Ok(0) => break,
            Ok(length) => {
                // Before they arrive, so that whoever has them finds them counted.
                if is_counted {
                    state.carried.fetch_add(length as u64, Ordering::Relaxed);
                }
                if to.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    for socket in [from, to] {
        // The other direction may have ended it.
        socket.shutdown(std::net::Shutdown::Both).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::until;

    #[test]
    fn what_is_sent_while_the_cable_is_cut_arrives_when_it_is_whole_again() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Relay::start(server.local_addr().expect("an address"));
        let mut client = TcpStream::connect(("127.0.0.1", relay.port())).expect("the relay");
        let (mut served, _) = server.accept().expect("a client");
        served.write_all(b"one").expect("sent");
        let mut bytes = [0; 3];
        client.read_exact(&mut bytes).expect("read");
        relay.cut(true);
        served.write_all(b"two").expect("sent");
        client
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket");
        assert!(client.read_exact(&mut bytes).is_err(), "it came through");
        relay.cut(false);
        until("the rest", || client.read_exact(&mut bytes).is_ok());
        assert_eq!((&bytes, relay.carried()), (b"two", 6));
    }
}
