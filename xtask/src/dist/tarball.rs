//! The tarball, for distributions that know neither .deb nor .rpm: what is to be copied over `/`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    release::{NAME, Release},
    tree::Tree,
};
use crate::{cross::Target, sh};

/// Packs the tree; returns the path of the tarball.
pub(super) fn pack(release: &Release, tree: &Tree, folder: &Path) -> Result<PathBuf> {
    let name = format!("{NAME}-{}-{}", release.version, architecture(tree.target));
    let tarball = folder.join(format!("{name}.tar.gz"));
    let mut tar = sh::command(
        "tar",
        ["--sort=name", "--format=gnu", "--owner=0", "--group=0"],
    );
    tar.args(["--numeric-owner", "--use-compress-program", "gzip -9n"])
        .arg(format!("--mtime=@{}", release.moment))
        .arg(format!("--transform=s,^\\.,{name},"))
        .arg("-C")
        .arg(&tree.folder)
        .arg("-cf")
        .arg(&tarball)
        .arg(".");
    sh::output(&mut tar)?;
    Ok(tarball)
}

/// As the kernel calls it.
pub(super) fn architecture(target: Target) -> &'static str {
    match target {
        Target::X86 => "x86_64",
        Target::Arm => "aarch64",
    }
}
