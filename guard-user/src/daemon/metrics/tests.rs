//! Who is answered, and what nobody can do to the daemon by connecting.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::{UnixListener as StdListener, UnixStream},
    thread,
};

use super::*;
use crate::{
    control::{JailsReport, Report},
    daemon::event_log::EventLog,
    http::{HEAD, PATIENCE},
    layout::Layout,
    ruleset::testing::Folder,
};

/// A server with a runtime of its own, on a thread.
struct Served {
    folder: Folder,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    address: Listen,
}

fn server(folder: &Folder) -> MetricsServer {
    let at = |name: &str| folder.path().join(name);
    let controller = Controller::new(Layout {
        etc: at("etc"),
        state: at("state"),
        run: at("run"),
        bpffs: at("bpffs"),
        units: at("units"),
        version: 1,
    });
    let state = DaemonState {
        report: Report::default(),
        jails: JailsReport::default(),
        events: EventLog::new(),
        metrics: None,
        drop_log: None,
        excess: None,
    };
    MetricsServer::new(controller, Arc::new(Mutex::new(state)))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

impl Served {
    fn at(listen: fn(&Folder) -> Listen) -> Self {
        let folder = Folder::new();
        let address = listen(&folder);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let mut server = server(&folder);
        let wanted = address.clone();
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                ready
                    .send(server.follow(Some(wanted)))
                    .expect("somebody waits");
                stopped.await.ok();
            });
        });
        let opened = is_ready.recv().expect("a server");
        assert!(matches!(opened, Some(Ok(()))), "{address}: {opened:?}");
        Self {
            folder,
            stop: Some(stop),
            thread: Some(thread),
            address,
        }
    }

    fn socket() -> Self {
        Self::at(|folder| Listen::Socket(folder.path().join("metrics")))
    }

    fn connect(&self) -> UnixStream {
        let Listen::Socket(path) = &self.address else {
            panic!("{} is no socket", self.address);
        };
        let stream = UnixStream::connect(path).expect("a server");
        stream
            .set_read_timeout(Some(PATIENCE * 2))
            .expect("a limit");
        stream
    }

    /// What is answered to these bytes.
    fn ask(&self, request: &str) -> String {
        answer_of(self.connect(), request)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        let left = std::fs::read_dir(self.folder.path()).into_iter().flatten();
        let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        assert!(!left.iter().any(|name| name == "metrics"), "{left:?}");
    }
}

fn answer_of(mut stream: impl std::io::Read + std::io::Write, request: &str) -> String {
    // The other end may have had enough before it has read everything.
    stream.write_all(request.as_bytes()).unwrap_or_default();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn figures_are_answered_in_the_form_that_is_asked_for() {
    let served = Served::socket();
    let answer = served.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.contains("\nguard_active 0.0\n"), "{answer}");
    let open = GET.replace(
        "Host",
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\nHost",
    );
    let answer = served.ask(&open);
    assert!(
        answer.contains("content-type: application/openmetrics-text"),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[test]
fn what_is_no_such_request_is_refused() {
    let served = Served::socket();
    let huge = format!(
        "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(500));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
            "405",
        ),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /metrics/../etc HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("\x16\x03\x01\x02\0\x01\0garbage\r\n\r\n", "400"),
        (&huge, "431"),
        (&many, "431"),
        (&long, "4"),
    ] {
        let answer = served.ask(request);
        let shown: String = request.chars().take(40).collect();
        let is_refused = answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(
            is_refused && !answer.contains("guard_active"),
            "{shown:?}: {answer}"
        );
    }
    assert!(served.ask(GET).contains("guard_active"));
}

#[test]
fn clients_that_say_nothing_keep_nobody_out_for_long() {
    let served = Served::socket();
    let mut idle: Vec<UnixStream> = (0..300).map(|_| served.connect()).collect();
    for stream in &mut idle {
        stream.write_all(b"GET /metrics HT").unwrap_or_default();
    }
    let began = Instant::now();
    let is_answered = || served.ask(GET).contains("guard_active");
    while !is_answered() {
        assert!(
            began.elapsed() < PATIENCE + HEAD,
            "nobody is answered any more"
        );
        thread::sleep(Duration::from_millis(100));
    }
    // Those that were taken have been sent away, too.
    for stream in &mut idle {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap_or_default();
    }
    assert!(began.elapsed() < PATIENCE + HEAD);
}

#[test]
fn pages_in_browsers_get_nothing_at_a_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let folder = Folder::new();
    let mut server = server(&folder);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (answers, wanted) = (Arc::new(Mutex::new(Vec::new())), Listen::Loopback(address));
    runtime().block_on(async {
        assert!(matches!(server.follow(Some(wanted)), Some(Ok(()))));
        for host in [
            "evil.example",
            "evil.example:80",
            "",
            "127.0.0.1.evil.example",
            "localhost",
            "127.0.0.1:1",
            "[::1]:7",
        ] {
            let answers = Arc::clone(&answers);
            let asked = spawn_blocking(move || {
                let stream = TcpStream::connect(address).expect("a server");
                let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
                let answer = answer_of(stream, &request);
                answers
                    .lock()
                    .expect("whole")
                    .push((host, answer.contains("guard_active")));
            });
            asked.await.expect("an answer");
        }
    });
    let answers = answers.lock().expect("whole");
    let allowed: Vec<&str> = answers
        .iter()
        .filter(|(_, given)| *given)
        .map(|(host, _)| *host)
        .collect();
    assert_eq!(allowed, ["localhost", "127.0.0.1:1", "[::1]:7"]);
}

#[test]
fn an_address_that_cannot_be_had_is_said_with_a_way_out_and_nothing_is_removed() {
    let folder = Folder::new();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "precious").expect("a file");
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let _used = StdListener::bind(at("used")).expect("a socket");
    let used = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = Listen::Loopback(used.local_addr().expect("its address"));
    let mut server = server(&folder);
    runtime().block_on(async {
        for (listen, why) in [
            (Listen::Socket(at("file")), "no socket is there"),
            (Listen::Socket(at("pipe")), "no socket is there"),
            (Listen::Socket(at("used")), "another program listens"),
            (
                Listen::Socket(at("nowhere/metrics")),
                "choose another address",
            ),
            (port, "another program listens"),
        ] {
            let said = server.follow(Some(listen.clone()));
            let Some(Err(said)) = said else {
                panic!("{listen}: {said:?}");
            };
            let said = said.to_string();
            assert!(
                said.contains(why) && said.contains("[metrics]"),
                "{listen}: {said}"
            );
            assert!(server.follow(Some(listen)).is_none(), "not at every tick");
        }
        assert!(matches!(server.follow(None), Some(Ok(()))));
        // A socket that a killed daemon left makes way.
        drop(StdListener::bind(at("left")).expect("a socket"));
        let left = server.follow(Some(Listen::Socket(at("left"))));
        assert!(matches!(left, Some(Ok(()))), "{left:?}");
    });
    assert_eq!(
        std::fs::read_to_string(at("file")).expect("a file"),
        "precious"
    );
    assert!(at("pipe").exists() && at("used").exists());
}
