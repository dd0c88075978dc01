//! Cuts in a text, and where its lines begin and end.

use std::ops::Range;

/// Replaces a part of a text.
#[derive(Debug)]
pub(super) struct Splice {
    at: Range<usize>,
    text: String,
}

impl Splice {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { at: at..at, text }
    }

    pub(super) fn replace(at: Range<usize>, text: &str) -> Self {
        Self {
            at,
            text: text.to_owned(),
        }
    }
}

/// The text with all splices made; new lines end as the others do.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> String {
    let has_crlf = text.contains("\r\n");
    splices.sort_by_key(|splice| splice.at.start);
    let mut result = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for Splice { at, text: new } in splices {
        result.push_str(&text[done..at.start.max(done)]);
        if has_crlf {
            result.push_str(&new.replace('\n', "\r\n"));
        } else {
            result.push_str(&new);
        }
        done = at.end.max(done);
    }
    result.push_str(&text[done..]);
    result
}

/// Offset of the line end at or after `at`, before any `\r`.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    if end > at && text.as_bytes()[end - 1] == b'\r' {
        end - 1
    } else {
        end
    }
}

/// Offset of the first byte of the line of `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |found| found + 1)
}
