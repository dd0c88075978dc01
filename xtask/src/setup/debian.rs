//! The Debian route: the distribution's compiler, which has a prebuilt `core` for the BPF target.

use anyhow::{Context as _, Result, bail};

use super::{
    recipe::{Recipe, has_llvm},
    rustup,
};
use crate::{packages, sh, workspace};

/// The name under which rustup knows Debian's compiler.
pub(super) const TOOLCHAIN: &str = "guard-bpf";

/// Debian 12 has the fresh compiler under the browser's name; later releases as `rustc`.
pub(super) const PACKAGES: [&[&str]; 2] = [
    &["rustc-web", "libstd-rust-web-dev-bpf", "cargo-web"],
    &["rustc", "libstd-rust-dev-bpf", "cargo"],
];

/// What keeps the route from working, if anything.
pub(super) fn lacks() -> Option<String> {
    if !rustup::llvm().is_ok_and(|dir| has_llvm(&dir)) {
        return Some(format!(
            "toolchain {} (whose LLVM the linker reads) is not installed",
            rustup::TOOLCHAIN
        ));
    }
    if !has_prebuilt_core(&["/usr/bin/rustc"]) {
        return Some("/usr/bin/rustc has no `core` for bpfel-unknown-none".to_owned());
    }
    (!has_prebuilt_core(&["rustup", "run", TOOLCHAIN, "rustc"]))
        .then(|| format!("rustup does not know /usr as toolchain {TOOLCHAIN}"))
}

pub(super) fn install() -> Result<()> {
    if !has_prebuilt_core(&["/usr/bin/rustc"]) {
        install_packages()?;
    }
    let args = ["toolchain", "link", TOOLCHAIN, "/usr"];
    sh::quiet(&mut sh::command("rustup", args))
}

fn install_packages() -> Result<()> {
    if sh::find("apt-get").is_none() {
        bail!("this is not a Debian or Ubuntu system (no apt-get)");
    }
    if !workspace::is_root() {
        bail!("installing {} needs root", PACKAGES[0].join(" "));
    }
    let choice = || {
        let installable = |names: &&&[&str]| packages::can_install(names);
        PACKAGES.iter().find(installable).copied()
    };
    let names = match choice() {
        Some(names) => names,
        None => {
            sh::quiet(&mut packages::apt(["update"]))?;
            choice().with_context(|| {
                format!(
                    "neither {} nor {} can be installed",
                    PACKAGES[0][1], PACKAGES[1][1]
                )
            })?
        }
    };
    packages::ensure(names, "compiling the BPF object")
}

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        toolchain: TOOLCHAIN.to_owned(),
        // Switches unstable features on for the one crate that needs one; `1` would make
        // aya-build compile `core` from sources that Debian does not ship.
        bootstrap: "aya_ebpf".to_owned(),
        llvm: rustup::llvm()?,
    })
}

fn has_prebuilt_core(compiler: &[&str]) -> bool {
    let question = ["--print", "target-libdir", "--target", "bpfel-unknown-none"];
    let (program, args) = compiler.split_first().expect("at least the program");
    let mut ask = sh::command(program, args.iter().copied().chain(question));
    let Ok(dir) = sh::output(&mut ask) else {
        return false;
    };
    std::fs::read_dir(dir.trim()).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
        })
    })
}
