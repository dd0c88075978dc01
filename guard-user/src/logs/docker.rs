//! Logs of containers as Docker's `json-file` writes them: from one entry per line to the lines that
//! the container wrote. Which files those are is a matter of `containers`.

mod clock;
mod containers;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use clock::Clock;

pub use containers::{ContainerLogs, DAEMON_JSON, Unread, Why, log_files, root};

use super::line::{MAX_LINE_BYTES, whole_words};

/// Longest entry of a `json-file`: Docker cuts lines at 16 KiB, JSON writes a control character as six
/// bytes, and labels may stand behind. Whoever reads such a file must not cut its lines before that.
pub const MAX_ENTRY_BYTES: usize = 128 * 1024;
/// Docker cuts what a container writes without a line feed into parts of so many bytes. A part that is
/// shorter is the last of a container that ended.
const PART_BYTES: usize = 16 * 1024;
/// Files with a line that has only begun; more of them push out the oldest.
const MOST_FILES: usize = 128;

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DockerCounts {
    /// Lines that were handed on.
    pub lines: u64,
    /// Lines of the files that are no entries.
    pub unreadable: u64,
    /// Lines that were too long, of which only the beginning was handed on.
    pub cut: u64,
    /// Lines of which a part is missing, because it could not be read, or never came: the container or
    /// the engine ended.
    pub unfinished: u64,
}

/// One entry, as far as it matters here.
#[derive(Deserialize)]
struct DockerEntry<'l> {
    #[serde(borrow)]
    log: Cow<'l, str>,
    #[serde(borrow, default)]
    stream: Cow<'l, str>,
    #[serde(borrow, default)]
    time: Cow<'l, str>,
}

/// A line of which not all parts have come.
#[derive(Debug)]
enum Begun {
    Parts(Parts),
    /// A part could not be read: what is behind it must not look like a line of its own.
    Lost,
}

#[derive(Debug)]
struct Parts {
    /// At most [`MAX_LINE_BYTES`].
    text: Vec<u8>,
    is_cut: bool,
    time: String,
    last_bytes: usize,
}

impl Parts {
    fn add(&mut self, part: &str) {
        let room = MAX_LINE_BYTES - self.text.len();
        let kept = part.len().min(room);
        self.text.extend_from_slice(&part.as_bytes()[..kept]);
        self.is_cut |= kept < part.len();
        self.last_bytes = part.len();
    }

    /// All parts of a line have the time of the first. Engines before 18.03 gave each its own, and no
    /// engine goes on behind a short part.
    fn go_on_with(&self, time: &str) -> bool {
        self.time == time || self.last_bytes >= PART_BYTES
    }
}

/// The begun lines of one file.
#[derive(Debug, Default)]
struct OfFile {
    stdout: Option<Begun>,
    stderr: Option<Begun>,
    touched: u64,
}

impl OfFile {
    fn of(&mut self, stream: &str) -> &mut Option<Begun> {
        match stream {
            "stderr" => &mut self.stderr,
            _ => &mut self.stdout,
        }
    }
}

/// Turns entries into lines. One decoder reads all files.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: HashMap<PathBuf, OfFile>,
    touches: u64,
    clock: Clock,
    counts: DockerCounts,
}

impl Decoder {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line of a file, and hands on the line of the container that it completes: its
    /// bytes without the line feed, and when Docker got them, in milliseconds since 1970.
    pub fn line(&mut self, path: &Path, bytes: &[u8], each: &mut dyn FnMut(&[u8], Option<i64>)) {
        let Ok(entry) = serde_json::from_slice::<DockerEntry<'_>>(bytes) else {
            self.unreadable(path, bytes);
            return;
        };
        let (part, is_end) = match entry.log.strip_suffix('\n') {
            Some(part) => (part, true),
            None => (entry.log.as_ref(), false),
        };
        let parts = match self.take(path, &entry.stream) {
            Some(Begun::Lost) => {
                if is_end {
                    self.counts.unfinished += 1;
                } else {
                    *self.of_file(path).of(&entry.stream) = Some(Begun::Lost);
                }
                return;
            }
            Some(Begun::Parts(parts)) if parts.go_on_with(&entry.time) => Some(parts),
            Some(Begun::Parts(_)) => {
                self.counts.unfinished += 1;
                None
            }
            None => None,
        };
        if parts.is_none() && is_end {
            self.hand_on(part.as_bytes(), false, &entry.time, each);
            return;
        }
        let mut parts = parts.unwrap_or_else(|| Parts {
            text: Vec::new(),
            is_cut: false,
            time: entry.time.into_owned(),
            last_bytes: 0,
        });
        parts.add(part);
        if is_end {
            self.hand_on(&parts.text, parts.is_cut, &parts.time, each);
        } else {
            *self.of_file(path).of(&entry.stream) = Some(Begun::Parts(parts));
        }
    }

    /// Is a line in the making, in any file?
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// What happened since the last call.
    pub fn take_counts(&mut self) -> DockerCounts {
        std::mem::take(&mut self.counts)
    }

    fn unreadable(&mut self, path: &Path, bytes: &[u8]) {
        self.counts.unreadable += 1;
        // The beginning of an entry: which stream it was of stood behind it.
        if bytes.starts_with(b"{\"log\":") {
            let of_file = self.of_file(path);
            of_file.stdout = Some(Begun::Lost);
            of_file.stderr = Some(Begun::Lost);
        }
    }

    fn hand_on(
        &mut self,
        text: &[u8],
        is_cut: bool,
        time: &str,
        each: &mut dyn FnMut(&[u8], Option<i64>),
    ) {
        self.counts.lines += 1;
        let mut text = Cow::Borrowed(text);
        // One entry is one line: what follows a line feed must not look like the next one.
        if memchr::memchr(b'\n', &text).is_some() {
            let parts: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            text = Cow::Owned(parts.join(&b"\\n"[..]));
        }
        let time_ms = self.clock.read(time);
        if is_cut || text.len() > MAX_LINE_BYTES {
            self.counts.cut += 1;
            let kept = text.len().min(MAX_LINE_BYTES);
            each(whole_words(&text[..kept]), time_ms);
        } else {
            each(&text, time_ms);
        }
    }

    /// Takes out what has begun; nearly always, nothing has.
    fn take(&mut self, path: &Path, stream: &str) -> Option<Begun> {
        if self.begun.is_empty() {
            return None;
        }
        let of_file = self.begun.get_mut(path)?;
        let begun = of_file.of(stream).take();
        if of_file.stdout.is_none() && of_file.stderr.is_none() {
            self.begun.remove(path);
        }
        begun
    }

    fn of_file(&mut self, path: &Path) -> &mut OfFile {
        if self.begun.len() >= MOST_FILES && !self.begun.contains_key(path) {
            self.forget_oldest();
        }
        self.touches += 1;
        let of_file = self.begun.entry(path.to_path_buf()).or_default();
        of_file.touched = self.touches;
        of_file
    }

    fn forget_oldest(&mut self) {
        let oldest = self.begun.iter().min_by_key(|(_, file)| file.touched);
        let Some(path) = oldest.map(|(path, _)| path.clone()) else {
            return;
        };
        if let Some(file) = self.begun.remove(&path) {
            let lines = [file.stdout, file.stderr].into_iter().flatten();
            self.counts.unfinished += lines.count() as u64;
        }
    }
}
