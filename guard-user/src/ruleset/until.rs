//! When a rule ends: a second of the time of day, and what the kernel's clock shows then. Reads no clock.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;

use crate::text::{
    duration,
    value::{BadValue, quoted},
};

/// The longest that a rule may be asked to last by `--for`.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
const NS: u64 = 1_000_000_000;

/// A second of the time of day, from 1970 on, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Until(u64);

impl Until {
    /// So many seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the beginning of 1970.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Reads `2026-12-01T12:00:00Z` or the same with another zone.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let read = text.parse::<Timestamp>().ok();
        let seconds = read.and_then(|time| u64::try_from(time.as_second()).ok());
        seconds.map(Self).ok_or_else(|| {
            BadValue::new(format!("{} is not a time with its zone", quoted(text)))
                .help("write it as \"2026-12-01T12:00:00Z\", or \"2026-12-01T13:00:00+01:00\"")
        })
    }

    /// Reads a length of time as `--for` has it; `wall` is the time of day now.
    ///
    /// # Errors
    /// What to write instead.
    pub fn after(text: &str, wall: Duration) -> Result<Self, BadValue> {
        let Some(length) = duration::parse(text) else {
            return Err(
                BadValue::new(format!("{} is not a length of time", quoted(text))).help(
                    "write 90s, 10m, 1h, 2d or a number of seconds; without `--for` the rule stays",
                ),
            );
        };
        if length < Duration::from_secs(1) {
            return Err(BadValue::new(format!(
                "{} is too short: a rule lasts for one second at least",
                quoted(text)
            ))
            .help("write 10m or 1h; `guardctl delete` removes a rule at once"));
        }
        if length > LONGEST {
            return Err(
                BadValue::new(format!("{} is longer than ten years", quoted(text)))
                    .help("leave `--for` out: the rule stays until it is deleted"),
            );
        }
        let end = wall + length;
        Ok(Self(end.as_secs() + u64::from(end.subsec_nanos() > 0)))
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).ok();
        match time.and_then(|time| Timestamp::from_second(time).ok()) {
            Some(time) => write!(f, "{time}"),
            None => write!(f, "second {}", self.0),
        }
    }
}

/// What the kernel's clock shows when rules end. The time of day may be set while it runs; the ends that are known
/// already stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// Nanoseconds since boot.
    pub boot_ns: u64,
    /// Nanoseconds since 1970.
    pub wall_ns: u64,
    /// Ends that are known, in nanoseconds since boot.
    pub known: BTreeMap<Until, u64>,
}

impl Moments {
    /// Nanoseconds since boot at which a rule ends.
    #[must_use]
    pub fn end(&self, until: Until) -> u64 {
        // The largest number stands for no end.
        let end = self.known.get(&until).copied().unwrap_or_else(|| {
            let at = until.0.saturating_mul(NS);
            let left = at.saturating_sub(self.wall_ns);
            let over = self.wall_ns.saturating_sub(at);
            self.boot_ns.saturating_sub(over).saturating_add(left)
        });
        end.min(u64::MAX - 1)
    }

    /// Has it come?
    #[must_use]
    pub fn is_over(&self, until: Until) -> bool {
        self.end(until) <= self.boot_ns
    }

    /// What is left, in whole seconds begun.
    #[must_use]
    pub fn left(&self, until: Until) -> Duration {
        let ns = self.end(until).saturating_sub(self.boot_ns);
        Duration::from_secs(ns.div_ceil(NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone_and_written_in_utc() {
        for text in [
            "2026-12-01T12:00:00Z",
            "2026-12-01T13:00:00+01:00",
            "2026-12-01T12:00:00.9Z",
        ] {
            let until = Until::parse(text).expect(text);
            assert_eq!(until.to_string(), "2026-12-01T12:00:00Z", "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-12-01",
            "2026-12-01T12:00:00",
            "2026-13-01T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "1700000000",
        ] {
            let bad = Until::parse(text).expect_err(text);
            assert!(bad.message.contains("not a time with its zone"), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_are_counted_from_now_and_end_on_a_full_second() {
        let wall = Duration::from_millis(1_000_400);
        for (text, seconds) in [("1s", 1002), ("90", 1091), ("10m", 1601), ("1h 30m", 6401)] {
            assert_eq!(Until::after(text, wall), Ok(Until(seconds)), "{text}");
        }
        for (text, why) in [
            ("", "not a length"),
            ("soon", "not a length"),
            ("-1", "not a length"),
            ("0", "too short"),
            ("500ms", "too short"),
            ("11y", "ten years"),
        ] {
            let bad = Until::after(text, wall).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
        }
    }

    #[test]
    fn what_is_known_of_an_end_counts_more_than_the_time_of_day() {
        let until = Until(1000);
        let mut moments = Moments {
            boot_ns: 50 * NS,
            wall_ns: 940 * NS,
            known: BTreeMap::new(),
        };
        assert_eq!(moments.end(until), 110 * NS);
        assert_eq!(moments.left(until), Duration::from_secs(60));
        moments.known.insert(until, 70 * NS);
        moments.wall_ns += 86_400 * NS;
        assert!(!moments.is_over(until));
        assert_eq!(moments.left(until), Duration::from_secs(20));
        assert!(moments.is_over(Until(999)));
        assert_eq!(Moments::default().end(Until(u64::MAX)), u64::MAX - 1);
    }
}
