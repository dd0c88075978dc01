//! Lists of bans in every form that is read: what an entry says is written and read back the same, and neither who
//! stops early nor a source that comes in pieces makes another list of it.

use std::{
    convert::Infallible,
    io::{self, Read},
};

use guard_user::bans::{
    BanTerm, Prefix,
    lines::{Lines, ListEntry, Stopped, write_line},
};

/// An entry, as it stays when its line is gone.
#[derive(Debug, PartialEq, Eq)]
struct Owned {
    prefix: Prefix,
    term: Option<BanTerm>,
    reason: Option<String>,
}

impl From<ListEntry<'_>> for Owned {
    fn from(entry: ListEntry<'_>) -> Self {
        Self {
            prefix: entry.target.prefix,
            term: entry.term,
            reason: entry.reason.map(str::to_owned),
        }
    }
}

/// A source that gives a single byte at once.
struct Pieces<'i>(&'i [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

/// Whoever takes the entries has enough.
#[derive(Debug)]
struct Enough;

pub(crate) fn run(input: &[u8]) {
    let (lines, entries) = read(input);
    assert_eq!(lines.named, entries.len() as u64);
    entries.iter().for_each(comes_back);

    let half = entries.len() / 2;
    assert_eq!(read_up_to(input, half), entries[..half]);
    assert_eq!(read(Pieces(input)), (lines, entries));
}

fn comes_back(entry: &Owned) {
    let term = entry.term.unwrap_or(BanTerm::Permanent);
    let reason = entry.reason.as_deref().unwrap_or_default();
    let line = write_line(entry.prefix, term, reason);
    let (lines, read) = read(line.as_bytes());
    assert_eq!(lines.wrong, [], "{line}");
    let [again] = read.as_slice() else {
        panic!("{} entries: {line}", read.len());
    };
    assert_eq!(again.prefix, entry.prefix, "{line}");
    assert_eq!(again.term.unwrap_or(BanTerm::Permanent), term, "{line}");
}

fn read(source: impl Read) -> (Lines, Vec<Owned>) {
    let mut entries = Vec::new();
    let mut take = |entry: ListEntry<'_>| -> Result<Option<String>, Infallible> {
        entries.push(entry.into());
        Ok(None)
    };
    let lines = Lines::read(source, &mut take).expect("bytes can be read");
    (lines, entries)
}

/// The entries that somebody gets who leaves at the one behind the first `most`.
fn read_up_to(source: &[u8], most: usize) -> Vec<Owned> {
    let mut entries = Vec::new();
    let mut take = |entry: ListEntry<'_>| {
        if entries.len() == most {
            return Err(Enough);
        }
        entries.push(entry.into());
        Ok(None)
    };
    match Lines::read(source, &mut take) {
        Ok(_) | Err(Stopped::Left(Enough)) => entries,
        Err(Stopped::Unreadable(error)) => panic!("bytes cannot be read: {error}"),
    }
}
