//! Builds for another processor than this machine's. The BPF object is the same; the rest is linked statically, so
//! that it runs on any Linux of that processor, whatever C library is there.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{packages, sh};

/// A processor to build for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// 64-bit x86
    #[value(name = "x86_64-unknown-linux-gnu", alias = "x86_64")]
    X86,
    /// 64-bit ARM
    #[value(name = "aarch64-unknown-linux-gnu", alias = "aarch64")]
    Arm,
}

/// Rust's name of [`Target::Arm`].
const ARM: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const PACKAGES: &[&str] = &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

impl Target {
    /// Where nothing else is asked for.
    pub(crate) fn of_this_machine() -> Self {
        if Self::Arm.is_of_this_machine() {
            Self::Arm
        } else {
            Self::X86
        }
    }

    /// Is it what this program was built for?
    pub(crate) fn is_of_this_machine(self) -> bool {
        let arch = match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        };
        std::env::consts::ARCH == arch
    }

    /// Rust's name of it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => ARM,
        }
    }

    /// `cargo` for this processor: the standard library and the linker are there afterwards.
    pub(crate) fn cargo<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Result<Command> {
        let mut cargo = sh::cargo(args);
        if self.is_of_this_machine() {
            return Ok(cargo);
        }
        match self {
            Self::X86 => anyhow::bail!("x86-64 is built on x86-64 only"),
            Self::Arm => {
                packages::ensure(PACKAGES, "a build for aarch64")?;
                sh::quiet(&mut sh::command("rustup", ["target", "add", ARM]))
                    .context("cannot fetch the standard library for aarch64")?;
                cargo
                    .args(["--target", ARM])
                    .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
                    .env("CC_aarch64_unknown_linux_gnu", LINKER)
                    .env(
                        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
                        "-C target-feature=+crt-static",
                    );
                Ok(cargo)
            }
        }
    }
}
