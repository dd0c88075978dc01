//! `cargo xtask deny`: licences, sources, duplicates and known vulnerabilities of the
//! dependencies, by cargo-deny.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::{sh, workspace};

const VERSION: &str = "0.20.2";

/// The command.
pub(crate) fn run() -> Result<()> {
    let program = installed()?;
    let deny = |args: &[&'static str]| sh::command(&program, args.iter().copied());
    if let Err(error) = sh::quiet(&mut deny(&["fetch", "db"])) {
        println!(
            "the advisory database cannot be fetched, so advisories are NOT checked: {error:#}"
        );
        return sh::run(&mut deny(&["check", "bans", "licenses", "sources"]));
    }
    sh::run(&mut deny(&["check"]))
}

/// The program's path, after installing it when it is missing.
fn installed() -> Result<String> {
    if let Some(found) = sh::find("cargo-deny") {
        return utf8(found);
    }
    let tools = workspace::tools();
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        println!("building cargo-deny {VERSION}: a few minutes, once");
        fs::create_dir_all(&tools)?;
        let root = tools.to_str().context("the tools folder is not UTF-8")?;
        let args = [
            "install",
            "cargo-deny",
            "--version",
            VERSION,
            "--locked",
            "--root",
            root,
        ];
        sh::quiet(&mut sh::cargo(args))
            .context("cannot build cargo-deny\n  help: install it by hand so that it is on PATH")?;
    }
    utf8(program)
}

fn utf8(path: PathBuf) -> Result<String> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| anyhow!("{} is not UTF-8", path.display()))
}
