//! A real Chromium without a window. It is driven by its DevTools protocol over two pipes, so that it listens nowhere.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Folder, Namespace};

/// Most that Chromium may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Hands the pipes over as the descriptors that `--remote-debugging-pipe` uses.
const PIPES: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null";
/// What is said of a page that does what it should not: by its rules of content, its scripts, or what it loads.
const COMPLAINTS: [&str; 3] = [
    "Log.entryAdded",
    "Runtime.exceptionThrown",
    "Runtime.consoleAPICalled",
];

/// A browser with one page; killed with the value.
#[derive(Debug)]
pub struct Chromium {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    events: Vec<Value>,
    session: Option<String>,
    number: u64,
    /// Its profile, removed after it.
    _profile: Folder,
}

impl Chromium {
    /// Starts it in a namespace. To it, `evil.example` is 127.0.0.1: a name that somebody else has made lead here.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        let profile = Folder::new();
        let log = std::fs::File::create(profile.join("log")).expect("a file");
        let mut command: Command = namespace.command("sh");
        command
            .args(["-c", PIPES, "sh", "chromium", "--headless", "--no-sandbox"])
            .args([
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP evil.example 127.0.0.1",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("chromium");
        let commands = child.stdin.take().expect("a pipe");
        let said = child.stdout.take().expect("a pipe");
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in BufReader::new(said).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON of Chromium");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            answers,
            events: Vec::new(),
            session: None,
            number: 0,
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for the answer.
    ///
    /// # Panics
    /// When it is refused, or nothing is answered.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.ask(method, parameters);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The same, also if it is refused.
    #[track_caller]
    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut command = json!({"id": number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .unwrap_or_else(|error| panic!("{method}: {error}"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = match self.answers.recv_timeout(left) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Timeout) => panic!("{method}: no answer"),
                Err(RecvTimeoutError::Disconnected) => panic!("{method}: Chromium has ended"),
            };
            if answer["id"] == number {
                return answer;
            }
            self.events.push(answer);
        }
    }

    /// Opens an address and waits until the page is there.
    ///
    /// # Panics
    /// When nothing is there.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        let answer = self.call("Page.navigate", json!({"url": address}));
        assert!(answer["errorText"].is_null(), "{address}: {answer}");
        self.until("document.readyState === 'complete'");
    }

    /// What an expression is in the page.
    ///
    /// # Panics
    /// When it throws.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.try_evaluate(expression);
        let has_thrown = !answer["result"]["exceptionDetails"].is_null();
        let is_refused = !answer["error"].is_null();
        assert!(!has_thrown && !is_refused, "{expression}: {answer}");
        answer["result"]["result"]["value"].clone()
    }

    #[track_caller]
    fn try_evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.ask("Runtime.evaluate", parameters)
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// When it does not become true; with what the page shows.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(15);
        // Between two pages, and before a page is whole, nothing can be asked.
        while self.try_evaluate(expression)["result"]["result"]["value"] != true {
            if Instant::now() > deadline {
                let shown = self.evaluate("document.body.innerText");
                panic!("not true: {expression}\n{}", shown.as_str().unwrap_or("?"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes the page so large, in pixels.
    #[track_caller]
    pub fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Lets the user wish for `light` or `dark`.
    #[track_caller]
    pub fn prefer(&mut self, colors: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": colors});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// What the console says so far: violations of the page's rules of content are among it.
    #[track_caller]
    pub fn complaints(&mut self) -> Vec<Value> {
        // What was said until now comes before the answer.
        self.evaluate("0");
        let is_complaint = |event: &&Value| COMPLAINTS.iter().any(|name| event["method"] == *name);
        self.events.iter().filter(is_complaint).cloned().collect()
    }

    /// A picture of the page, as PNG.
    ///
    /// # Panics
    /// When Chromium makes none.
    #[track_caller]
    pub fn picture(&mut self) -> Vec<u8> {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", whole);
        decoded(picture["data"].as_str().expect("a picture"))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its other processes end when the first is gone. Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Base64, as the protocol carries bytes.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |letter: u8| DIGITS.iter().position(|digit| *digit == letter);
    let digits: Vec<usize> = text.bytes().filter_map(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four
            .iter()
            .enumerate()
            .fold(0, |bits, (at, digit)| bits | digit << (18 - 6 * at));
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        bytes.into_iter().take(four.len().saturating_sub(1))
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_becomes_bytes() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg==", b"foob"),
            ("/+8=", b"\xff\xef"),
        ] {
            assert_eq!(decoded(text), bytes);
        }
    }
}
