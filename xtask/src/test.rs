//! `cargo xtask test`: every rung, from the formatting to real packets through the kernel.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{build, check, packages, rungs::Ladder, sh, tally::Tally, workspace};

/// The kernel rungs that need nothing but a kernel: no network tools, no daemons. These also run
/// in the VM.
pub(crate) const KERNEL_TARGETS: &[&str] = &[
    "object",
    "ingress",
    "rules",
    "order",
    "essential",
    "flags",
    "fragments",
    "flows",
    "lifetimes",
    "sessions",
    "related",
    "monitor",
    "evasion",
    "truncation",
    "wrapping",
    "parity",
    "ceiling_exceeded",
];

/// Those that an emulated guest runs: there a program takes its verifier ten seconds, so the tables stay
/// on this machine, and parity, which meets every reason, stands for them.
pub(crate) const GUEST_TARGETS: &[&str] = &["object", "sessions", "parity"];

/// Those of which most time is spent waiting: for deadlines, for silence. Many of their tests run at once; of all
/// others two, for more than two only wait for the kernel's one lock over all network namespaces, and what
/// measures needs the CPUs.
const WAITING_TARGETS: &[&str] = &["boot", "confirm", "documents", "ends", "inspect"];
const MANY: &str = "6";
const FEW: &str = "2";

/// Those between the two: real daemons, which wait for logs, deadlines and each other while both CPUs idle.
const DAEMON_TARGETS: &[&str] = &[
    "addresses",
    "bans",
    "daemon",
    "docker",
    "fleet_attacks",
    "fleet_crowdsec",
    "jails",
    "metrics",
    "persistence",
];
const SOME: &str = "4";

/// How much of the kernel rung runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// `KERNEL_TARGETS`
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
        let targets = kernel_targets()?;
        return run_targets(&targets, &[], FEW, filter, guardctl, tally);
    }
    let all = all_targets()?;
    for name in WAITING_TARGETS.iter().chain(DAEMON_TARGETS) {
        if !all.iter().any(|target| target == name) {
            bail!("tests/tests has no {name}, which xtask/src/test.rs names");
        }
    }
    let others: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|name| !WAITING_TARGETS.contains(name) && !DAEMON_TARGETS.contains(name))
        .collect();
    // One fails, and the others are still of interest.
    let few = run_targets(&others, &["--lib", "--bins"], FEW, filter, guardctl, tally);
    let some = run_targets(DAEMON_TARGETS, &[], SOME, filter, guardctl, tally);
    let many = run_targets(WAITING_TARGETS, &[], MANY, filter, guardctl, tally);
    few.and(some).and(many)
}

/// Runs the tests of these targets of guard-tests, so many at once. One or two that fail are run again, alone, and
/// what came of it is said: it has failed all the same, but whoever mends it knows whether it needs company.
fn run_targets(
    targets: &[&str],
    kinds: &[&str],
    threads: &str,
    filter: &[String],
    guardctl: &Path,
    tally: &mut Tally,
) -> Result<()> {
    let cargo = || {
        let mut cargo = sh::cargo(["test", "--release", "--no-fail-fast", "-p", "guard-tests"]);
        cargo.args(kinds);
        for target in targets {
            cargo.args(["--test", target]);
        }
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

/// Every target below tests/tests, in order: a file, or a folder with a main.rs.
fn all_targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("tests/tests");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_target = path.join("main.rs").is_file()
            || path.extension().is_some_and(|extension| extension == "rs");
        if let Some(name) = path.file_stem().filter(|_| is_target) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Those of `KERNEL_TARGETS` that exist. A missing one is never passed over in CI.
pub(crate) fn kernel_targets() -> Result<Vec<&'static str>> {
    let file = |name: &str| workspace::root().join(format!("tests/tests/{name}.rs"));
    let dir = |name: &str| workspace::root().join(format!("tests/tests/{name}/main.rs"));
    let exists = |name: &&&str| file(name).exists() || dir(name).exists();
    let found: Vec<_> = KERNEL_TARGETS.iter().filter(exists).copied().collect();
    if found.is_empty() {
        bail!("tests/tests has none of {}", KERNEL_TARGETS.join(", "));
    }
    let lost: Vec<_> = KERNEL_TARGETS
        .iter()
        .filter(|name| !found.contains(name))
        .copied()
        .collect();
    if !lost.is_empty() {
        if workspace::is_strict() {
            bail!("tests/tests lacks {}", lost.join(", "));
        }
        println!("note: tests/tests lacks {}", lost.join(", "));
    }
    Ok(found)
}
