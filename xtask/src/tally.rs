//! Counts tests from what the test programs print.

use std::{fmt, ops::AddAssign};

/// How many tests passed, failed and did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Of `skipped`, those that libtest counts among `passed`.
    passed_over: u64,
}

impl Tally {
    /// Takes in a line of output: libtest's `test result:` lines, and the tests' own `skipped: why`,
    /// which libtest takes for passed.
    pub(crate) fn note(&mut self, line: &str) {
        if line.trim_start().starts_with("skipped: ") {
            self.skipped += 1;
            self.passed_over += 1;
            return;
        }
        let Some((_, counts)) = line.split_once("test result: ") else {
            return;
        };
        let count = |label: &str| {
            let before = counts
                .split(label)
                .next()
                .filter(|text| text.len() < counts.len());
            before
                .and_then(|text| text.split_whitespace().next_back())
                .and_then(|word| word.parse().ok())
                .unwrap_or(0)
        };
        *self += Self {
            passed: count(" passed"),
            failed: count(" failed"),
            skipped: count(" ignored"),
            passed_over: 0,
        };
    }

    pub(crate) fn total(self) -> u64 {
        self.really_passed() + self.failed + self.skipped
    }

    fn really_passed(self) -> u64 {
        self.passed.saturating_sub(self.passed_over)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.passed_over += other.passed_over;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.really_passed(),
            self.failed,
            self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up_and_other_lines_do_not_count() {
        let mut tally = Tally::default();
        for line in [
            "running 13 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test a_result::with_5_passed ... ok",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        ] {
            tally.note(line);
        }

        assert_eq!(tally.to_string(), "14 passed, 3 failed, 1 skipped");
        tally.note("skipped: needs the program nmap");
        assert_eq!(tally.to_string(), "13 passed, 3 failed, 2 skipped");
    }
}
