//! Lengths of time as fail2ban's files write them: `600`, `10m`, `1h 30m`, `2 weeks`.

use std::time::Duration;

use thiserror::Error;

use crate::bans::term::{BanTerm, LONGEST};

/// What to write.
pub(super) const HELP: &str =
    "write seconds, or numbers with s, m, h, d, w, mo or y: \"10m\", \"1h 30m\"";

/// Units and their seconds. A month and a year are fail2ban's: 365.25 days and a twelfth of them.
const UNITS: [(&[&str], u64); 7] = [
    (&["s", "ss", "se", "sec", "second", "seconds"], 1),
    (&["m", "mm", "mi", "min", "minute", "minutes"], 60),
    (&["h", "hh", "ho", "hou", "hour", "hours"], 3600),
    (&["d", "dd", "da", "day", "days"], 86_400),
    (&["w", "ww", "we", "wee", "week", "weeks"], 7 * 86_400),
    (&["mo", "mon", "month", "months"], 2_629_800),
    (&["y", "yy", "ye", "yea", "year", "years"], 31_557_600),
];

/// What is wrong with a length of time; the value stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpanError {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// It does not begin with a number.
    #[error("is not a length of time")]
    NoLength,
    /// A word behind a number.
    #[error("has the unknown unit `{0}`")]
    UnknownUnit(String),
    /// More seconds than there are numbers.
    #[error("is too long")]
    Overflow,
    /// Nothing but zeros.
    #[error("is shorter than a second")]
    TooShort,
    /// Longer than a ban may hold.
    #[error("is longer than ten years; -1 is for ever")]
    TooLong,
}

/// Reads a length of time, at least a second.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    if rest.is_empty() {
        return Err(SpanError::Empty);
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| SpanError::NoLength)?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = rest[..letters].to_ascii_lowercase();
        rest = rest[letters..].trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            UNITS
                .iter()
                .find(|(names, _)| names.contains(&unit.as_str()))
                .map(|(_, factor)| *factor)
                .ok_or(SpanError::UnknownUnit(unit))?
        };
        seconds = number
            .checked_mul(factor)
            .and_then(|part| seconds.checked_add(part))
            .ok_or(SpanError::Overflow)?;
    }
    if seconds == 0 {
        return Err(SpanError::TooShort);
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads how long a ban holds: a length of time, or `-1` for ever.
///
/// # Errors
/// What is wrong with the text.
pub fn term(text: &str) -> Result<BanTerm, SpanError> {
    if ["-1", "permanent"].contains(&text.trim()) {
        return Ok(BanTerm::Permanent);
    }
    let length = parse(text)?;
    if length > LONGEST {
        return Err(SpanError::TooLong);
    }
    Ok(BanTerm::For(length))
}

/// A length as it would be written: `10m`, `5w`, `1h30m`. Parts of a second are left out.
#[must_use]
pub fn text(length: Duration) -> String {
    let mut left = length.as_secs();
    let mut text = String::new();
    for (unit, seconds) in [
        ("w", 604_800),
        ("d", 86_400),
        ("h", 3600),
        ("m", 60),
        ("s", 1),
    ] {
        let number = left / seconds;
        left %= seconds;
        if number > 0 {
            text += &format!("{number}{unit}");
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_fail2ban() {
        for (text, seconds) in [
            ("600", 600),
            ("10m", 600),
            ("1h 30m", 5400),
            ("1h30m", 5400),
            ("1hour 30min", 5400),
            ("1d 12h", 129_600),
            ("2 weeks", 14 * 86_400),
            ("1w 1d 1h 1m 1s", 694_861),
            ("1mo", 2_629_800),
            ("1 year", 31_557_600),
            ("10M", 600),
            ("1m 30", 90),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, what) in [
            ("", "empty"),
            ("soon", "not a length"),
            ("-5", "not a length"),
            ("-1", "not a length"),
            ("1.5h", "not a length"),
            ("1h-10m", "not a length"),
            ("3 fortnights", "unknown unit `fortnights`"),
            ("0", "shorter"),
            ("0s", "shorter"),
            ("99999999999999999999", "not a length"),
            ("9999999999999999y", "too long"),
            ("１m", "not a length"),
        ] {
            let wrong = parse(text).expect_err(text);
            assert!(wrong.to_string().contains(what), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_ban_may_be_for_ever() {
        assert_eq!(term("-1"), Ok(BanTerm::Permanent));
        assert_eq!(term("10m"), Ok(BanTerm::For(Duration::from_secs(600))));
        assert!(
            term("11y")
                .expect_err("too long")
                .to_string()
                .contains("-1")
        );
    }
}
