//! The rustup route: the project's own toolchain plus the sources of `core`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::recipe::{Recipe, has_llvm};
use crate::sh;

/// The channel of rust-toolchain.toml.
pub(crate) const TOOLCHAIN: &str = "1.95.0";

/// What keeps the route from working, if anything.
pub(super) fn lacks() -> Option<String> {
    let Ok(sysroot) = sysroot() else {
        return Some(format!("toolchain {TOOLCHAIN} is not installed"));
    };
    if !has_llvm(&sysroot.join("lib")) {
        return Some(format!("{} has no libLLVM", sysroot.join("lib").display()));
    }
    let core = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    (!core.is_file())
        .then(|| format!("toolchain {TOOLCHAIN} lacks the rust-src component (sources of `core`)"))
}

pub(super) fn install() -> Result<()> {
    if sysroot().is_err() {
        let args = ["toolchain", "install", TOOLCHAIN, "--profile", "minimal"];
        sh::quiet(&mut sh::command("rustup", args))?;
    }
    let name = toolchain();
    let args = ["component", "add", "rust-src", "--toolchain", &name];
    sh::quiet(&mut sh::command("rustup", args))
}

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        toolchain: toolchain(),
        bootstrap: "1".to_owned(),
        llvm: llvm()?,
    })
}

/// bpf-linker reads the LLVM of the project's toolchain on both routes.
pub(super) fn llvm() -> Result<PathBuf> {
    Ok(sysroot()?.join("lib"))
}

/// The name under which rustup has the compiler: `stable` may be the very same release, on a
/// machine that cannot download.
fn toolchain() -> String {
    let chosen = env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
    if !chosen.is_empty() && !chosen.starts_with(TOOLCHAIN) {
        let ask = sh::output(&mut rustc(&chosen, "--version"));
        if ask.is_ok_and(|version| version.starts_with(&format!("rustc {TOOLCHAIN} "))) {
            return chosen;
        }
    }
    TOOLCHAIN.to_owned()
}

fn sysroot() -> Result<PathBuf> {
    let name = toolchain();
    let printed = sh::output(&mut rustc(&name, "--print=sysroot"))
        .with_context(|| format!("toolchain {name} is not installed"))?;
    Ok(Path::new(printed.trim()).to_path_buf())
}

fn rustc(toolchain: &str, question: &str) -> Command {
    sh::command("rustup", ["run", toolchain, "rustc", question])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_is_the_one_that_the_workspace_pins() {
        let pinned = std::fs::read_to_string(crate::workspace::root().join("rust-toolchain.toml"))
            .expect("rust-toolchain.toml");

        assert!(pinned.contains(&format!("channel = \"{TOOLCHAIN}\"")));
    }
}
