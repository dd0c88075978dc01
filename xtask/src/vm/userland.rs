//! The guest's shell and network tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    archive::{Apt, Archive},
    cpio::Tree,
    payload,
    platform::Platform,
};
use crate::{cross::Target, sh};

/// Programs of this machine that the tests call. busybox has poorer ones of the same names: those
/// come later on the guest's PATH.
const TOOLS: &[&str] = &["ip", "tc", "ethtool"];

/// Where the programs are from.
pub(super) enum Userland {
    /// This machine.
    Own,
    /// Debian's static busybox for another processor, and nothing else.
    Foreign(PathBuf),
}

impl Userland {
    /// What was fetched once needs no network again.
    pub(super) fn obtain(cache: &Path, platform: &Platform) -> Result<Self> {
        if platform.debian == Platform::of(Target::of_this_machine()).debian {
            return Ok(Self::Own);
        }
        let folder = cache.join("userland");
        let busybox = folder.join("bin/busybox");
        if !busybox.is_file() {
            let apt = Apt::update(cache, platform.debian, &[(Archive::Main, "bookworm")])?;
            fs::create_dir_all(&folder)?;
            apt.unpack(&["busybox-static".to_owned()], &folder)?;
        }
        Ok(Self::Foreign(busybox))
    }

    /// Puts them in place.
    pub(super) fn install(&self, tree: &mut Tree) -> Result<()> {
        match self {
            Self::Own => {
                let busybox = sh::find("busybox").context("no busybox; install busybox-static")?;
                tree.copy(&busybox, "bin/busybox")?;
                // Not busybox's shell: that one runs its own `ip` whatever PATH says.
                let dash = sh::find("dash").context("no dash")?;
                payload::install(tree, &dash, "bin/sh")?;
                for tool in TOOLS {
                    let program =
                        sh::find(tool).with_context(|| format!("no {tool} on this machine"))?;
                    payload::install(tree, &program, &format!("usr/sbin/{tool}"))?;
                }
                Ok(())
            }
            Self::Foreign(busybox) => {
                tree.copy(busybox, "bin/busybox")?;
                tree.copy(busybox, "bin/sh")
            }
        }
    }
}
