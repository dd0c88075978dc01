//! Names of hosts as rules have them: what DNS can hold, and nothing that could be meant as an address, a set or
//! a word.

use super::value::{BadValue, quoted};

/// Longest name (RFC 1035, 2.3.4), without the dot at its end.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Could this word be meant as the name of a host?
#[must_use]
pub(super) fn looks_like_name(word: &str) -> bool {
    word.contains('.')
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Is this the whole name of a host?
#[must_use]
pub(crate) fn is_name(word: &str) -> bool {
    looks_like_name(word) && parse(word).is_ok()
}

/// Reads a name: at least two labels, in lower case, without the dot at its end.
///
/// # Errors
/// When DNS has no such name; what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<String, BadValue> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let problem = |what: &str| {
        BadValue::new(format!(
            "{} is not the name of a host: {what}",
            quoted(text)
        ))
        .help("write the whole name, e.g. home.example.org")
    };
    if name.len() > MAX_NAME {
        return Err(problem("it has more than 253 letters"));
    }
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2 {
        return Err(problem("it has no domain"));
    }
    for label in &labels {
        if label.is_empty() {
            return Err(problem("two dots stand together, or one at its beginning"));
        }
        if label.len() > MAX_LABEL {
            return Err(problem("a part of it has more than 63 letters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(problem("a part of it begins or ends with `-`"));
        }
        if !label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(problem("it has a letter that names do not have"));
        }
    }
    // A resolver takes 10.1 and 0x7f.1 for addresses.
    let last = labels.last().copied().unwrap_or_default();
    if last.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Err(problem("its last part begins with a digit"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_one_form() {
        for (text, name) in [
            ("home.example.org", "home.example.org"),
            ("Home.Example.ORG.", "home.example.org"),
            ("a.b", "a.b"),
            ("_dmarc.example.org", "_dmarc.example.org"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("4.example4", "4.example4"),
        ] {
            assert!(looks_like_name(text), "{text}");
            assert_eq!(parse(text), Ok(name.to_owned()));
        }
    }

    #[test]
    fn what_dns_does_not_hold_or_a_resolver_takes_for_an_address_is_no_name() {
        let long_label = format!("{}.org", "a".repeat(64));
        let long = vec!["a"; 128].join(".");
        for (text, named) in [
            ("example", "no domain"),
            ("", "no domain"),
            (".", "no domain"),
            ("a..b", "two dots"),
            (".a.b", "two dots"),
            ("-a.b", "begins or ends with `-`"),
            ("a.b-", "begins or ends with `-`"),
            ("a/b.c", "letter that names do not have"),
            ("bücher.example", "letter that names do not have"),
            ("a.b\n", "no name"),
            ("10.1", "begins with a digit"),
            ("0x7f.1", "begins with a digit"),
            ("1.2.3.4", "begins with a digit"),
            (long_label.as_str(), "more than 63"),
            (long.as_str(), "more than 253"),
        ] {
            match parse(text) {
                Err(bad) => assert!(bad.message.contains(named), "{text}: {}", bad.message),
                // A newline at the end is space.
                Ok(name) => assert_eq!((text, name.as_str()), ("a.b\n", "a.b")),
            }
        }
    }
}
