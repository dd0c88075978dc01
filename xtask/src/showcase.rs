//! `cargo xtask demo`, `cargo xtask bench` and `cargo xtask pictures`: build, then hand over to the programs of
//! guard-tests.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{
    artifacts::Artifacts,
    build, packages, sh,
    test::{self, Extent},
    workspace,
};

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
    let built = if args.iter().any(|arg| arg == "--smoke") {
        // Numbers that mean nothing need no second library, optimized with what tests ask of it. The programs of
        // guard-tests are built with its tests, which may call them.
        test::compile(sh::cargo(["test"]), Extent::Quick)?
    } else {
        let build = ["build", "--release", "--quiet", "-p", "guard-tests"];
        Artifacts::of(sh::cargo(build).args(["--bin", program]))?
    };
    let mut command = Command::new(built.executable(program)?);
    command.current_dir(workspace::root());
    command.args(args).env("GUARDCTL", guardctl);
    // A person may answer its questions.
    command.stdin(Stdio::inherit());
    sh::run(&mut command)
}
