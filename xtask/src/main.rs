//! Every command that README and CI use. Says what it runs, and why when that takes long.
//!
//! Each command is one module; none of them depends on another crate of the workspace, so that
//! `cargo xtask` builds in seconds and works while the rest does not compile.

mod artifacts;
mod build;
mod check;
mod cross;
mod deny;
mod dist;
mod docs;
mod failures;
mod fuzz;
mod packages;
mod rungs;
mod setup;
mod sh;
mod showcase;
mod tally;
mod test;
mod tidy;
mod vm;
mod vps;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{cross::Target, setup::Route, showcase::Showcase, test::Extent};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, test and try guard", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the BPF toolchain work; does nothing when it already does
    Setup {
        /// Use this toolchain and no other
        #[arg(long, value_enum)]
        route: Option<Route>,
        /// Also install the Debian packages that the full test run needs (root)
        #[arg(long)]
        tests: bool,
    },
    /// Build target/release/guardctl with the BPF object inside
    Build {
        /// Processor to build for; aarch64 is linked statically
        #[arg(long, value_enum, default_value_t = Target::of_this_machine())]
        target: Target,
    },
    /// Pack guardctl in target/dist: .deb, .rpm, tarball, checksums, and what it is made of
    Dist(dist::Args),
    /// What each commit must pass: fmt, clippy, tidy, unit tests; needs no root
    Check,
    /// Run every rung of the tests; the kernel rungs need root
    Test {
        /// Only the quick kernel rungs, and no package installation
        #[arg(long)]
        quick: bool,
        /// Only tests whose name contains one of these; leaves out fmt, clippy and tidy
        filter: Vec<String>,
    },
    /// Check file sizes, names, dependency directions, and the documents
    Tidy,
    /// Check the documents and make the book of them in target/docs
    Docs,
    /// Run the kernel tests on other Debian kernels in a VM
    Vm(vm::Args),
    /// Boot a Debian server with guard in a VM and count what gets in from outside (root)
    Vps(vps::Args),
    /// Let libFuzzer make up what strangers write, and compare what must be the same
    Fuzz(fuzz::Args),
    /// Check licences, sources, duplicates and advisories of the dependencies
    Deny,
    /// Watch guard defend a server in a network namespace (root)
    Demo {
        /// Passed on to the demo
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure guard beside bare XDP_DROP and its peers (root)
    Bench {
        /// Passed on to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Make the pictures of the documents from real runs, into docs/pictures (root)
    Pictures,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Setup { route, tests } => {
            if tests {
                setup::with_tests(route)
            } else {
                setup::run(route)
            }
        }
        Command::Build { target } => build::run_for(target).map(drop),
        Command::Dist(args) => dist::run(&args),
        Command::Check => check::run(),
        Command::Test { quick, filter } => {
            let extent = if quick { Extent::Quick } else { Extent::Full };
            test::run(extent, &filter)
        }
        Command::Tidy => tidy::run(),
        Command::Docs => docs::run(),
        Command::Vm(args) => vm::run(&args),
        Command::Vps(args) => vps::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Deny => deny::run(),
        Command::Demo { args } => showcase::run(Showcase::Demo, &args),
        Command::Bench { args } => showcase::run(Showcase::Bench, &args),
        Command::Pictures => showcase::run(Showcase::Pictures, &[]),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
