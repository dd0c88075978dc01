//! Bytes to lines, in bounded memory. What is not yet a whole line is never handed on: half of an
//! address is the address of somebody else.

/// Longest line that is handed on; what is behind that is skipped.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What happened to the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that were handed on.
    pub lines: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines that were too long, of which only the beginning was handed on.
    pub cut: u64,
    /// Lines whose end never came, because their file was truncated or given up.
    pub unfinished: u64,
}

impl LineCounts {
    pub(super) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.cut += other.cut;
        self.unfinished += other.unfinished;
    }
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Bytes of a line that are kept.
    most: usize,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes of that line so far, those that were skipped included.
    length: u64,
    counts: LineCounts,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::of(MAX_LINE_BYTES)
    }
}

impl Splitter {
    /// For lines of at most so many bytes.
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            partial: Vec::new(),
            length: 0,
            counts: LineCounts::default(),
        }
    }

    /// Takes the next bytes, and hands on each line that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        self.counts.bytes += bytes.len() as u64;
        while let Some(end) = memchr(bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            self.counts.lines += 1;
            if self.partial.is_empty() && self.length == 0 && line.len() <= self.most {
                each(line);
                continue;
            }
            self.keep(line);
            if self.length > self.most as u64 {
                self.counts.cut += 1;
                each(whole_words(&self.partial));
            } else {
                each(&self.partial);
            }
            self.partial.clear();
            self.length = 0;
        }
        self.keep(bytes);
    }

    /// Bytes since the last line feed.
    pub(super) fn pending(&self) -> u64 {
        self.length
    }

    /// The stream ends here, or goes on with something else.
    pub(super) fn end(&mut self) {
        self.counts.unfinished += u64::from(self.length > 0);
        self.partial.clear();
        self.length = 0;
    }

    /// What happened since the last call.
    pub(super) fn take_counts(&mut self) -> LineCounts {
        std::mem::take(&mut self.counts)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most - self.partial.len();
        self.partial
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }
}

/// The position of the next line feed.
fn memchr(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

/// Without the last word, which may be half of one.
pub(super) fn whole_words(cut: &[u8]) -> &[u8] {
    let end = cut.iter().rposition(u8::is_ascii_whitespace);
    &cut[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Splitter) {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| found.push(line.to_vec()));
        }
        (found, splitter)
    }

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        let text = b"one\n\ntwo\r\nth\0ree\xff\nfour";
        for size in 1..text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            let (found, splitter) = lines(&chunks);
            assert_eq!(
                found,
                [&b"one"[..], b"", b"two\r", b"th\0ree\xff"],
                "{size}"
            );
            assert_eq!(splitter.pending(), 4);
        }
    }

    #[test]
    fn a_long_line_is_cut_behind_a_whole_word_and_the_next_is_whole() {
        let long = [
            b"a ".repeat(MAX_LINE_BYTES / 2 - 2),
            b"203.0.113.77 x".repeat(100_000),
        ]
        .concat();
        for size in [1000, 65_536, 10_000_000] {
            let text = [&long[..], b"\nnext\n"].concat();
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            let (found, mut splitter) = lines(&chunks);
            assert_eq!(found.len(), 2, "{size}");
            assert!(
                found[0].len() < MAX_LINE_BYTES && found[0].ends_with(b" a"),
                "{size}"
            );
            assert_eq!(found[1], b"next");
            let counts = splitter.take_counts();
            assert_eq!((counts.lines, counts.cut, counts.unfinished), (2, 1, 0));
            assert_eq!(counts.bytes, text.len() as u64);
            assert!(splitter.partial.capacity() <= 2 * MAX_LINE_BYTES);
        }
        let word = [&b"x".repeat(1 << 20)[..], b"\n"].concat();
        assert_eq!(lines(&[&word]).0, [b""]);
    }

    #[test]
    fn a_line_of_the_most_bytes_is_whole_and_one_without_an_end_is_none() {
        let most = b"y".repeat(MAX_LINE_BYTES);
        let (found, mut splitter) = lines(&[&most, b"\nrest"]);
        assert_eq!(found, [most]);
        splitter.end();
        assert_eq!(splitter.pending(), 0);
        let counts = splitter.take_counts();
        assert_eq!((counts.cut, counts.unfinished), (0, 1));
    }
}
