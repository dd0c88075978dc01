//! What a browser gets over a connection, and what nobody can do by connecting.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::http::{HEAD, MOST_CLIENTS, PATIENCE};

/// A page on a thread of its own.
struct Served {
    page: Arc<WebPage>,
    address: SocketAddr,
    at_work: Arc<AtomicUsize>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Fixed(Arc<AtomicUsize>);

impl Sampler for Fixed {
    fn sample(&mut self) -> Option<String> {
        Some("{\"drops\":7}".to_owned())
    }

    fn tend(&mut self) {}
}

impl Drop for Fixed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Served {
    fn new() -> Self {
        let at_work = Arc::new(AtomicUsize::new(0));
        let of_sampler = Arc::clone(&at_work);
        let begin: BeginSampler = Box::new(move || {
            of_sampler.fetch_add(1, Ordering::SeqCst);
            Box::new(Fixed(Arc::clone(&of_sampler)))
        });
        let page = WebPage::new(SocketAddr::from(([127, 0, 0, 1], 0)), begin);
        let page = Arc::new(page.expect("a port"));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = Arc::clone(&page);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    served = serving.serve() => served.expect("a port"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: page.listener.local_addr().expect("its address"),
            page,
            at_work,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a server");
        stream
            .set_read_timeout(Some(PATIENCE * 2))
            .expect("a limit");
        stream
    }

    /// A request of somebody who has logged in.
    fn request(&self, method: &str, name: &str) -> String {
        let (folder, token) = (self.page.access.folder(), self.page.access.token.text());
        let address = self.address;
        format!(
            "{method} {folder}{name} HTTP/1.1\r\nHost: {address}\r\nCookie: guard={token}\r\n\r\n"
        )
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        // The other end may have had enough before it has read everything.
        stream.write_all(request.as_bytes()).unwrap_or_default();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_default();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Somebody who looks: he has seen the first snapshot.
    fn viewer(&self) -> TcpStream {
        let mut stream = self.connect();
        let request = self.request("GET", page::EVENTS);
        stream.write_all(request.as_bytes()).expect("a server");
        let (mut seen, mut piece) = (String::new(), [0; 1024]);
        while !seen.contains("data: {\"drops\":7}\n\n") {
            let read = stream.read(&mut piece).expect("an event");
            assert!(read > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        assert!(seen.contains("retry: 1000"), "{seen}");
        stream
    }

    fn until_at_work(&self, wanted: usize) {
        let began = Instant::now();
        while self.at_work.load(Ordering::SeqCst) != wanted {
            assert!(began.elapsed() < Duration::from_secs(5), "not {wanted}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        self.page.finish();
        assert_eq!(self.at_work.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn the_address_that_is_printed_leads_to_the_page_and_the_token_leaves_it() {
    let served = Served::new();
    let url = served.page.url().expect("an address");
    let path = url
        .strip_prefix(&format!("http://{}", served.address))
        .expect("the port");
    let login = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", served.address);
    let answer = served.ask(&login);
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let folder = served.page.access.folder();
    assert!(
        answer.contains(&format!("location: {folder}\r\n")),
        "{answer}"
    );
    assert!(answer.contains("set-cookie: guard="), "{answer}");

    let page = served.ask(&served.request("GET", ""));
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self';",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert!(!page.contains(served.page.access.token.text()));

    let head = served.ask(&served.request("HEAD", ""));
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let head = served.ask(&served.request("HEAD", page::EVENTS));
    assert!(head.contains("text/event-stream"), "{head}");
    assert_eq!(served.at_work.load(Ordering::SeqCst), 0);
    let posted = served.ask(&served.request("POST", ""));
    assert!(posted.contains("allow: GET, HEAD\r\n"), "{posted}");
}

#[test]
fn what_is_no_such_request_is_refused() {
    let served = Served::new();
    let with = |lines: &str| {
        let request = served.request("GET", "");
        request.replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
    };
    let huge = with(&format!("X: {}", "x".repeat(100_000)));
    let many = with(&"A: b\r\n".repeat(500));
    let long = served.request("GET", &"x".repeat(70_000));
    let wrong = served.request("GET", "").replace("guard=", "guard=0");
    let foreign = served
        .request("GET", "")
        .replace(&format!("Host: {}", served.address), "Host: evil.example");
    for (request, status) in [
        (served.request("POST", ""), "405"),
        (served.request("GET", "nothing"), "404"),
        (served.request("GET", "../../etc/passwd"), "404"),
        (wrong, "403"),
        (foreign, "421"),
        (with("Origin: http://evil.example"), "403"),
        (with("Sec-Fetch-Site: same-site"), "403"),
        ("\x16\x03\x01\x02\0\x01\0garbage\r\n\r\n".to_owned(), "400"),
        (huge, "431"),
        (many, "431"),
        (long, "4"),
    ] {
        let answer = served.ask(&request);
        let shown: String = request.chars().take(60).collect();
        let is_refused = answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(
            is_refused && !answer.contains("<html"),
            "{shown:?}: {answer}"
        );
    }
    assert!(served.ask(&served.request("GET", "")).contains("<html"));
}

#[test]
fn somebody_must_look_for_anything_to_be_sampled() {
    let served = Served::new();
    let viewers: Vec<TcpStream> = (0..MOST_STREAMS).map(|_| served.viewer()).collect();
    served.until_at_work(1);
    let full = served.ask(&served.request("GET", page::EVENTS));
    assert!(full.starts_with("HTTP/1.1 503 "), "{full}");
    assert!(full.contains("retry-after: "), "{full}");
    assert!(served.ask(&served.request("GET", "")).contains("<html"));
    drop(viewers);
    served.until_at_work(0);
    drop(served.viewer());
}

#[test]
fn a_viewer_outlives_the_patience_with_others_and_connections_that_say_nothing_do_not() {
    let served = Served::new();
    let began = Instant::now();
    let mut viewer = served.viewer();
    let idle: Vec<TcpStream> = (0..100).map(|_| served.connect()).collect();
    while !served.ask(&served.request("GET", "")).contains("<html") {
        assert!(began.elapsed() < PATIENCE + HEAD, "nobody is answered");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(idle.len() > MOST_CLIENTS);
    for mut stream in idle {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap_or_default();
    }
    assert!(began.elapsed() < PATIENCE + HEAD);
    while began.elapsed() < PATIENCE + Duration::from_secs(1) {
        let mut piece = [0; 1024];
        assert!(viewer.read(&mut piece).expect("an event") > 0);
    }
}
