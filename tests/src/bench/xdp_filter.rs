//! xdp-filter of xdp-tools, set up by its own tool, with a BPF file system of its own.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::programs::{ProgramFd, ProgramInfo};

use crate::lab::{Folder, Namespace, finish, mount_bpffs, own_mounts};

/// Thousands of entries are one process each.
const PATIENCE: Duration = Duration::from_secs(300);

/// Shows the tool our BPF file system in place of the machine's, and runs one command per line of input.
const PRIVATELY: &str = r#"set -e
mount --bind "$1" /sys/fs/bpf
printf '%s\n' "$2" | while read -r line; do xdp-filter $line; done
"#;

/// xdp-filter of one host; its program goes with the host's interface.
#[derive(Debug)]
pub struct XdpFilter {
    network: PathBuf,
    folder: Folder,
}

impl XdpFilter {
    /// Nothing is loaded yet.
    ///
    /// # Errors
    /// When the folder cannot be made.
    ///
    /// # Panics
    /// When no BPF file system can be mounted.
    pub fn new(host: &Namespace) -> Result<Self> {
        let filter = Self {
            network: host.path(),
            folder: Folder::new(),
        };
        std::fs::create_dir(filter.folder.join("bpf"))?;
        mount_bpffs(&filter.folder.join("bpf"));
        Ok(filter)
    }

    /// Runs the tool, once per line.
    ///
    /// # Errors
    /// When it refuses one.
    pub fn run(&self, lines: &str) -> Result<()> {
        let mut command = std::process::Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network.display()))
            .args(own_mounts(PRIVATELY))
            .arg(self.folder.join("bpf"))
            .arg(lines)
            // Its program itself, and no chain of programs before it.
            .env("LIBXDP_SKIP_DISPATCHER", "1");
        let ran = finish(&mut command, PATIENCE);
        ensure!(ran.code == Some(0), "xdp-filter\n{ran}");
        Ok(())
    }

    /// The program that it has put onto an interface.
    ///
    /// # Errors
    /// When there is none.
    pub fn program(&self, interface: &str) -> Result<ProgramFd> {
        let folder = self.folder.join("bpf/xdp-filter/programs").join(interface);
        let mut pins = std::fs::read_dir(&folder)
            .with_context(|| format!("{}: xdp-filter pinned no program", folder.display()))?;
        let pin = pins.next().context("xdp-filter pinned no program")??;
        Ok(ProgramInfo::from_pin(pin.path())?.fd()?)
    }
}

impl Drop for XdpFilter {
    fn drop(&mut self) {
        crate::lab::unmount_bpffs(&self.folder.join("bpf"));
    }
}
