//! What is installed in the guest: packages of the guardctl that was built here, in several versions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    dist::{Compression, Program, Release, pack_deb},
    sh,
};

/// The version that every scene begins with, as the guest sees it.
pub(super) const THIS: &str = "/root/guardctl.deb";
/// The same program as a newer version.
pub(super) const NEXT: &str = "/root/next.deb";
/// One that says of itself that it has other tables in the kernel.
pub(super) const OTHER_ABI: &str = "/root/other-abi.deb";

/// All of them as a disk that the guest can read without a network: a bare tar.
pub(super) fn disk(guardctl: &Path, run: &Path) -> Result<PathBuf> {
    let program = Program::of_this_machine(guardctl)?;
    let tree = program.lay(&run.join("tree"))?;
    let this = program.release;
    let next = Release {
        version: format!("{}+next", this.version),
        ..this.clone()
    };
    let other_abi = Release {
        version: format!("{}+other", this.version),
        abi: this.abi + 1,
        ..this.clone()
    };
    let folder = run.join("packages");
    fs::create_dir_all(&folder)?;
    for (release, name) in [(&this, THIS), (&next, NEXT), (&other_abi, OTHER_ABI)] {
        let package = pack_deb(release, &tree, Compression::None, &folder)?;
        let name = Path::new(name).file_name().unwrap_or_default();
        fs::rename(package, folder.join(name))?;
    }
    let tar = run.join("payload.tar");
    let mut pack = sh::command("tar", ["--owner=0", "--group=0", "-C"]);
    pack.arg(&folder).arg("-cf").arg(&tar).arg(".");
    sh::output(&mut pack)?;
    Ok(tar)
}
