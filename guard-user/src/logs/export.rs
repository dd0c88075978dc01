//! What `journalctl --output=export` writes, from bytes to fields, in bounded memory: a field is a line
//! `NAME=VALUE`; one that holds a line feed or is no text is `NAME`, its length in eight bytes, and the value. An
//! empty line ends the entry.

use std::ops::Range;

/// Bytes of a value that are kept: more than of any line that is handed on, so that who reads on sees that
/// it was longer.
const MOST_VALUE_BYTES: usize = 96 * 1024;
/// Bytes of all values of an entry that are kept.
const MOST_ENTRY_BYTES: usize = 1 << 20;
/// Values of an entry that are kept.
const MOST_VALUES: usize = 1024;
/// Longest name; journald takes 64 bytes.
const MOST_NAME_BYTES: usize = 256;
/// Longest value that there can be; journald takes 768 MiB. Whatever says more is no such stream.
const MOST_LENGTH: u64 = 1 << 30;

/// The fields of an entry that are wanted.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: Vec<u8>,
    /// The number of the name, and where its value is.
    values: Vec<(usize, Range<usize>)>,
    /// There is no room for the value that is read now.
    is_left_out: bool,
}

impl Fields {
    /// The values of a field by the number of its name; an entry may have several.
    pub(super) fn of(&self, name: usize) -> impl Iterator<Item = &[u8]> {
        let values = self.values.iter().filter(move |(found, _)| *found == name);
        values.map(|(_, range)| &self.text[range.clone()])
    }

    fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
    }

    fn begin(&mut self, name: usize) {
        self.is_left_out = self.values.len() >= MOST_VALUES;
        if !self.is_left_out {
            let end = self.text.len();
            self.values.push((name, end..end));
        }
    }

    /// Adds bytes to the value that was begun last, as far as there is room.
    fn add(&mut self, bytes: &[u8]) {
        let Some((_, range)) = self.values.last_mut().filter(|_| !self.is_left_out) else {
            return;
        };
        let room = MOST_VALUE_BYTES.saturating_sub(range.len());
        let room = room.min(MOST_ENTRY_BYTES.saturating_sub(self.text.len()));
        let kept = &bytes[..bytes.len().min(room)];
        self.text.extend_from_slice(kept);
        range.end += kept.len();
    }
}

/// The stream is not what it should be, and there is no telling where the next entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenStream;

/// Where in an entry reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    /// In a line.
    Line,
    /// In the eight bytes that say how long a value is.
    Length { name: Option<usize> },
    /// In a value, of which so many bytes are left, and then a line feed.
    Value { is_wanted: bool, left: u64 },
}

/// Reads the stream.
#[derive(Debug)]
pub(super) struct Export {
    /// The fields that are wanted.
    names: Vec<String>,
    place: ParserState,
    /// The beginning of what is not whole yet.
    partial: Vec<u8>,
    fields: Fields,
    /// Lines that are no fields.
    unreadable: u64,
}

impl Export {
    /// For fields of these names.
    pub(super) fn of(names: Vec<String>) -> Self {
        Self {
            names,
            place: ParserState::Line,
            partial: Vec::new(),
            fields: Fields::default(),
            unreadable: 0,
        }
    }

    /// The names of what is wanted, by number.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes the next bytes, and hands on each entry that they complete.
    ///
    /// # Errors
    /// The stream cannot be read on.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[String], &Fields),
    ) -> Result<(), BrokenStream> {
        while !bytes.is_empty() {
            bytes = match self.place {
                ParserState::Line => self.line(bytes, &mut each),
                ParserState::Length { name } => self.length(name, bytes)?,
                ParserState::Value { is_wanted, left } => self.value(is_wanted, left, bytes)?,
            };
        }
        Ok(())
    }

    /// The stream ends here; another may begin.
    pub(super) fn end(&mut self) {
        self.place = ParserState::Line;
        self.partial.clear();
        self.fields.clear();
    }

    /// Lines since the last call that are no fields.
    pub(super) fn take_unreadable(&mut self) -> u64 {
        std::mem::take(&mut self.unreadable)
    }

    fn line<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(&[String], &Fields)) -> &'b [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        if self.partial.is_empty() {
            self.whole_line(line, each);
        } else {
            self.keep(line);
            let partial = std::mem::take(&mut self.partial);
            self.whole_line(&partial, each);
            self.partial = partial;
            self.partial.clear();
        }
        rest
    }

    /// What does not fit is of a value that is too long anyway.
    fn keep(&mut self, bytes: &[u8]) {
        let room = (MOST_NAME_BYTES + MOST_VALUE_BYTES).saturating_sub(self.partial.len());
        self.partial
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn whole_line(&mut self, line: &[u8], each: &mut impl FnMut(&[String], &Fields)) {
        if line.is_empty() {
            if !self.fields.values.is_empty() {
                each(&self.names, &self.fields);
            }
            self.fields.clear();
            return;
        }
        let name_end = memchr::memchr(b'=', &line[..line.len().min(MOST_NAME_BYTES)]);
        let name = &line[..name_end.unwrap_or(line.len())];
        if !is_name(name) {
            self.unreadable += 1;
            return;
        }
        let number = self.names.iter().position(|known| known.as_bytes() == name);
        let Some(name_end) = name_end else {
            self.place = ParserState::Length { name: number };
            return;
        };
        if let Some(number) = number {
            self.fields.begin(number);
            self.fields.add(&line[name_end + 1..]);
        }
    }

    fn length<'b>(
        &mut self,
        name: Option<usize>,
        bytes: &'b [u8],
    ) -> Result<&'b [u8], BrokenStream> {
        let wanted = size_of::<u64>() - self.partial.len();
        let (more, rest) = bytes.split_at(bytes.len().min(wanted));
        self.partial.extend_from_slice(more);
        if let Ok(length) = <[u8; 8]>::try_from(self.partial.as_slice()) {
            self.partial.clear();
            let left = u64::from_le_bytes(length);
            if left > MOST_LENGTH {
                return Err(BrokenStream);
            }
            if let Some(name) = name {
                self.fields.begin(name);
            }
            self.place = ParserState::Value {
                is_wanted: name.is_some(),
                left,
            };
        }
        Ok(rest)
    }

    fn value<'b>(
        &mut self,
        is_wanted: bool,
        left: u64,
        bytes: &'b [u8],
    ) -> Result<&'b [u8], BrokenStream> {
        let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (value, rest) = bytes.split_at(here);
        if is_wanted {
            self.fields.add(value);
        }
        let left = left - here as u64;
        self.place = ParserState::Value { is_wanted, left };
        match rest.split_first() {
            None => Ok(rest),
            Some((b'\n', rest)) => {
                self.place = ParserState::Line;
                Ok(rest)
            }
            Some(_) => Err(BrokenStream),
        }
    }
}

fn is_name(name: &[u8]) -> bool {
    let may_be = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    !name.is_empty() && name.len() < MOST_NAME_BYTES && name.iter().all(may_be)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"__CURSOR=c1\nOTHER=x\nMESSAGE=a = b\n_COMM=\n\n\
        __CURSOR=c2\nMESSAGE\n\x05\0\0\0\0\0\0\0x\n\0\xff\n\nOTHER\n\x01\0\0\0\0\0\0\0\n\n_COMM=one\n_COMM=two\n\n\
        __CURSOR=c3\nMESS";

    /// Each entry as `NAME=VALUE` of what is wanted.
    fn entries(text: &[u8], size: usize) -> (Vec<Vec<String>>, Result<(), BrokenStream>, Export) {
        let names = ["__CURSOR", "MESSAGE", "_COMM"].map(str::to_owned);
        let mut export = Export::of(names.to_vec());
        let mut found = Vec::new();
        let mut end = Ok(());
        for chunk in text.chunks(size) {
            end = export.push(chunk, |names, fields| {
                let of = |(number, name): (usize, &String)| {
                    let values: Vec<String> = fields
                        .of(number)
                        .map(|value| format!("{name}={}", value.escape_ascii()))
                        .collect();
                    values
                };
                found.push(names.iter().enumerate().flat_map(of).collect());
            });
            if end.is_err() {
                break;
            }
        }
        (found, end, export)
    }

    #[test]
    fn entries_come_out_whole_however_they_come_in() {
        for size in 1..=TEXT.len() {
            let (found, end, mut export) = entries(TEXT, size);
            assert_eq!(
                found,
                [
                    ["__CURSOR=c1", "MESSAGE=a = b", "_COMM="].to_vec(),
                    [
                        "__CURSOR=c2",
                        r"MESSAGE=x\n\x00\xff\n",
                        "_COMM=one",
                        "_COMM=two"
                    ]
                    .to_vec(),
                ],
                "{size}"
            );
            assert_eq!((end, export.take_unreadable()), (Ok(()), 0));
            // A third one has begun; it ends with the stream.
            export.end();
            let mut others = 0;
            assert_eq!(export.push(b"AGE=x\n\n", |_, _| others += 1), Ok(()));
            assert_eq!(others, 0, "{size}");
        }
    }

    #[test]
    fn values_of_any_length_take_bounded_memory() {
        let long = vec![b'y'; 10 << 20];
        let length = (long.len() as u64).to_le_bytes();
        let text = [b"__CURSOR=c\nMESSAGE=", &long[..], b"\n\n"].concat();
        let binary = [b"__CURSOR=c\nMESSAGE\n", &length[..], &long, b"\n\n"].concat();
        let other = [b"__CURSOR=c\nOTHER\n", &length[..], &long, b"\n\n"].concat();
        let many = [b"__CURSOR=c\n", &b"_COMM=x\n".repeat(1 << 20)[..], b"\n"].concat();
        for (text, most) in [
            (text, MOST_VALUE_BYTES + 100),
            (binary, MOST_VALUE_BYTES + 100),
            (other, 100),
            (many, MOST_VALUES + 100),
        ] {
            for size in [4096, text.len()] {
                let mut export =
                    Export::of(["__CURSOR", "MESSAGE", "_COMM"].map(str::to_owned).to_vec());
                let mut found = Vec::new();
                for chunk in text.chunks(size) {
                    let read = export.push(chunk, |_, fields| found.push(fields.text.len()));
                    assert_eq!(read, Ok(()));
                }
                assert_eq!(found.len(), 1);
                assert!(found[0] <= most, "{}", found[0]);
                assert!(export.partial.capacity() <= 4 * MOST_VALUE_BYTES);
                assert!(export.fields.values.capacity() <= 2 * MOST_VALUES);
            }
        }
    }

    #[test]
    fn nonsense_is_counted_and_what_has_no_end_is_refused() {
        let (found, end, mut export) = entries(b"nonsense\n\n=x\n__CURSOR=c\n\nlower=x\n", 1000);
        assert_eq!((found.len(), end, export.take_unreadable()), (1, Ok(()), 3));
        for text in [
            &b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"MESSAGE\n\x01\0\0\0\0\0\0\0xx",
        ] {
            for size in [1, text.len()] {
                assert_eq!(entries(text, size).1, Err(BrokenStream), "{text:?}");
            }
        }
    }
}
