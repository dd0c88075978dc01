//! The small values that files and the command line share: names, comments, and the complaint about
//! a value that cannot be used.

use std::fmt;

/// A value that cannot be used, and a way out. Where it stands is known to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// What is wrong, with the value.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

/// Longest value that a message repeats in full.
const EXCERPT_CHARS: usize = 60;
/// Longest comment of a rule, in characters.
const MAX_COMMENT_CHARS: usize = 250;
/// The kernel's IFNAMSIZ, less the closing zero.
const MAX_INTERFACE_BYTES: usize = 15;
/// Longest name of a set.
const MAX_SET_NAME_BYTES: usize = 64;

impl BadValue {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The text as a terminal may show it: what would move its cursor or change its colours is written out.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_debug());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// At most so many characters of a text, in printable ASCII: what strangers wrote, for a terminal or a log.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let printable = |letter: char| match letter {
        ' '..='~' => letter,
        _ => '?',
    };
    text.chars().take(most).map(printable).collect()
}

/// The value in double quotes, without control characters, cut when it is long.
pub(crate) fn quoted(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(EXCERPT_CHARS).is_some() {
        text.push('…');
    }
    format!("\"{text}\"").replace("\\'", "'")
}

/// Checks the name of a network interface.
pub(crate) fn interface_name(name: &str) -> Result<String, BadValue> {
    let bad = |why: &str| BadValue::new(format!("interface {} {why}", quoted(name)));
    if name.is_empty() {
        return Err(bad("is empty").help("name an interface as `ip link` shows it, e.g. eth0"));
    }
    if name.len() > MAX_INTERFACE_BYTES {
        return Err(bad("is longer than 15 bytes, too long for an interface")
            .help("`ip link` lists the interfaces of this machine"));
    }
    if name.contains(':') {
        return Err(
            bad("is an alias, which the kernel keeps as an address only")
                .help("name the interface before the `:`, and the address with `to`"),
        );
    }
    if name == "."
        || name == ".."
        || name.contains('/')
        || name.contains('*')
        || name
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control())
    {
        return Err(bad("is not an interface name")
            .help("name one interface as `ip link` shows it, e.g. eth0"));
    }
    Ok(name.to_owned())
}

/// Checks a comment: it is printed to terminals, one line per rule.
pub(crate) fn comment(text: &str) -> Result<String, BadValue> {
    if text.chars().any(char::is_control) {
        return Err(
            BadValue::new(format!("comment {} has a control character", quoted(text)))
                .help("a comment is one line of plain text"),
        );
    }
    if text.chars().count() > MAX_COMMENT_CHARS {
        return Err(BadValue::new(format!(
            "comment {} is longer than {MAX_COMMENT_CHARS} characters",
            quoted(text)
        ))
        .help("shorten it"));
    }
    Ok(text.to_owned())
}

/// Checks the name of a set, without its `@`.
pub(crate) fn set_name(name: &str) -> Result<String, BadValue> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if name.is_empty() || name.len() > MAX_SET_NAME_BYTES || !is_plain {
        return Err(
            BadValue::new(format!("set name {} cannot be used", quoted(name)))
                .help("use letters, digits, `-` and `_`, at most 64 of them"),
        );
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_is_short_and_printable() {
        assert_eq!(quoted("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
        assert!(quoted(&"x".repeat(1 << 20)).len() < 80);
    }

    #[test]
    fn interface_names_follow_the_kernel() {
        for name in ["eth0", "enp1s0f0np0", "br-1234567890ab", "wg0.5", "veth@a"] {
            assert_eq!(interface_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "eth0:1",
            "sixteen-bytes-xx",
            "e h",
            "eth*",
        ] {
            assert!(interface_name(name).is_err(), "{name}");
        }
    }
}
