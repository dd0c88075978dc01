//! `cargo xtask check`: what each commit must pass. No root, no kernel, seconds when warm.

use std::process::Command;

use anyhow::{Result, anyhow};

use crate::{failures::Failures, rungs::Ladder, setup, sh, tally::Tally, tidy};

/// The packages whose tests need neither root nor a kernel, as arguments.
pub(crate) const UNIT: [&str; 8] = [
    "-p",
    "guard-common",
    "-p",
    "guard-user",
    "-p",
    "guard-fuzz",
    "-p",
    "xtask",
];

/// The command.
pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    let mut ladder = Ladder::default();
    lint(&mut ladder);
    ladder.rung("unit", |tally| unit(tally, &[]));
    ladder.finish()
}

/// The rungs that read the source and run nothing.
pub(crate) fn lint(ladder: &mut Ladder) {
    ladder.rung("fmt", |_| {
        sh::run(&mut sh::cargo(["fmt", "--all", "--check"]))
            .map_err(|error| error.context("run `cargo fmt --all`"))
    });
    ladder.rung("clippy", |_| {
        let what = [
            "clippy",
            "--quiet",
            "--workspace",
            "--exclude",
            "guard-ebpf",
        ];
        let how = ["--all-targets", "--", "-D", "warnings"];
        sh::run(&mut sh::cargo(what.into_iter().chain(how)))
    });
    ladder.rung("tidy", |_| tidy::run());
}

/// The tests that need neither root nor a kernel.
pub(crate) fn unit(tally: &mut Tally, filter: &[String]) -> Result<()> {
    let mut cargo = sh::cargo(["test", "--no-fail-fast"].into_iter().chain(UNIT));
    cargo.arg("--").args(filter);
    counted(&mut cargo, tally)
}

/// Runs tests with their output on the terminal, and counts them.
pub(crate) fn counted(cargo: &mut Command, tally: &mut Tally) -> Result<()> {
    let (outcome, failures) = watched(cargo, tally)?;
    failures.show();
    outcome
}

/// The same, and what failed; the error inside is that of the tests.
pub(crate) fn watched(cargo: &mut Command, tally: &mut Tally) -> Result<(Result<()>, Failures)> {
    let mut failures = Failures::default();
    let mut own = Tally::default();
    let succeeded = sh::stream(cargo, |line| {
        println!("{line}");
        own.note(line);
        failures.note(line);
    })?;
    *tally += own;
    let outcome = match (succeeded, own.failed) {
        (true, _) => Ok(()),
        (false, 0) => Err(anyhow!(
            "the tests do not compile, or a test program crashed"
        )),
        (false, failed) => Err(anyhow!("{failed} tests failed")),
    };
    Ok((outcome, failures))
}
