//! A server with guard and its page, and an attacker who knocks at a closed port.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use guard_tests::{
    lab::{GuardWeb, Instance, Topology},
    require,
};

/// No rule names it.
pub(crate) const CLOSED: u16 = 22;
pub(crate) const LISTEN: &str = "127.0.0.1:9978";

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy("interfaces = [\"eth0\"]\n");
        drop(guard.guardctl(&["enable"]).ok());
        Some(Self { guard, lab })
    }

    /// What is answered to these bytes on the server itself.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        // The other end may have had enough before it has read everything.
        stream.write_all(request.as_bytes()).unwrap_or_default();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_default();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let address: SocketAddr = LISTEN.parse().expect("an address");
        let stream = self
            .lab
            .srv
            .run(|| TcpStream::connect(address))
            .expect("a server");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a limit");
        stream
    }

    /// Somebody without a browser who looks: he has seen a snapshot.
    pub(crate) fn viewer(&self, web: &GuardWeb) -> TcpStream {
        let token = web.token();
        let login = format!("GET /?token={token} HTTP/1.1\r\nHost: {LISTEN}\r\n\r\n");
        let answer = self.ask(&login);
        let folder = answer
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap_or_else(|| panic!("{answer}"))
            .trim_end();
        let mut stream = self.connect();
        let request = format!(
            "GET {folder}events HTTP/1.1\r\nHost: {LISTEN}\r\nCookie: guard={token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a server");
        let (mut seen, mut piece) = (String::new(), [0; 4096]);
        while !seen.contains("\ndata: {") {
            let read = stream.read(&mut piece).expect("a snapshot");
            assert!(read > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        stream
    }

    /// Knocks at the closed port, from both families, until the value is dropped.
    pub(crate) fn knock(&self) -> Knocking {
        let is_over = Arc::new(AtomicBool::new(false));
        let (to, stop) = ([self.lab.srv.v4, self.lab.srv.v6], Arc::clone(&is_over));
        let thread = self.lab.attacker.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for to in to {
                    let address = SocketAddr::new(to, CLOSED);
                    // A SYN, and no answer.
                    TcpStream::connect_timeout(&address, Duration::from_millis(10)).ok();
                }
            }
        });
        Knocking {
            is_over,
            thread: Some(thread),
        }
    }
}

pub(crate) struct Knocking {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Knocking {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
