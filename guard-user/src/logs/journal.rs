//! The journal: one `journalctl` that follows it for all jails. It is begun again when it ends, where
//! it stopped; a host without a journal is a state and no failure.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};

use super::{
    Matches,
    entry::{self, JournalEntry, SUPPRESSED_ID},
    export::{BrokenStream, Export},
    file::Rest,
};

mod once;

pub use once::entries;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// What it may write before it is read.
const PIPE_BYTES: i32 = 1 << 20;
/// First and longest pause before it is begun again; each is twice the one before.
const PAUSE_MS: (i64, i64) = (500, 60_000);
/// Bytes of what it complains about that are kept.
const MOST_COMPLAINT: usize = 500;

/// Where reading stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// journald's name for the last entry that was handed on.
    pub cursor: String,
    /// Its time in microseconds since 1970, for a journal that does not know the cursor any more.
    pub time_us: i64,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// With what is written from now on.
    Now,
    /// With what was written since this time, in seconds since 1970.
    Since(i64),
    /// Behind this entry.
    Behind(Position),
}

impl From {
    fn go_behind(&mut self, entry: &JournalEntry<'_>) {
        match self {
            Self::Behind(position) => {
                position.cursor.clear();
                position.cursor.push_str(entry.cursor);
                position.time_us = entry.time_us;
            }
            Self::Now | Self::Since(_) => {
                *self = Self::Behind(Position {
                    cursor: entry.cursor.to_owned(),
                    time_us: entry.time_us,
                });
            }
        }
    }
}

/// How it is with the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is read.
    Followed,
    /// There is no `journalctl` here.
    Absent,
    /// It ended, for this reason; it is begun again.
    Ended(String),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalCounts {
    /// Entries that were handed on.
    pub entries: u64,
    /// Those of them that were too long, of which only the beginning was handed on.
    pub cut: u64,
    /// What `journalctl` wrote that was no entry.
    pub unreadable: u64,
    /// Messages that journald dropped, because there were too many of them (`RateLimitBurst=`).
    pub suppressed: u64,
    /// How often `journalctl` was begun.
    pub starts: u64,
}

#[derive(Debug)]
struct Follower {
    child: Child,
    entries: ChildStdout,
    complaints: ChildStderr,
}

/// The journal.
#[derive(Debug)]
pub struct JournalReader {
    program: PathBuf,
    matches: Vec<Matches>,
    from: From,
    follower: Option<Follower>,
    export: Export,
    /// The line of the entry that is handed on.
    line: Vec<u8>,
    state: State,
    counts: JournalCounts,
    complaint: String,
    pause_ms: i64,
    again_ms: i64,
    /// The journal does not know the cursor; it is asked by time, and repeats what has the same second.
    is_cursor_refused: bool,
    buffer: Vec<u8>,
}

impl JournalReader {
    /// Follows the entries that one of these means, by `journalctl` or another program of its kind.
    /// Nothing is begun before the first `read`.
    #[must_use]
    pub fn new(program: &Path, matches: Vec<Matches>, from: From) -> Self {
        Self {
            program: program.to_path_buf(),
            export: Export::of(entry::names(&matches)),
            line: Vec::new(),
            matches,
            from,
            follower: None,
            state: State::Ended("it was not started yet".to_owned()),
            counts: JournalCounts::default(),
            complaint: String::new(),
            pause_ms: PAUSE_MS.0,
            again_ms: i64::MIN,
            is_cursor_refused: false,
            buffer: vec![0; CHUNK_BYTES],
        }
    }

    /// Readable when there may be something to read; none while nothing runs.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.follower
            .as_ref()
            .map(|follower| follower.entries.as_fd())
    }

    /// When to call `read` at the latest, in milliseconds of its clock; none: when `fd` is readable.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.follower.is_none().then_some(self.again_ms)
    }

    /// Hands on the entries that came, of `most` bytes or a little more. `now_ms` is in milliseconds of
    /// a clock that only goes forward.
    pub fn read(
        &mut self,
        now_ms: i64,
        most: usize,
        each: &mut dyn FnMut(&JournalEntry<'_>),
    ) -> Rest {
        if self.follower.is_none() {
            if now_ms < self.again_ms {
                return Rest::Nothing;
            }
            self.begin(now_ms);
        }
        let mut left = most;
        while left > 0 {
            let Some(follower) = &mut self.follower else {
                return Rest::Nothing;
            };
            listen(&mut follower.complaints, &mut self.complaint);
            match follower.entries.read(&mut self.buffer) {
                Ok(0) => {
                    self.end(now_ms);
                    return Rest::Nothing;
                }
                Ok(read) => {
                    left = left.saturating_sub(read);
                    if self.take(read, each).is_err() {
                        self.complaint = "what it writes is no journal".to_owned();
                        self.end(now_ms);
                        return Rest::Nothing;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Rest::Nothing,
                Err(error) => {
                    self.complaint = error.to_string();
                    self.end(now_ms);
                    return Rest::Nothing;
                }
            }
        }
        Rest::More
    }

    /// Where reading stopped, to be saved with what the entries led to.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match &self.from {
            From::Behind(position) => Some(position),
            From::Now | From::Since(_) => None,
        }
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What happened.
    #[must_use]
    pub fn counts(&self) -> JournalCounts {
        self.counts
    }

    fn take(
        &mut self,
        read: usize,
        each: &mut dyn FnMut(&JournalEntry<'_>),
    ) -> Result<(), BrokenStream> {
        let Self {
            export,
            line,
            buffer,
            matches,
            counts,
            from,
            is_cursor_refused,
            pause_ms,
            ..
        } = self;
        let read = export.push(&buffer[..read], |names, fields| {
            let Some(entry) = JournalEntry::of(names, fields, line) else {
                counts.unreadable += 1;
                return;
            };
            if let From::Behind(last) = &*from {
                let is_known = if *is_cursor_refused {
                    entry.time_us <= last.time_us
                } else {
                    entry.cursor == last.cursor
                };
                if is_known {
                    return;
                }
            }
            *is_cursor_refused = false;
            *pause_ms = PAUSE_MS.0;
            from.go_behind(&entry);
            if let Some(number) = entry.suppressed() {
                counts.suppressed += number;
            }
            if matches.is_empty() || matches.iter().any(|matches| entry.fits(matches)) {
                counts.entries += 1;
                counts.cut += u64::from(entry.is_cut);
                each(&entry);
            }
        });
        counts.unreadable += export.take_unreadable();
        read
    }

    fn begin(&mut self, now_ms: i64) {
        self.complaint.clear();
        let mut command = self.command();
        // SAFETY: between fork and exec the closure makes one system call, which may be made there.
        unsafe { command.pre_exec(end_with_us) };
        let spawned = command.spawn().and_then(|mut child| {
            let entries = child.stdout.take();
            let complaints = child.stderr.take();
            let (Some(entries), Some(complaints)) = (entries, complaints) else {
                return Err(io::Error::other("no pipe"));
            };
            for fd in [entries.as_fd(), complaints.as_fd()] {
                fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            }
            // The two take turns less often. Where the kernel has no such room, it goes on as it is.
            fcntl(&entries, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap_or_default();
            Ok(Follower {
                child,
                entries,
                complaints,
            })
        });
        match spawned {
            Ok(follower) => {
                self.follower = Some(follower);
                self.state = State::Followed;
                self.counts.starts += 1;
            }
            Err(error) => {
                self.state = if error.kind() == io::ErrorKind::NotFound {
                    State::Absent
                } else {
                    State::Ended(format!("{}: {error}", self.program.display()))
                };
                self.wait(now_ms);
            }
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--follow").args(form(self.export.names()));
        match &self.from {
            From::Now => command.arg("--lines=0"),
            From::Since(seconds) => command.args(["--no-tail", &format!("--since=@{seconds}")]),
            From::Behind(position) if self.is_cursor_refused => {
                let seconds = position.time_us / 1_000_000;
                command.args(["--no-tail", &format!("--since=@{seconds}")])
            }
            From::Behind(position) => {
                // Not `--after-cursor`: where that entry is deleted, it would leave out the one behind it.
                command.args(["--no-tail", &format!("--cursor={}", position.cursor)])
            }
        };
        if !self.matches.is_empty() {
            command.args(Matches::arguments(&self.matches));
            command.arg("+").arg(format!("MESSAGE_ID={SUPPRESSED_ID}"));
        }
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn end(&mut self, now_ms: i64) {
        self.export.end();
        let Some(mut follower) = self.follower.take() else {
            return;
        };
        listen(&mut follower.complaints, &mut self.complaint);
        let status = stop(&mut follower.child);
        let why = match (self.complaint.trim(), status) {
            ("", Ok(status)) => status.to_string(),
            ("", Err(error)) => error.to_string(),
            (complaint, _) => complaint.to_owned(),
        };
        self.is_cursor_refused |= why.contains("cursor");
        self.state = State::Ended(why);
        self.wait(now_ms);
    }

    fn wait(&mut self, now_ms: i64) {
        self.again_ms = now_ms.saturating_add(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS.1);
    }
}

/// Whoever kills this process leaves no journalctl behind.
fn end_with_us() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(
        nix::sys::signal::Signal::SIGKILL,
    )?)
}

/// Arguments that say how an entry is written: JSON takes `journalctl` two to three times as long. Without
/// `--all` a long field would be left out, which would be a way to hide.
fn form(names: &[String]) -> [String; 5] {
    // What begins like this comes in any case.
    let fields = names.iter().filter(|name| !name.starts_with("__"));
    let fields: Vec<&str> = fields.map(String::as_str).collect();
    [
        "--no-pager".to_owned(),
        "--quiet".to_owned(),
        "--all".to_owned(),
        "--output=export".to_owned(),
        format!("--output-fields={}", fields.join(",")),
    ]
}

impl Drop for JournalReader {
    fn drop(&mut self) {
        if let Some(follower) = &mut self.follower {
            // Nobody is left who could be told.
            let _ = stop(&mut follower.child);
        }
    }
}

fn stop(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    // It may have ended by itself.
    let _ = child.kill();
    child.wait()
}

/// Keeps the end of what is written there.
fn listen(complaints: &mut ChildStderr, kept: &mut String) {
    let mut buffer = [0; 1024];
    // Bounded: a program that writes without end must not keep us here.
    for _ in 0..64 {
        let Ok(read @ 1..) = complaints.read(&mut buffer) else {
            return;
        };
        kept.push_str(&String::from_utf8_lossy(&buffer[..read]));
        while kept.len() > MOST_COMPLAINT {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests;
