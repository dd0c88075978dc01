//! Lengths of time as guard's own policy and command line write them: `90`, `5m`, `1h 30m`, `2weeks`.
//!
//! Two other languages stand beside this one, because files are written in them: jails have fail2ban's
//! (`jails::span`, where `1M` is a minute and here a month), and rates of limits have one unit at a time
//! (`ruleset::limit`).

use std::time::Duration;

/// Reads a number of seconds, or numbers with units; `None` if it is not a length of time.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

/// One number and one unit: `3 d`, `2 h`, `5 min`, `7 s`.
pub(crate) fn rounded(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400.. => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_length_of_time_stays_accepted() {
        const DAY: u64 = 86_400;
        for (text, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("+5", 5000),
            ("0s", 0),
            ("500ms", 500),
            ("5s", 5000),
            ("5sec", 5000),
            ("5 seconds", 5000),
            ("10m", 600_000),
            ("10min", 600_000),
            ("1minute", 60_000),
            ("1h", 3_600_000),
            ("2hr", 7_200_000),
            ("2 hours", 7_200_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("30m 1h", 5_400_000),
            ("1d", DAY * 1000),
            ("2days", 2 * DAY * 1000),
            ("2w", 14 * DAY * 1000),
            ("2wk", 14 * DAY * 1000),
            ("1 week", 7 * DAY * 1000),
            // 30.44 and 365.25 days.
            ("1M", 2_630_016_000),
            ("1month", 2_630_016_000),
            ("1y", 31_557_600_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_none() {
        for text in [
            "",
            " 5",
            "soon",
            "-1",
            "-5s",
            "1.5",
            "60 x",
            "5S",
            "1H",
            "m",
            "1h-10m",
            "5,5s",
            "99999999999999999999",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
