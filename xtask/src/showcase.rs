//! `cargo xtask demo`, `cargo xtask bench` and `cargo xtask pictures`: build, then hand over to the programs of
//! guard-tests.

use anyhow::{Result, bail};

use crate::{build, packages, sh, workspace};

/// A program of guard-tests that a person runs.
#[derive(Clone, Copy)]
pub(crate) enum Showcase {
    Demo,
    Bench,
    Pictures,
}

impl Showcase {
    fn program(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Bench => "bench",
            Self::Pictures => "pictures",
        }
    }
}

/// The command.
pub(crate) fn run(showcase: Showcase, args: &[String]) -> Result<()> {
    let program = showcase.program();
    if !workspace::is_root() {
        bail!(
            "network namespaces and BPF need root\n  help: sudo -E env \"PATH=$PATH\" cargo xtask {program}"
        );
    }
    packages::ensure(packages::TESTS, &format!("the {program}"))?;
    let guardctl = build::run()?;
    let mut cargo = sh::cargo([
        "run",
        "--release",
        "--quiet",
        "-p",
        "guard-tests",
        "--bin",
        program,
    ]);
    cargo.arg("--").args(args).env("GUARDCTL", guardctl);
    // A person may answer its questions.
    cargo.stdin(std::process::Stdio::inherit());
    sh::run(&mut cargo)
}
