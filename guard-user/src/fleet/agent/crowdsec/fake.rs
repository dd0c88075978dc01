//! A LAPI for tests, on a port of loopback that the kernel chose: it answers with bytes that a test writes, right or
//! wrong, and remembers what it was asked. It ends with the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// What it was asked.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// The first line and the headers, in small letters.
    pub(super) head: String,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn is_for(&self, path: &str) -> bool {
        self.head.contains(&format!(" {path}"))
    }
}

/// What it answers.
pub(super) enum Reply {
    /// A status and a body.
    Json(u16, String),
    /// A body that ends before its length.
    Cut(String),
    /// A body without an end.
    Endless,
    /// A head, half a body, and silence.
    Stuck(String),
    /// Nothing at all.
    Silence,
    /// Something that is no HTTP.
    Bytes(Vec<u8>),
}

pub(super) struct FakeLapi {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    serving: JoinHandle<()>,
}

impl Drop for FakeLapi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeLapi {
    /// Answers the request of this number (from 0) as `reply` says.
    pub(super) async fn new(
        reply: impl Fn(usize, &Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heard);
        let reply = Arc::new(reply);
        let serving = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (noted, reply) = (Arc::clone(&noted), Arc::clone(&reply));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(request) = read(&mut stream).await else {
                        return;
                    };
                    let number = {
                        let mut noted = noted.lock().expect("heard");
                        noted.push(request.clone());
                        noted.len() - 1
                    };
                    write(&mut stream, reply(number, &request)).await;
                });
            }
        });
        Self {
            port,
            heard,
            serving,
        }
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("heard").clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head
                .split_once("content-length: ")
                .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                let body = body.to_owned();
                return Some(Heard { head, body });
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

async fn write(stream: &mut TcpStream, reply: Reply) {
    let head = |status: u16, length: usize| {
        format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
             Date: Mon, 30 Nov 2026 05:46:04 GMT\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    // The other end may have gone.
    match reply {
        Reply::Json(status, body) => {
            let _ = stream.write_all(head(status, body.len()).as_bytes()).await;
            let _ = stream.write_all(body.as_bytes()).await;
        }
        Reply::Cut(body) => {
            let _ = stream
                .write_all(head(200, body.len() + 100).as_bytes())
                .await;
            let _ = stream.write_all(body.as_bytes()).await;
        }
        Reply::Endless => {
            let _ = stream.write_all(head(200, 1 << 40).as_bytes()).await;
            let _ = stream.write_all(br#"{"deleted":null,"new":["#).await;
            let element = r#"{"value":"x"},"#.repeat(1000);
            while stream.write_all(element.as_bytes()).await.is_ok() {}
        }
        Reply::Stuck(body) => {
            let _ = stream
                .write_all(head(200, body.len() + 100).as_bytes())
                .await;
            let _ = stream.write_all(body.as_bytes()).await;
            sleep(Duration::from_secs(60)).await;
        }
        Reply::Silence => sleep(Duration::from_secs(60)).await,
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
    }
}
