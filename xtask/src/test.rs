//! `cargo xtask test`: every rung, from the formatting to real packets through the kernel.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{build, check, packages, rungs::Ladder, sh, tally::Tally, workspace};

/// A program of tests/tests: its modules, which lie beside it, are linked once.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// How many of its tests run at once.
    threads: &'static str,
}

/// What needs nothing but a kernel: no network tools, no daemons. The VM runs some of it.
pub(crate) const KERNEL: Program = Program {
    name: "kernel",
    threads: "2",
};

/// All programs, in the order in which they run. Two threads wherever something is measured, which needs the CPUs,
/// and where most of the time is work: more only wait for the kernel's one lock over all network namespaces.
pub(crate) const PROGRAMS: [Program; 4] = [
    KERNEL,
    Program {
        name: "hosts",
        threads: "2",
    },
    Program {
        name: "daemons",
        threads: "4",
    },
    Program {
        name: "waiting",
        threads: "6",
    },
];

/// How much of the kernel rung runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// `KERNEL`
    Quick,
    /// Also namespaces, real programs and the command line
    Full,
}

/// The command.
pub(crate) fn run(extent: Extent, filter: &[String]) -> Result<()> {
    if extent == Extent::Full {
        packages::ensure(packages::TESTS, "the full test run")?;
    }
    let guardctl = build::run()?;
    let mut ladder = Ladder::default();
    if filter.is_empty() {
        check::lint(&mut ladder);
    }
    ladder.rung("unit", |tally| check::unit(tally, filter));
    ladder.rung("kernel", |tally| kernel(extent, filter, &guardctl, tally));
    ladder.finish()
}

fn kernel(extent: Extent, filter: &[String], guardctl: &Path, tally: &mut Tally) -> Result<()> {
    if !workspace::is_root() {
        bail!(
            "loading a program into the kernel needs root\n  help: sudo -E env \"PATH=$PATH\" cargo xtask test (without root: cargo xtask check)"
        );
    }
    if extent == Extent::Quick {
        return run_tests(
            &["--test", KERNEL.name],
            KERNEL.threads,
            filter,
            guardctl,
            tally,
        );
    }
    let mut outcome = run_tests(&["--lib"], KERNEL.threads, filter, guardctl, tally);
    for program in &PROGRAMS {
        let of_it = run_tests(
            &["--test", program.name],
            program.threads,
            filter,
            guardctl,
            tally,
        );
        // One fails, and the others are still of interest.
        outcome = outcome.and(of_it);
    }
    outcome
}

/// Runs tests of guard-tests, so many at once. One or two that fail are run again, alone, and what came of it is
/// said: it has failed all the same, but whoever mends it knows whether it needs company.
fn run_tests(
    which: &[&str],
    threads: &str,
    filter: &[String],
    guardctl: &Path,
    tally: &mut Tally,
) -> Result<()> {
    let cargo = || {
        let mut cargo = sh::cargo(["test", "--no-fail-fast", "-p", "guard-tests"]);
        cargo.args(which);
        // What tests print is part of the result: budgets, what was skipped and why, times.
        cargo.args(["--", "--show-output", "--test-threads"]);
        cargo.env("GUARDCTL", guardctl);
        cargo
    };
    let (outcome, failures) = check::watched(cargo().arg(threads).args(filter), tally)?;
    failures.show();
    let names = failures.again();
    let (Err(error), false) = (&outcome, names.is_empty()) else {
        return outcome;
    };
    println!("\n{error}; run again, alone: {}", names.join(", "));
    let mut second = Tally::default();
    let (again, _) = check::watched(cargo().args(["1", "--exact"]).args(&names), &mut second)?;
    let alone = if again.is_ok() && second.passed >= names.len() as u64 {
        "passes"
    } else {
        "fails"
    };
    println!("{alone} when run alone: {}", names.join(", "));
    outcome
}
