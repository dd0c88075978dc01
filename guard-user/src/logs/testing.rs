//! For tests and the fuzzer: what comes of a text of the journal, without `journalctl`.

use super::{
    entry::{self, JournalEntry},
    export::Export,
};

/// A line, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// As filters know it.
    pub line: Vec<u8>,
    /// In milliseconds since 1970.
    pub time_ms: i64,
    /// Is only its beginning here?
    pub is_cut: bool,
}

/// What a stream in journald's export format says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Its entries, in order.
    pub lines: Vec<Read>,
    /// What is no entry, or no field.
    pub unreadable: u64,
    /// It could not be read to its end.
    pub is_broken: bool,
}

/// Reads such a stream in pieces of this size.
#[must_use]
pub fn read_export(stream: &[u8], size: usize) -> Exported {
    let mut export = Export::of(entry::names(&[]));
    let mut read = Exported::default();
    let mut line = Vec::new();
    for piece in stream.chunks(size.max(1)) {
        let pushed = export.push(piece, |names, fields| {
            match JournalEntry::of(names, fields, &mut line) {
                Some(entry) => read.lines.push(Read {
                    line: entry.line.to_vec(),
                    time_ms: entry.time_ms,
                    is_cut: entry.is_cut,
                }),
                None => read.unreadable += 1,
            }
        });
        if pushed.is_err() {
            read.is_broken = true;
            break;
        }
    }
    read.unreadable += export.take_unreadable();
    read
}
