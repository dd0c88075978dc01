//! The rustup route: the project's own toolchain plus the sources of `core`.

use std::path::{Path, PathBuf};

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
    let args = ["component", "add", "rust-src", "--toolchain", TOOLCHAIN];
    sh::quiet(&mut sh::command("rustup", args))
}

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        toolchain: TOOLCHAIN.to_owned(),
        bootstrap: "1".to_owned(),
        llvm: llvm()?,
    })
}

/// bpf-linker reads the LLVM of the project's toolchain on both routes.
pub(super) fn llvm() -> Result<PathBuf> {
    Ok(sysroot()?.join("lib"))
}

fn sysroot() -> Result<PathBuf> {
    let args = ["run", TOOLCHAIN, "rustc", "--print", "sysroot"];
    let printed = sh::output(&mut sh::command("rustup", args))
        .with_context(|| format!("toolchain {TOOLCHAIN} is not installed"))?;
    Ok(Path::new(printed.trim()).to_path_buf())
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
