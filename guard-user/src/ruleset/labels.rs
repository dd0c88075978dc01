//! What people call a rule: a name, which means one rule wherever a number does, and tags, which rules share. Decides
//! what may be one; knows nothing of what rules do.

use crate::text::value::{BadValue, quoted};

/// Longest name and longest tag.
const MAX_BYTES: usize = 32;
/// Most tags of a rule.
const MAX_TAGS: usize = 16;
/// Words that begin a rule: `delete allow …` would have two meanings.
const RESERVED: [&str; 5] = ["allow", "deny", "limit", "reject", "all"];

/// What commands call a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Its name, which no other rule has.
    pub name: Option<String>,
    /// In the order in which they are written.
    pub tags: Vec<String>,
}

/// Which rule a command means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By number, from 1.
    Number(usize),
    /// By name.
    Name(String),
}

impl Which {
    /// A number or a name.
    ///
    /// # Errors
    /// For a word that can be neither.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match (is_number, text.parse()) {
            (true, Ok(number)) => Ok(Self::Number(number)),
            // Too large: there is no such rule.
            (true, Err(_)) => Ok(Self::Number(usize::MAX)),
            (false, _) => rule_name(text).map(Self::Name),
        }
    }
}

/// Checks the name of a rule.
pub(crate) fn rule_name(text: &str) -> Result<String, BadValue> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(
            BadValue::new(format!("rule name {} is a number", quoted(text))).help(
                "numbers mean places and change; begin the name with a letter, e.g. \"office-ssh\"",
            ),
        );
    }
    if RESERVED.contains(&text) {
        return Err(
            BadValue::new(format!("rule name {} is a word of commands", quoted(text)))
                .help("choose another, e.g. \"office-ssh\""),
        );
    }
    plain("rule name", text)
}

/// Adds a tag to those of a rule.
pub(crate) fn add_tag(tags: &mut Vec<String>, text: &str) -> Result<(), BadValue> {
    let tag = plain("tag", text)?;
    if tags.contains(&tag) {
        return Err(BadValue::new(format!("tag {} is given twice", quoted(text))).help("keep one"));
    }
    if tags.len() == MAX_TAGS {
        return Err(BadValue::new(format!(
            "more than {MAX_TAGS} tags, from {} on",
            quoted(text)
        ))
        .help("keep those that are asked for by `guardctl list --tag`"));
    }
    tags.push(tag);
    Ok(())
}

fn plain(what: &str, text: &str) -> Result<String, BadValue> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_plain || !begins || text.len() > MAX_BYTES {
        return Err(
            BadValue::new(format!("{what} {} cannot be used", quoted(text))).help(format!(
                "use lower-case letters, digits and `-`, beginning with a letter, at most {MAX_BYTES} of them"
            )),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_with_a_letter_and_is_no_number_and_no_word_of_commands() {
        let longest = "a".repeat(32);
        for name in ["a", "office-ssh", "web2", "x--", longest.as_str()] {
            assert_eq!(rule_name(name).as_deref(), Ok(name));
            assert_eq!(Which::parse(name), Ok(Which::Name(name.to_owned())));
        }
        for (name, part) in [
            ("3", "is a number"),
            ("", "cannot be used"),
            ("-a", "cannot be used"),
            ("2web", "cannot be used"),
            ("Office", "cannot be used"),
            ("a_b", "cannot be used"),
            ("a b", "cannot be used"),
            ("ä", "cannot be used"),
            ("a\n", "cannot be used"),
            (&"a".repeat(33), "cannot be used"),
            ("allow", "word of commands"),
            ("deny", "word of commands"),
        ] {
            let bad = rule_name(name).expect_err(name);
            assert!(bad.message.contains(part), "{name}: {}", bad.message);
            assert!(bad.help.is_some(), "{name}");
        }
    }

    #[test]
    fn digits_mean_a_number_however_many_they_are() {
        assert_eq!(Which::parse("7"), Ok(Which::Number(7)));
        let endless = "9".repeat(40);
        assert_eq!(Which::parse(&endless), Ok(Which::Number(usize::MAX)));
        assert!(Which::parse("+7").is_err());
        assert!(Which::parse("").is_err());
    }

    #[test]
    fn tags_are_few_and_different() {
        let mut tags = Vec::new();
        assert_eq!(add_tag(&mut tags, "office"), Ok(()));
        assert!(add_tag(&mut tags, "office").is_err());
        assert!(add_tag(&mut tags, "Office").is_err());
        for at in 1..MAX_TAGS {
            assert_eq!(add_tag(&mut tags, &format!("t{at}")), Ok(()));
        }
        assert!(add_tag(&mut tags, "one-more").is_err());
        assert_eq!(tags.len(), MAX_TAGS);
    }
}
