//! `cargo xtask test`: every rung, from the formatting to real packets through the kernel.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Result, anyhow, bail};

use crate::{
    artifacts::Artifacts, build, check, packages, rungs::Ladder, setup, sh, tally::Tally, workspace,
};

/// A program of tests/tests: its modules, which lie beside it, are linked once.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// How many of its tests run at once.
    threads: &'static str,
}

/// What the tests of the library of guard-tests are called.
const LIBRARY: &str = "guard_tests";

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
    setup::ensure()?;
    let mut ladder = Ladder::default();
    let mut built = None;
    // The product is optimized, the tests are not: two profiles, so that cargo builds both at once. That fills the
    // CPUs, of which the compiler, while it reads a crate as large as guard-user, uses one.
    thread::scope(|scope| {
        let product = scope.spawn(build::run);
        if filter.is_empty() {
            check::lint(&mut ladder);
        }
        ladder.rung("unit", |tally| check::unit(tally, filter));
        ladder.rung("build", |_| {
            let tests = compile(sh::cargo(["test"]), extent);
            let product = product.join();
            let product = product.map_err(|_| anyhow!("the build panicked"))?;
            built = Some((tests?, product?));
            Ok(())
        });
    });
    if let Some((tests, guardctl)) = built {
        let run = Run {
            tests,
            guardctl,
            filter,
        };
        ladder.rung("kernel", |tally| kernel(extent, &run, tally));
    }
    ladder.finish()
}

/// `cargo test` as far as the executables. It names the packages of the unit tests, too: what these ask of a
/// dependency is part of how it is built, and so everything below is there already.
pub(crate) fn compile(mut cargo: Command, extent: Extent) -> Result<Artifacts> {
    cargo.args(["--quiet", "--no-run", "-p", "guard-tests"]);
    cargo.args(check::UNIT);
    if extent == Extent::Full {
        cargo.arg("--lib");
    }
    for program in programs(extent) {
        cargo.args(["--test", program.name]);
    }
    Artifacts::of(&mut cargo)
}

fn programs(extent: Extent) -> &'static [Program] {
    match extent {
        Extent::Quick => &PROGRAMS[..1],
        Extent::Full => &PROGRAMS,
    }
}

/// What the kernel rung runs.
struct Run<'f> {
    tests: Artifacts,
    guardctl: PathBuf,
    filter: &'f [String],
}

fn kernel(extent: Extent, run: &Run<'_>, tally: &mut Tally) -> Result<()> {
    if !workspace::is_root() {
        bail!(
            "loading a program into the kernel needs root\n  help: sudo -E env \"PATH=$PATH\" cargo xtask test (without root: cargo xtask check)"
        );
    }
    let mut outcome = Ok(());
    if extent == Extent::Full {
        outcome = run_program(run, LIBRARY, KERNEL.threads, tally);
    }
    for program in programs(extent) {
        // One fails, and the others are still of interest.
        let of_it = run_program(run, program.name, program.threads, tally);
        outcome = outcome.and(of_it);
    }
    outcome
}

/// Runs the tests of a program, so many at once. One or two that fail are run again, alone, and what came of it is
/// said: it has failed all the same, but whoever mends it knows whether it needs company.
fn run_program(run: &Run<'_>, name: &str, threads: &str, tally: &mut Tally) -> Result<()> {
    let program = run.tests.executable(name)?;
    let command = || {
        let mut command = Command::new(&program);
        // Where cargo runs them.
        command.current_dir(workspace::root().join("tests"));
        // What tests print is part of the result: budgets, what was skipped and why, times.
        command.args(["--show-output", "--test-threads"]);
        command.env("GUARDCTL", &run.guardctl).stdin(Stdio::null());
        command
    };
    let (outcome, failures) = check::watched(command().arg(threads).args(run.filter), tally)?;
    failures.show();
    let names = failures.again();
    let (Err(error), false) = (&outcome, names.is_empty()) else {
        return outcome;
    };
    println!("\n{error}; run again, alone: {}", names.join(", "));
    let mut second = Tally::default();
    let (again, _) = check::watched(command().args(["1", "--exact"]).args(&names), &mut second)?;
    let alone = if again.is_ok() && second.passed >= names.len() as u64 {
        "passes"
    } else {
        "fails"
    };
    println!("{alone} when run alone: {}", names.join(", "));
    outcome
}
