//! `on-excess = "ban 60s"`: what else becomes of a source that goes on sending above a limit.

use std::fmt;

use crate::text::{
    duration,
    value::{BadValue, quoted},
};

/// For how long a source is banned that goes on above a limit: 1 s to a day, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExcessBan(u32);

/// Slowest limit that bans, per second. Forged segments count when they hit the ports of a session: whoever tries all
/// source ports in somebody's name hits each session of his once in 16 384 segments at best, where the client's system
/// takes its ports from no wider range. At this rate he needs 16 million packets per second for one session.
pub(super) const LEAST_PER_SECOND: u32 = 1000;

/// Longest time that an exceeded limit has consequences, in seconds.
pub(super) const LONGEST: u32 = 24 * 3600;

impl ExcessBan {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `ban 60s`.
    ///
    /// # Errors
    /// When it says something else, or for a time that is not from a second to a day.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = |why: &str| {
            BadValue::new(format!("on-excess {} {why}", quoted(text))).help(
                "write \"ban 60s\", from 1s to 24h: a ban that lasts longer is a matter of `guardctl ban` or a jail",
            )
        };
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some("ban") {
            return Err(bad("is nothing that guard can do"));
        }
        let time: Vec<&str> = words.collect();
        if time.is_empty() {
            return Err(bad("does not say for how long"));
        }
        whole_seconds(&time.join(" ")).map(Self).map_err(bad)
    }
}

impl fmt::Display for ExcessBan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ban ")?;
        write_seconds(self.0, f)
    }
}

/// Reads a length of time, or says what is wrong with it.
pub(super) fn whole_seconds(text: &str) -> Result<u32, &'static str> {
    let time = duration::parse(text).ok_or("is not a length of time")?;
    match u32::try_from(time.as_secs()) {
        Ok(0) => Err("is shorter than a second"),
        Ok(_) if time.subsec_nanos() != 0 => Err("is not in whole seconds"),
        Ok(seconds) if seconds <= LONGEST => Ok(seconds),
        Ok(_) | Err(_) => Err("is longer than a day"),
    }
}

/// Writes a length of time.
pub(super) fn write_seconds(seconds: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match seconds {
        seconds if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
        seconds if seconds % 60 == 0 && seconds != 60 => write!(f, "{}m", seconds / 60),
        seconds => write!(f, "{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_last_from_a_second_to_a_day() {
        for (text, written) in [
            ("ban 1s", "ban 1s"),
            ("ban 60", "ban 60s"),
            ("ban  60s ", "ban 60s"),
            ("ban 5m", "ban 5m"),
            ("ban 1h 30m", "ban 90m"),
            ("ban 1d", "ban 24h"),
        ] {
            let ban = ExcessBan::parse(text).expect(text);
            assert_eq!(ban.to_string(), written);
            assert_eq!(ExcessBan::parse(written), Ok(ban));
        }
    }

    #[test]
    fn what_is_no_such_ban_is_refused_with_a_way_out() {
        for (text, why) in [
            ("", "nothing that guard can do"),
            ("60s", "nothing that guard can do"),
            ("drop 60s", "nothing that guard can do"),
            ("Ban 60s", "nothing that guard can do"),
            ("ban60s", "nothing that guard can do"),
            ("ban", "does not say for how long"),
            ("ban for 60s", "is not a length of time"),
            ("ban -1", "is not a length of time"),
            ("ban permanent", "is not a length of time"),
            ("ban 60s\u{1b}[2J", "is not a length of time"),
            ("ban 0s", "is shorter than a second"),
            ("ban 500ms", "is shorter than a second"),
            ("ban 1500ms", "is not in whole seconds"),
            ("ban 25h", "is longer than a day"),
            ("ban 99999999999999s", "is longer than a day"),
        ] {
            let bad = ExcessBan::parse(text).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
            assert!(!bad.message.contains('\u{1b}'), "{}", bad.message);
            assert!(bad.help.is_some_and(|help| help.contains("ban 60s")));
        }
    }
}
