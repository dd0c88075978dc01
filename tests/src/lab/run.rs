//! Running a program to its end, within a time, and checking how it ended.

use std::{
    io::Read,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A program that has ended. Its checks print what it said when they fail.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What was run.
    pub line: String,
    /// Exit code, `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it said.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// It must have succeeded.
    ///
    /// # Panics
    /// When it has not.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// It must have ended with this code.
    ///
    /// # Panics
    /// When it has not.
    #[must_use]
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        self
    }

    /// It must have said this, to either output.
    ///
    /// # Panics
    /// When it has not.
    #[must_use]
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "{text:?} was not said\n{self}");
        self
    }

    /// Its output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "$ {}\nexit {:?} after {:?}\n--- stdout\n{}--- stderr\n{}---",
            self.line,
            self.code,
            self.took,
            shown(&self.stdout),
            shown(&self.stderr)
        )
    }
}

/// The end of an output: what a program said of millions of packets would fill a log.
fn shown(output: &str) -> &str {
    const MOST: usize = 64 << 10;
    &output[output.ceil_char_boundary(output.len().saturating_sub(MOST))..]
}

/// Runs a command to its end without input.
///
/// # Panics
/// When it cannot be started, or takes longer than `limit`; it is killed then.
#[must_use]
#[track_caller]
pub fn finish(command: &mut Command, limit: Duration) -> Ran {
    let line = format!("{command:?}");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, started + limit);
    let took = started.elapsed();
    let text = |reader: JoinHandle<String>| reader.join().unwrap_or_default();
    let ran = Ran {
        line,
        code: status.and_then(|status| status.code()),
        stdout: text(stdout),
        stderr: text(stderr),
        took,
    };
    assert!(status.is_some(), "killed after {limit:?}\n{ran}");
    if let Some(signal) = status.and_then(|status| status.signal()) {
        eprintln!("ended by signal {signal}: {}", ran.line);
    }
    ran
}

fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return Some(status);
        }
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).ok();
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).ok();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
