//! A client of NATS that says whatever a test wants, byte by byte, with somebody's key: what no library would send.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::Value;

/// For an answer that must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the clock.
const PIECE: Duration = Duration::from_millis(20);

/// A connection.
#[derive(Debug)]
pub struct NatsClient {
    stream: TcpStream,
    bytes: Vec<u8>,
    inbox: String,
    next: u32,
    messages: Vec<NatsMessage>,
    complaints: Vec<String>,
    pongs: u32,
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct NatsMessage {
    /// Where it was sent.
    pub subject: String,
    /// Headers and payload, as they came.
    pub content: Vec<u8>,
    headers: usize,
}

impl NatsMessage {
    /// What it says.
    ///
    /// # Panics
    /// When that is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let payload = &self.content[self.headers..];
        serde_json::from_slice(payload).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What it says, and its headers, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

impl NatsClient {
    /// Connects as whoever has this key; answers come to `inbox`.
    ///
    /// # Panics
    /// When the server does not want it.
    #[must_use]
    pub fn connect(port: u16, key: &Path, inbox: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.set_read_timeout(Some(PIECE)).expect("a time");
        stream.set_nodelay(true).expect("an option");
        let mut client = Self {
            stream,
            bytes: Vec::new(),
            inbox: inbox.to_owned(),
            next: 0,
            messages: Vec::new(),
            complaints: Vec::new(),
            pongs: 0,
        };
        let deadline = Instant::now() + PATIENCE;
        let info = loop {
            if let Some(line) = client.line() {
                break line;
            }
            assert!(Instant::now() < deadline, "the server says nothing");
            client.fill();
        };
        let info: Value = serde_json::from_str(info.trim_start_matches("INFO ")).expect("INFO");
        let nonce = info["nonce"].as_str().expect("a nonce");
        let seed = fs::read_to_string(key).expect("a key");
        let pair = KeyPair::from_seed(seed.trim()).expect("a seed");
        let proof = pair.sign(nonce.as_bytes()).expect("a signature");
        let words = serde_json::json!({
            "verbose": false, "pedantic": false, "lang": "test", "version": "1", "protocol": 1,
            "headers": true, "no_responders": true, "tls_required": false,
            "nkey": pair.public_key(), "sig": BASE64URL_NOPAD.encode(&proof),
        });
        client.write(format!("CONNECT {words}\r\n").as_bytes());
        client.subscribe(&format!("{inbox}.>"));
        let complaints = client.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
        client
    }

    /// Listens there.
    pub fn subscribe(&mut self, subject: &str) {
        self.next += 1;
        self.write(format!("SUB {subject} {}\r\n", self.next).as_bytes());
    }

    /// Sends a message. Without headers there are none, not even empty ones.
    pub fn publish(&mut self, subject: &str, reply: &str, headers: &[u8], payload: &[u8]) {
        let (headed, all) = (headers.len(), headers.len() + payload.len());
        let mut bytes = match headers {
            [] => format!("PUB {subject} {reply} {all}\r\n"),
            _ => format!("HPUB {subject} {reply} {headed} {all}\r\n"),
        }
        .into_bytes();
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.write(&bytes);
    }

    /// Sends a message and waits for the answer; `None` when there is none in a second.
    pub fn ask(&mut self, subject: &str, headers: &[u8], payload: &[u8]) -> Option<NatsMessage> {
        self.next += 1;
        let inbox = format!("{}.{}", self.inbox, self.next);
        self.publish(subject, &inbox, headers, payload);
        self.within(Duration::from_secs(1), |message| message.subject == inbox)
    }

    /// Waits for such a message.
    pub fn within(
        &mut self,
        limit: Duration,
        is_it: impl Fn(&NatsMessage) -> bool,
    ) -> Option<NatsMessage> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(at) = self.messages.iter().position(&is_it) {
                return Some(self.messages.remove(at));
            }
            if Instant::now() >= deadline {
                return None;
            }
            self.fill();
            self.parse();
        }
    }

    /// Waits until the server has read all that was sent, and says what it did not like.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn complaints(&mut self) -> Vec<String> {
        self.write(b"PING\r\n");
        let before = self.pongs;
        let deadline = Instant::now() + PATIENCE;
        while self.pongs == before {
            assert!(Instant::now() < deadline, "no answer: {self:?}");
            self.fill();
            self.parse();
        }
        std::mem::take(&mut self.complaints)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    fn fill(&mut self) {
        let mut piece = [0; 65_536];
        match self.stream.read(&mut piece) {
            Ok(0) => panic!("the server has hung up: {:?}", self.complaints),
            Ok(count) => self.bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn line(&mut self) -> Option<String> {
        let (line, end) = self.peek()?;
        self.bytes.drain(..end);
        Some(line)
    }

    /// The first line, and where the next begins.
    fn peek(&self) -> Option<(String, usize)> {
        let end = self.bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = String::from_utf8_lossy(&self.bytes[..end]);
        Some((line.trim_end().to_owned(), end + 2))
    }

    fn parse(&mut self) {
        while let Some((line, begin)) = self.peek() {
            let words: Vec<&str> = line.split(' ').collect();
            let mut end = begin;
            match words.as_slice() {
                ["PING"] => self.write(b"PONG\r\n"),
                ["PONG"] => self.pongs += 1,
                ["-ERR", ..] => self.complaints.push(line),
                [verb @ ("MSG" | "HMSG"), subject, .., length] => {
                    let length: usize = length.parse().expect("a length");
                    let headers = match *verb {
                        "MSG" => 0,
                        _ => words[words.len() - 2].parse().expect("a length"),
                    };
                    end = begin + length + 2;
                    if self.bytes.len() < end {
                        // The rest is on its way.
                        return;
                    }
                    self.messages.push(NatsMessage {
                        subject: (*subject).to_owned(),
                        content: self.bytes[begin..begin + length].to_vec(),
                        headers,
                    });
                }
                _ => {}
            }
            self.bytes.drain(..end);
        }
    }
}
