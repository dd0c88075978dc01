//! The time of jails: a clock that nobody sets and that goes on after a restart of the host, beside the
//! time of day, which only log lines are compared with.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::bans::store::Now;

/// What time it was when it was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedClock {
    boot_id: String,
    boot_ms: u64,
    wall_s: u64,
    steady_ms: i64,
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What the steady clock is ahead of the time since boot.
    ahead_ms: i64,
}

impl Clock {
    /// Goes on where the saved one stood. Within a boot that is exact; over a restart of the host the time
    /// of day tells how long it took, and a time of day that went back tells nothing.
    pub(super) fn from(saved: Option<&SavedClock>, now: &Now) -> Self {
        let boot_ms = i64::try_from(now.boot_ms).unwrap_or(i64::MAX);
        let steady_ms = match saved {
            None => boot_ms,
            Some(saved) if saved.boot_id == now.boot_id => {
                let passed = now.boot_ms.saturating_sub(saved.boot_ms);
                ahead(saved.steady_ms, passed)
            }
            Some(saved) => {
                let passed = now.wall_s.saturating_sub(saved.wall_s);
                ahead(saved.steady_ms, passed.saturating_mul(1000))
            }
        };
        Self {
            ahead_ms: steady_ms.saturating_sub(boot_ms),
        }
    }

    /// What to save.
    pub(super) fn saved(self, now: &Now) -> SavedClock {
        let boot_ms = i64::try_from(now.boot_ms).unwrap_or(i64::MAX);
        SavedClock {
            boot_id: now.boot_id.clone(),
            boot_ms: now.boot_ms,
            wall_s: now.wall_s,
            steady_ms: self.ahead_ms.saturating_add(boot_ms),
        }
    }

    /// Milliseconds of the clock that nobody sets.
    pub(super) fn steady_ms(self) -> i64 {
        let boot_ms = crate::host::clock::boot_time_ns() / 1_000_000;
        ahead(self.ahead_ms, boot_ms)
    }
}

/// Milliseconds since 1970, as far as the host knows.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn ahead(of_ms: i64, by_ms: u64) -> i64 {
    of_ms.saturating_add(i64::try_from(by_ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot: &str, boot_ms: u64, wall_s: u64) -> Now {
        Now {
            boot_id: boot.to_owned(),
            boot_ms,
            wall_s,
        }
    }

    #[test]
    fn the_clock_goes_on_over_restarts_and_never_back() {
        const START_S: u64 = 1_700_000_000;
        let first = now("one", 50_000, START_S);
        let saved = Clock::from(None, &first).saved(&first);
        assert_eq!(saved.steady_ms, 50_000);
        for (what, later, steady_ms) in [
            ("the daemon alone", now("one", 53_000, START_S + 3), 53_000),
            (
                "the clock was set back meanwhile",
                now("one", 53_000, START_S - 86_400),
                53_000,
            ),
            ("the host", now("two", 9_000, START_S + 40), 90_000),
            (
                "a host whose clock was set back",
                now("two", 9_000, START_S - 86_400),
                50_000,
            ),
        ] {
            let clock = Clock::from(Some(&saved), &later);
            assert_eq!(clock.saved(&later).steady_ms, steady_ms, "{what}");
        }
    }
}
