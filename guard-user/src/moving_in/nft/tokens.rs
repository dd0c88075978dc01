//! The text of a ruleset of nftables as words, with their lines.

use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};

/// A word, a mark of punctuation, a text in quotation marks or the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
    /// Did it stand in quotation marks? Then it is no keyword.
    pub(super) is_quoted: bool,
}

impl Token {
    /// Is it this word or mark?
    pub(super) fn is(&self, text: &str) -> bool {
        !self.is_quoted && self.text == text
    }

    /// Does a statement end here?
    pub(super) fn ends_statement(&self) -> bool {
        self.is("\n") || self.is(";")
    }
}

/// Marks that are words of their own. `:` and `/` are not: they stand in addresses.
const MARKS: &[char] = &['{', '}', '(', ')', ',', ';', '|', '&'];

/// The words of a text.
///
/// # Errors
/// When a quotation has no end.
pub(super) fn tokens(name: &str, text: &str) -> Result<Vec<Token>, Failure> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let mut push = |text: &str, is_quoted| {
            found.push(Token {
                text: text.to_owned(),
                line: line_number,
                is_quoted,
            });
        };
        let mut rest = line.trim();
        let mut goes_on = false;
        while let Some(first) = rest.chars().next() {
            let length = first.len_utf8();
            if first == '#' {
                break;
            }
            if first.is_whitespace() {
                rest = rest[length..].trim_start();
            } else if MARKS.contains(&first) {
                push(&rest[..length], false);
                rest = &rest[length..];
            } else if first == '"' {
                let Some(end) = rest[1..].find('"') else {
                    return Err(Failure::new(
                        Exit::BadConfiguration,
                        format!(
                            "{name}:{line_number}: a quotation without an end: {}",
                            quoted(line.trim())
                        ),
                    )
                    .help("save the ruleset again with `nft list ruleset`"));
                };
                push(&rest[1..=end], true);
                rest = &rest[end + 2..];
            } else if rest == "\\" {
                goes_on = true;
                rest = "";
            } else {
                let end = rest
                    .find(|letter: char| {
                        letter.is_whitespace() || letter == '"' || MARKS.contains(&letter)
                    })
                    .unwrap_or(rest.len());
                push(&rest[..end], false);
                rest = &rest[end..];
            }
        }
        if !goes_on {
            push("\n", false);
        }
    }
    Ok(found)
}
