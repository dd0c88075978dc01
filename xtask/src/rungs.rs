//! Runs the rungs of a test ladder one after the other and sums up.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tally::Tally;

/// What one rung came to.
struct Line {
    name: &'static str,
    took: Duration,
    tally: Tally,
    failure: Option<String>,
}

/// The rungs that ran.
#[derive(Default)]
pub(crate) struct Ladder {
    lines: Vec<Line>,
}

impl Ladder {
    /// Runs a rung. A failure is shown and kept; the rungs after it still run, since each tells
    /// the developer something of its own.
    pub(crate) fn rung(&mut self, name: &'static str, run: impl FnOnce(&mut Tally) -> Result<()>) {
        println!("\n== {name}");
        let started = Instant::now();
        let mut tally = Tally::default();
        let outcome = run(&mut tally);
        let took = started.elapsed();
        let failure = outcome.err().map(|error| format!("{error:#}"));
        match &failure {
            None => println!("== {name}: ok ({})", seconds(took)),
            Some(failure) => println!("== {name}: FAILED ({}): {failure}", seconds(took)),
        }
        self.lines.push(Line {
            name,
            took,
            tally,
            failure,
        });
    }

    /// The summary table, then one line with the sum of all tests.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        let mut sum = Tally::default();
        for line in &self.lines {
            sum += line.tally;
            let verdict = if line.failure.is_none() {
                "ok"
            } else {
                "FAILED"
            };
            let tests = match line.tally.total() {
                0 => String::new(),
                _ => line.tally.to_string(),
            };
            let row = format!(
                "{:<10} {verdict:<7} {:>8}  {tests}",
                line.name,
                seconds(line.took)
            );
            println!("{}", row.trim_end());
        }
        println!("tests: {sum}");

        let failed: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.failure.is_some())
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = failed.iter().map(|line| line.name).collect();
        bail!("failed: {}", names.join(", "))
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_rung_does_not_stop_the_next_and_fails_the_whole() {
        let mut ladder = Ladder::default();
        let mut second_ran = false;

        ladder.rung("first", |_| bail!("it broke"));
        ladder.rung("second", |_| {
            second_ran = true;
            Ok(())
        });

        assert!(second_ran);
        let error = ladder.finish().expect_err("one rung failed");
        assert_eq!(error.to_string(), "failed: first");
    }
}
