//! A list as it comes in: from a file, a pipe or standard input, line by line. Whatever it is, no more than one line of
//! it is held, it ends, and a pipe that nobody writes into is given up.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most that is read of a list: ten million lines.
pub const LARGEST: u64 = 512 << 20;
/// Longest line in bytes.
pub const LONGEST_LINE: usize = 4096;
/// What some editors write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How long a pipe with a name may be silent.
const PATIENCE_S: u16 = 30;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw<'l> {
    /// Its bytes, without its end.
    Line(&'l [u8]),
    /// It is longer than [`LONGEST_LINE`].
    TooLong,
}

/// The lines of a list.
#[derive(Debug)]
pub struct RawLines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    read: u64,
    largest: u64,
}

impl<R: Read> RawLines<R> {
    /// Of what this reads.
    pub fn new(source: R) -> Self {
        Self::up_to(source, LARGEST)
    }

    fn up_to(source: R, largest: u64) -> Self {
        Self {
            reader: BufReader::with_capacity(1 << 16, source),
            line: Vec::new(),
            read: 0,
            largest,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// What the source says, and `FileTooLarge` when it does not end.
    pub fn next_line(&mut self) -> io::Result<Option<Raw<'_>>> {
        self.line.clear();
        let is_first = self.read == 0;
        let mut is_long = false;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if self.line.is_empty() && !is_long {
                    return Ok(None);
                }
                break;
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            is_long |= self.line.len() + part.len() > LONGEST_LINE;
            if !is_long {
                self.line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.read += taken as u64;
            self.reader.consume(taken);
            if self.read > self.largest {
                let why = format!("larger than {} MB", self.largest >> 20);
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
            if end.is_some() {
                break;
            }
        }
        if is_long {
            return Ok(Some(Raw::TooLong));
        }
        let line = self.line.strip_prefix(BYTE_ORDER_MARK);
        let line = line.filter(|_| is_first).unwrap_or(&self.line);
        Ok(Some(Raw::Line(line)))
    }
}

/// Opens a list that a command names: a file, or a pipe like that of `<(curl …)`.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    // Without O_NONBLOCK, opening a pipe waits for whoever writes into it, for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        Ok(Box::new(PatientPipe(file)))
    } else {
        Ok(Box::new(file))
    }
}

/// A pipe that is waited for, but not for ever.
#[derive(Debug)]
struct PatientPipe(File);

impl Read for PatientPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(PATIENCE_S * 1000)) {
            Ok(0) => {
                let why = format!("nobody has written into this pipe for {PATIENCE_S} s");
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
            Ok(_) => self.0.read(buffer),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: impl Read) -> Vec<Option<String>> {
        let mut lines = RawLines::new(source);
        let mut found = Vec::new();
        while let Some(raw) = lines.next_line().expect("read") {
            found.push(match raw {
                Raw::Line(line) => Some(String::from_utf8_lossy(line).into_owned()),
                Raw::TooLong => None,
            });
        }
        found
    }

    #[test]
    fn lines_are_read_one_by_one_however_they_end() {
        let of = |texts: &[&str]| -> Vec<Option<String>> {
            texts.iter().map(|text| Some((*text).to_owned())).collect()
        };
        for (text, lines) in [
            ("", of(&[])),
            ("a", of(&["a"])),
            ("a\n", of(&["a"])),
            ("\n\na\r\nb", of(&["", "", "a\r", "b"])),
            ("\u{feff}a\n\u{feff}b", of(&["a", "\u{feff}b"])),
        ] {
            let text = text.as_bytes();
            assert_eq!(read(text), lines, "{}", text.escape_ascii());
            let (first, rest) = text.split_at(text.len().min(1));
            assert_eq!(read(first.chain(rest)), lines, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_not_held() {
        let long = [b"x".repeat(1 << 20), b"\nb\n".to_vec()].concat();
        assert_eq!(read(long.as_slice()), [None, Some("b".to_owned())]);
        let mut lines = RawLines::new(long.as_slice());
        lines.next_line().expect("read");
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE);
    }

    #[test]
    fn what_does_not_end_is_left_and_the_limit_is_said() {
        for endless in [&b"\0"[..], b"1.2.3.4\n"] {
            let endless = io::repeat(endless[0]).chain(endless);
            let mut lines = RawLines::up_to(endless, 4 << 20);
            let error = loop {
                match lines.next_line() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it has no end"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.to_string(), "larger than 4 MB");
        }
    }
}
