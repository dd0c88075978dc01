//! `cargo xtask build`: guardctl with the BPF object inside, ready to copy to a server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{artifacts::Artifacts, cross::Target, setup, sh};

/// Builds for this machine and says what came out; returns the path of guardctl.
pub(crate) fn run() -> Result<PathBuf> {
    run_for(Target::of_this_machine())
}

/// The same for any processor.
pub(crate) fn run_for(target: Target) -> Result<PathBuf> {
    setup::ensure()?;
    let args = ["build", "--release", "-p", "guard-user"];
    let built = Artifacts::of(&mut target.cargo(args)?)?;

    let guardctl = built.executable("guardctl")?;
    let object = built.out_dir("guard-user")?.join("guard");
    println!("guardctl:   {} ({})", guardctl.display(), size(&guardctl)?);
    if target.is_of_this_machine() {
        let pages = guardctl.with_file_name("man");
        sh::run(Command::new(&guardctl).arg("man").arg(&pages))?;
        println!("manual:     {}", pages.display());
        let completions = completions(&guardctl)?;
        println!("completions: {}", completions.display());
    }
    println!("BPF object: {}, inside guardctl", size(&object)?);
    Ok(guardctl)
}

/// Completions of the usual shells, under the names that these look for.
fn completions(guardctl: &Path) -> Result<PathBuf> {
    let folder = guardctl.with_file_name("completions");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (shell, name) in [
        ("bash", "guardctl"),
        ("zsh", "_guardctl"),
        ("fish", "guardctl.fish"),
    ] {
        let script = sh::output(Command::new(guardctl).args(["completions", shell]))?;
        let path = folder.join(name);
        fs::write(&path, script).with_context(|| path.display().to_string())?;
    }
    Ok(folder)
}

fn size(path: &PathBuf) -> Result<String> {
    let bytes = fs::metadata(path)
        .with_context(|| format!("no {}", path.display()))?
        .len();
    Ok(if bytes < 10_000_000 {
        format!("{} kB", bytes.div_ceil(1000))
    } else {
        format!("{} MB", bytes / 1_000_000)
    })
}
