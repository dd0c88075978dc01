//! bpf-linker, in the project's own folder.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{sh, workspace};

/// Reads LLVM 22, the LLVM of the pinned toolchain. 0.11 wants another one.
pub(crate) const VERSION: &str = "0.10.3";

/// Whether the right version is there.
pub(super) fn is_installed() -> bool {
    // cargo's own record: the program itself cannot say its version without LLVM.
    let record = fs::read_to_string(workspace::tools().join(".crates.toml"));
    workspace::tools().join("bin/bpf-linker").is_file()
        && record.is_ok_and(|text| text.contains(&format!("\"bpf-linker {VERSION} ")))
}

pub(super) fn ensure() -> Result<()> {
    if is_installed() {
        return Ok(());
    }
    let tools = workspace::tools();
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    println!(
        "building bpf-linker {VERSION}, which turns LLVM bitcode into a BPF object: about a minute, once"
    );
    let root = tools.to_str().context("the tools folder is not UTF-8")?;
    let args = [
        "install",
        "bpf-linker",
        "--version",
        VERSION,
        "--locked",
        "--force",
        "--root",
    ];
    sh::quiet(&mut sh::cargo(args.into_iter().chain([root])))
        .with_context(|| format!("cannot build bpf-linker\n  help: it needs network access to the crate registry and a C linker (apt-get install gcc libc6-dev); then: cargo install bpf-linker --version {VERSION} --locked --root {root}"))
}
