//! Edits of a text that somebody wrote: it is cut and joined at the places that the TOML parser reports, and
//! every byte that an edit is not about stays. Printing a document anew would not keep its line ends.

use std::ops::Range;

/// Replaces a part of a text.
#[derive(Debug)]
pub(crate) struct Splice {
    at: Range<usize>,
    text: String,
}

impl Splice {
    pub(crate) fn insert(at: usize, text: String) -> Self {
        Self { at: at..at, text }
    }

    pub(crate) fn replace(at: Range<usize>, text: &str) -> Self {
        Self {
            at,
            text: text.to_owned(),
        }
    }
}

/// The text with all splices made; new lines end as the others do.
pub(crate) fn apply(text: &str, mut splices: Vec<Splice>) -> String {
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
pub(crate) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    if end > at && text.as_bytes()[end - 1] == b'\r' {
        end - 1
    } else {
        end
    }
}

/// Offset of the first byte of the line of `at`.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |found| found + 1)
}

/// Offset after the line end that follows `at`.
pub(crate) fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |found| at + found + 1)
}

/// What must stand between the end of a text and a new paragraph.
pub(crate) fn gap_at_end(text: &str) -> &'static str {
    if text.is_empty() || text.ends_with("\n\n") || text.ends_with("\n\r\n") {
        ""
    } else if text.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    }
}

/// A text in quotes, which TOML calls a basic string.
pub(crate) fn basic_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
