//! The ceiling of new connections per port, as a policy says it.

use std::fmt;

use guard_common::abi::ceiling::{self, DEFAULT_BURST, DEFAULT_PER_SECOND};

use super::{limit::Rate, value::BadValue};

/// Most new connections that a port takes from all sources together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Any number.
    Off,
    /// So many, and twice the count at once.
    At(Rate),
}

impl Default for Ceiling {
    fn default() -> Self {
        Self::per_second(DEFAULT_PER_SECOND)
    }
}

/// The burst is this multiple of the rate's count.
const BURST: u32 = DEFAULT_BURST / DEFAULT_PER_SECOND;
const SECOND_US: u64 = 1_000_000;

impl Ceiling {
    /// So many in a second, at least one.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::At(Rate { count, seconds: 1 })
    }

    /// Reads `1000/s` or `off`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        Rate::parse(text)
            .map(Self::At)
            .map_err(|bad| bad.help("a ceiling is a rate up to 5000/s, like 1000/s, or \"off\""))
    }

    /// As the image holds it.
    #[must_use]
    pub fn word(self) -> u64 {
        match self {
            Self::Off => ceiling::Ceiling::NONE.to_word(),
            Self::At(Rate { count, seconds }) => {
                let interval = u64::from(seconds) * SECOND_US / u64::from(count.max(1));
                // The slowest rate, one in an hour, fits.
                let interval = u32::try_from(interval.max(1)).unwrap_or(u32::MAX);
                ceiling::Ceiling::new(interval, count.saturating_mul(BURST)).to_word()
            }
        }
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "off"),
            Self::At(rate) => write!(f, "{rate}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_rates_or_off() {
        assert_eq!(Ceiling::parse("off").expect("a ceiling"), Ceiling::Off);
        let default = Ceiling::parse("1000/s").expect("a ceiling");
        assert_eq!(default, Ceiling::default());
        assert_eq!(default.to_string(), "1000/s");
        assert_eq!(default.word(), 2000 << 32 | 1000);
        let slow = Ceiling::parse("30/min").expect("a ceiling");
        assert_eq!(slow.word(), 60 << 32 | 2_000_000);
        assert_eq!(
            Ceiling::parse("1/h").expect("a ceiling").word(),
            2 << 32 | 3_600_000_000
        );
        for wrong in ["", "0/s", "1000", "100000/s", "on", "-1/s"] {
            assert!(Ceiling::parse(wrong).is_err(), "{wrong}");
        }
    }
}
