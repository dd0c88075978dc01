//! The times of entries, `2026-11-21T10:00:00.123456789Z`, in milliseconds since 1970. Most entries are of
//! the second of the one before, and reading a date costs more than reading a line.

/// Bytes up to the second.
const SECOND: usize = "2026-11-21T10:00:00".len();

/// Knows the last second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: String,
    begin_ms: i64,
}

impl Clock {
    /// None for what is no time.
    pub(super) fn read(&mut self, time: &str) -> Option<i64> {
        let known = self.known(time);
        if known.is_some() {
            return known;
        }
        let ms = time.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        if time.ends_with('Z')
            && let Some(second) = time.get(..SECOND)
        {
            self.second.clear();
            self.second.push_str(second);
            self.begin_ms = ms - ms.rem_euclid(1000);
        }
        Some(ms)
    }

    /// The time, if it is `.123Z` of the known second.
    fn known(&self, time: &str) -> Option<i64> {
        let fraction = time.strip_prefix(self.second.as_str())?;
        let digits = fraction.strip_prefix('.')?.strip_suffix('Z')?;
        let is_known = self.second.len() == SECOND
            && (3..=9).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        let ms: i64 = digits.get(..3)?.parse().ok()?;
        is_known.then_some(self.begin_ms + ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_same_whatever_was_read_before() {
        let mut clock = Clock::default();
        for time in [
            "2026-11-21T10:00:00.123456789Z",
            "2026-11-21T10:00:00.999999999Z",
            "2026-11-21T10:00:00.5Z",
            "2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00.000Z",
            "2026-11-21T10:00:00.123+01:00",
            "2026-11-21T10:00:00.12xZ",
            "2026-11-21T10:00:00.1234567891Z",
            "2026-11-21T10:00:01.001Z",
            "1969-12-31T23:59:59.250Z",
            "1969-12-31T23:59:59.750Z",
            "yesterday",
            "",
            ".123Z",
        ] {
            let expected = time.parse().ok().map(jiff::Timestamp::as_millisecond);
            assert_eq!(Clock::default().read(time), expected, "{time}");
            assert_eq!(clock.read(time), expected, "{time}");
        }
    }
}
