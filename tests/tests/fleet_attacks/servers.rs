//! Servers that are too old, say nonsense or say nothing, and a guard-fleet that hangs: what is known stays.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{FleetHost, FleetServers as _, NatsServer},
    require,
};

/// A server of a test's own: it shakes hands, and then says `words`. Gone with the process of the test.
struct FakeServer {
    port: u16,
    version: Arc<Mutex<(String, Vec<u8>)>>,
}

impl FakeServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let version = Arc::new(Mutex::new((String::new(), Vec::new())));
        let shared = Arc::clone(&version);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (version, words) = shared.lock().expect("no panic").clone();
                // Whoever hangs up is served.
                thread::spawn(move || serve(stream, &version, &words).ok());
            }
        });
        Self { port, version }
    }

    fn says(&self, version: &str, words: &[u8]) {
        *self.version.lock().expect("no panic") = (version.to_owned(), words.to_vec());
    }
}

fn serve(mut stream: TcpStream, version: &str, words: &[u8]) -> std::io::Result<()> {
    let info = format!(
        "INFO {{\"server_id\":\"X\",\"server_name\":\"x\",\"version\":\"{version}\",\"proto\":1,\"host\":\"127.0.0.1\",\
         \"port\":1,\"headers\":true,\"max_payload\":65536,\"jetstream\":true,\"nonce\":\"abc\"}}\r\n"
    );
    stream.write_all(info.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    let mut has_begun = false;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n")?;
            if !has_begun && !words.is_empty() {
                has_begun = true;
                thread::sleep(Duration::from_millis(100));
                stream.write_all(words)?;
            }
        }
    }
}

#[test]
fn a_server_that_is_too_old_or_says_nonsense_is_said_and_lets_nobody_go() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a"]) else {
        return;
    };
    let mut a = FleetHost::join(&nats, "web", "a");
    drop(a.guard.guardctl(&["ban", "11.0.0.1", "--for", "1h"]).ok());
    let fake = FakeServer::start();
    drop(a.guard.guardctl(&["fleet", "leave"]).ok());
    let key = nats.key("web-a");
    let url = format!("nats://127.0.0.1:{}", fake.port);
    let words = [
        "fleet",
        "join",
        &url,
        "--key",
        key.to_str().expect("a path"),
        "--group",
        "web",
        "--host",
        "a",
    ];
    fake.says("2.10.7", b"");
    drop(a.guard.guardctl(&words).ok());
    let says = |text: &str| {
        let began = Instant::now();
        loop {
            let status = a.guard.guardctl(&["fleet", "status"]);
            if status.code == Some(8) && status.stdout.contains(text) {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{text}: {status}"
            );
        }
    };
    says("nats-server 2.10.7; 2.11 or newer");
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x00\xff\x1b[2J\r\n",
        b"MSG fleet.ev.x 1 18446744073709551615\r\n",
        b"MSG fleet.ev.x 1 9223372036854775807\r\nx",
        b"MSG fleet.ev.lift.4-0b000001-32 99999999 2\r\n{}\r\nMSG fleet.ev.x 1 -5\r\n",
        b"HMSG fleet.ev.x 1 99999 5\r\nNATS\r\n",
        b"-ERR '\x1b[2Jroot: all is well'\r\n",
        b"INFO {\r\n",
        b"MSG fleet.ev.x 1 10\r\nabc",
    ] {
        fake.says("2.15.1", garbage);
        thread::sleep(Duration::from_millis(700));
    }
    fake.says("2.15.1", &vec![b'x'; 4 << 20]);
    says("STALE");
    let status = a.guard.guardctl(&["fleet", "status"]);
    assert!(!status.stdout.contains('\u{1b}'), "{status:?}");
    assert_eq!(a.guard.banned(), ["11.0.0.1"]);
    // It lives, and goes on where it can.
    a.assert_fleet_alive();
    drop(a.guard.guardctl(&["fleet", "leave"]).ok());
    a.join_again(&nats, "web", "a");
    a.until_status(0);
}

#[test]
fn a_guard_fleet_that_hangs_is_said_within_ten_seconds_and_bans_stay() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b"]) else {
        return;
    };
    let a = FleetHost::join(&nats, "web", "a");
    let b = FleetHost::join(&nats, "web", "b");
    a.with_attacker(&["ban", "--for", "1h"]);
    b.until_dropped(true);
    b.signal_fleet(libc::SIGSTOP);
    let began = Instant::now();
    let status = b.until_status(8);
    println!("said after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(13));
    drop(status.says("silent"));
    b.assert_dropped();
    // What happens meanwhile is heard when it goes on.
    a.with_attacker(&["unban"]);
    b.assert_dropped();
    b.signal_fleet(libc::SIGCONT);
    b.until_dropped(false);
    b.until_status(0);
}
