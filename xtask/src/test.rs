//! `cargo xtask test`: every rung, from the formatting to real packets through the kernel.

use std::path::PathBuf;

use anyhow::{Result, bail};

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
];

/// Those that an emulated guest runs: there a program takes its verifier ten seconds, so the tables stay
/// on this machine, and parity, which meets every reason, stands for them.
pub(crate) const GUEST_TARGETS: &[&str] = &["object", "sessions", "parity"];

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

fn kernel(extent: Extent, filter: &[String], guardctl: &PathBuf, tally: &mut Tally) -> Result<()> {
    if !workspace::is_root() {
        bail!(
            "loading a program into the kernel needs root\n  help: sudo -E env \"PATH=$PATH\" cargo xtask test (without root: cargo xtask check)"
        );
    }
    let mut cargo = sh::cargo(["test", "--release", "--no-fail-fast", "-p", "guard-tests"]);
    if extent == Extent::Quick {
        for target in kernel_targets()? {
            cargo.args(["--test", target]);
        }
    }
    // Each test makes its own network namespaces; more than two at a time only wait for the
    // kernel's one lock over all of them.
    // What tests print is part of the result: budgets, what was skipped and why, times.
    cargo
        .args(["--", "--test-threads", "2", "--show-output"])
        .args(filter);
    cargo.env("GUARDCTL", guardctl);
    check::counted(&mut cargo, tally)
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
