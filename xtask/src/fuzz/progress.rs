//! What libFuzzer says of a run, from its own words.

use std::{fmt, time::Duration};

/// A run that found nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    took: Duration,
    runs: u64,
    /// Edges of the program that were seen.
    coverage: u64,
    /// Inputs that saw something new.
    added: u64,
}

impl Progress {
    pub(super) fn read(log: &str, took: Duration) -> Option<Self> {
        let stat = |name: &str| {
            let line = log.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok())
        };
        let coverage = log.lines().rev().find_map(|line| {
            let (_, rest) = line.split_once(" cov: ")?;
            rest.split(' ').next()?.parse().ok()
        });
        Some(Self {
            took,
            runs: stat("stat::number_of_executed_units:")?,
            coverage: coverage?,
            added: stat("stat::new_units_added:")?,
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs().max(1);
        write!(
            f,
            "{:>9} runs in {seconds} s ({}/s), {} edges, {} new inputs",
            self.runs,
            self.runs / seconds,
            self.coverage,
            self.added
        )
    }
}

/// The file of the input that broke something.
pub(super) fn artifact(log: &str) -> Option<&str> {
    let line = log
        .lines()
        .find_map(|line| line.split_once("Test unit written to "));
    line.map(|(_, path)| path.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: seed corpus: files: 3\n#4\tINITED cov: 90 ft: 91 corp: 3/9b exec/s: 0 rss: 30Mb\n#900\tNEW    cov: 120 ft: 140 corp: 4/12b lim: 4 exec/s: 0\nDone 1000 runs in 2 second(s)\nstat::number_of_executed_units: 1000\nstat::new_units_added:          7\n";

    #[test]
    fn a_run_is_summed_up_from_what_libfuzzer_says() {
        let progress = Progress::read(LOG, Duration::from_secs(2)).expect("it says all");

        assert_eq!(
            progress.to_string(),
            "     1000 runs in 2 s (500/s), 120 edges, 7 new inputs"
        );
        assert_eq!(Progress::read("", Duration::ZERO), None);
    }

    #[test]
    fn a_crash_leaves_its_input() {
        let log = "artifact_prefix='x/'; Test unit written to x/crash-12\nBase64: AA==\n";

        assert_eq!(artifact(log), Some("x/crash-12"));
        assert_eq!(artifact(LOG), None);
    }
}
