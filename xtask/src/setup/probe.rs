//! Proof that a toolchain can compile and link a BPF program, before it is recorded.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::recipe::Recipe;
use crate::{sh, workspace};

const MANIFEST: &str = r#"[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[profile.release]
panic = "abort"
debug = 2

[workspace]
"#;

const SOURCE: &str = r#"#![no_std]
#![no_main]

#[no_mangle]
#[link_section = "xdp"]
extern "C" fn probe(_context: *mut core::ffi::c_void) -> u32 {
    core::hint::black_box(1)
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
"#;

/// Compiles the smallest XDP program the way aya-build compiles guard's.
pub(super) fn compile(recipe: &Recipe) -> Result<()> {
    let dir = workspace::tools().join("probe");
    fs::create_dir_all(dir.join("src"))
        .and_then(|()| fs::write(dir.join("Cargo.toml"), MANIFEST))
        .and_then(|()| fs::write(dir.join("src/main.rs"), SOURCE))
        .with_context(|| format!("cannot write the probe into {}", dir.display()))?;
    // The target of a build with another toolchain proves nothing.
    let target = dir.join("target");
    if target.exists() {
        fs::remove_dir_all(&target)
            .with_context(|| format!("cannot empty {}", target.display()))?;
    }

    let cargo = ["run", &recipe.toolchain, "cargo", "build", "--release"];
    let mut build = sh::command("rustup", cargo);
    build.args(["--target", "bpfel-unknown-none"]);
    if recipe.bootstrap == "1" {
        build.args(["-Z", "build-std=core"]);
    }
    build
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", "bpf-linker")
        .env("PATH", Recipe::search_path()?)
        .env("LD_LIBRARY_PATH", &recipe.llvm)
        .env("RUSTC_BOOTSTRAP", &recipe.bootstrap)
        // Of the toolchain that runs xtask, not of the one asked for.
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    sh::quiet(&mut build)?;

    let object = target.join("bpfel-unknown-none/release/probe");
    let bytes = fs::read(&object).with_context(|| format!("no {}", object.display()))?;
    if !is_bpf_object(&bytes) {
        bail!("{} is not a BPF object", object.display());
    }
    Ok(())
}

/// A little-endian ELF file whose machine is EM_BPF (247).
fn is_bpf_object(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") && bytes.get(18..20) == Some(&[247, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_for_another_machine_is_refused() {
        let mut elf = b"\x7fELF".to_vec();
        elf.resize(64, 0);
        assert!(!is_bpf_object(&elf));
        elf[18] = 247;
        assert!(is_bpf_object(&elf));
        assert!(!is_bpf_object(b"\x7fELF"));
    }
}
