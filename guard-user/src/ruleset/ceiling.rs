//! The ceiling of new connections per port, as a policy says it.

use std::fmt;

use guard_common::abi::ceiling::{self, DEFAULT_BURST, DEFAULT_PER_SECOND};

use super::limit::Rate;
use crate::text::value::BadValue;

/// Most new connections that a port takes from all sources together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ceiling {
    /// As many as this host can keep track of.
    #[default]
    Auto,
    /// Any number.
    Off,
    /// So many, and twice the count at once.
    At(Rate),
}

/// The burst is this multiple of the rate's count.
const BURST: u32 = DEFAULT_BURST / DEFAULT_PER_SECOND;
const SECOND_US: u64 = 1_000_000;

/// Seconds for which a connection is tracked of which only the SYN came (`nf_conntrack_tcp_timeout_syn_recv` is 60,
/// and the last of five answers is sent after 63).
const HALF_OPEN_SECONDS: u32 = 63;
/// Half of the table may be half-open connections; the other half is for those that people have.
const PART: u32 = 2;
/// What the smallest and the largest host get: a page with all its files, and what a core hands on with ease.
const LEAST: u32 = 200;
const MOST: u32 = 5000;

/// The ceiling that keeps a flood from filling a table of so many connections.
fn of_tracked(most: u32) -> u32 {
    (most / PART / HALF_OPEN_SECONDS).clamp(LEAST, MOST)
}

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
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        Rate::parse(text).map(Self::At).map_err(|bad| {
            bad.help("a ceiling is a rate up to 5000/s, like 1000/s, \"auto\" or \"off\"")
        })
    }

    /// As the image holds it. `tracked` is how many connections netfilter keeps track of at most, where it does.
    #[must_use]
    pub fn word(self, tracked: Option<u32>) -> u64 {
        match self {
            Self::Auto => {
                Self::per_second(tracked.map_or(DEFAULT_PER_SECOND, of_tracked)).word(None)
            }
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
            Self::Auto => write!(f, "auto"),
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
        let thousand = Ceiling::parse("1000/s").expect("a ceiling");
        assert_eq!(thousand.to_string(), "1000/s");
        assert_eq!(thousand.word(Some(1 << 18)), 2000 << 32 | 1000);
        assert_eq!(
            Ceiling::parse("auto").expect("a ceiling"),
            Ceiling::default()
        );
        assert_eq!(Ceiling::default().word(None), thousand.word(None));
        let slow = Ceiling::parse("30/min").expect("a ceiling");
        assert_eq!(slow.word(None), 60 << 32 | 2_000_000);
        assert_eq!(
            Ceiling::parse("1/h").expect("a ceiling").word(None),
            2 << 32 | 3_600_000_000
        );
        // Half of the table in 63 s.
        for (tracked, rate) in [
            (262_144, 2080),
            (65_536, 520),
            (1024, 200),
            (u32::MAX, 5000),
        ] {
            let exactly = Ceiling::per_second(rate).word(None);
            assert_eq!(Ceiling::Auto.word(Some(tracked)), exactly, "{tracked}");
        }
        for wrong in ["", "0/s", "1000", "100000/s", "on", "-1/s"] {
            assert!(Ceiling::parse(wrong).is_err(), "{wrong}");
        }
    }
}
