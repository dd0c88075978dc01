//! How long a ban holds.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::text::duration;

/// How long a ban holds when nothing is said. A ban by hand answers an attack that goes on now: ten
/// minutes (fail2ban's) would be over before anybody looks again, and what is permanent is never
/// looked at again.
pub const DEFAULT: Duration = Duration::from_secs(3600);
/// The kernel's clock counts 17 years; a ban for longer is a permanent one.
pub const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// How long a ban holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BanTerm {
    /// For this time from now.
    For(Duration),
    /// Until somebody lifts it.
    Permanent,
}

/// Why a text says nothing about how long; each says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TermError {
    /// It is not a length of time.
    #[error("write 5s, 10m, 1h, 1d, 2w, a number of seconds, or -1 for permanent")]
    NoTerm,
    /// It is below a second.
    #[error("a ban holds for one second at least")]
    TooShort,
    /// It is above [`LONGEST`].
    #[error("longer than ten years: write -1 for permanent")]
    TooLong,
}

impl Default for BanTerm {
    fn default() -> Self {
        Self::For(DEFAULT)
    }
}

impl BanTerm {
    /// Reads `5s`, `10m`, `1h`, `1d`, `2w`, a number of seconds, or `-1` for permanent.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, TermError> {
        if ["-1", "permanent"].contains(&text) {
            return Ok(Self::Permanent);
        }
        let Some(duration) = duration::parse(text) else {
            return Err(TermError::NoTerm);
        };
        if duration < Duration::from_secs(1) {
            return Err(TermError::TooShort);
        }
        if duration > LONGEST {
            return Err(TermError::TooLong);
        }
        Ok(Self::For(duration))
    }
}

impl fmt::Display for BanTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => {
                let whole = Duration::from_secs(duration.as_secs());
                write!(f, "{}", humantime::format_duration(whole))
            }
            Self::Permanent => f.write_str("permanent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_write_them() {
        for (text, seconds) in [
            ("5s", 5),
            ("600", 600),
            ("10m", 600),
            ("1h", 3600),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("2w", 14 * 86_400),
        ] {
            let term = BanTerm::For(Duration::from_secs(seconds));
            assert_eq!(BanTerm::parse(text), Ok(term), "{text}");
        }
        for text in ["-1", "permanent"] {
            assert_eq!(BanTerm::parse(text), Ok(BanTerm::Permanent));
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        for (text, what) in [
            ("", "write 5s"),
            ("soon", "write 5s"),
            ("-5", "write 5s"),
            ("1.5", "write 5s"),
            ("0", "one second"),
            ("0s", "one second"),
            ("500ms", "one second"),
            ("11y", "permanent"),
            ("99999999999999999999", "write 5s"),
        ] {
            let error = BanTerm::parse(text).expect_err(text);
            assert!(error.to_string().contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn the_longest_is_permanent() {
        assert!(BanTerm::Permanent > BanTerm::For(LONGEST));
        assert!(BanTerm::For(Duration::from_secs(2)) > BanTerm::For(Duration::from_secs(1)));
    }
}
