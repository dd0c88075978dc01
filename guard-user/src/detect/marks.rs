//! Where to begin again after a restart. Failures are counted in memory; what was counted before is
//! counted anew from the logs, so reading begins as far back as a failure still counts. Bans that followed
//! are known, and do not follow twice.

use std::collections::VecDeque;

/// Between two marks.
const STEP_MS: i64 = 10_000;

/// Places of the last minutes.
#[derive(Clone, Debug)]
pub(super) struct Marks<T> {
    /// How far back a failure counts.
    window_ms: i64,
    /// So much is read again at most, in whatever `read` counts.
    most_read: u64,
    marks: VecDeque<Mark<T>>,
}

#[derive(Clone, Debug)]
struct Mark<T> {
    at_ms: i64,
    read: u64,
    place: T,
}

impl<T> Marks<T> {
    pub(super) fn new(window_ms: i64, most_read: u64) -> Self {
        Self {
            window_ms,
            most_read,
            marks: VecDeque::new(),
        }
    }

    /// Notes the place where reading is after `read` of whatever is counted, if it is time to.
    pub(super) fn note(&mut self, now_ms: i64, read: u64, place: impl FnOnce() -> T) {
        let is_due = self.marks.back().is_none_or(|last| {
            now_ms.saturating_sub(last.at_ms) >= STEP_MS
                || read.saturating_sub(last.read) >= self.most_read / 4
        });
        if !is_due {
            return;
        }
        self.marks.push_back(Mark {
            at_ms: now_ms,
            read,
            place: place(),
        });
        // The second is enough: everything that counts lies behind it.
        while let Some(second) = self.marks.get(1)
            && (now_ms.saturating_sub(second.at_ms) >= self.window_ms
                || read.saturating_sub(self.marks[0].read) > self.most_read)
        {
            self.marks.pop_front();
        }
    }

    /// Is even the last of them older than that?
    pub(super) fn are_older(&self, now_ms: i64, age_ms: i64) -> bool {
        let last = self.marks.back();
        last.is_none_or(|last| now_ms.saturating_sub(last.at_ms) > age_ms)
    }

    /// Where to begin again.
    pub(super) fn oldest(&self) -> Option<&T> {
        self.marks.front().map(|mark| &mark.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_again_where_failures_still_count() {
        let mut marks = Marks::new(60_000, 1_000_000);
        for second in 0..300 {
            marks.note(second * 1000, second as u64, || second);
            let oldest = *marks.oldest().unwrap();
            assert!(second - oldest >= 60 || oldest == 0, "{second}: {oldest}");
            assert!(second - oldest <= 60 + 2 * STEP_MS / 1000);
        }
        assert!(marks.marks.len() <= 8);
    }

    #[test]
    fn a_flood_of_lines_is_not_read_again_as_a_whole() {
        let mut marks = Marks::new(600_000, 1000);
        for read in (0..100_000_u64).step_by(100) {
            marks.note(0, read, || read);
            assert!(read - *marks.oldest().unwrap() <= 1000 + 250);
        }
        assert!(marks.marks.len() <= 6);
    }
}
