//! The server's disk: a small Debian as an operator would get it, made once per suite and list of
//! packages.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::agent;
use crate::{sh, vm::sources::Mirrors};

/// A release whose systemd, kernel and network scripts are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Suite {
    /// Debian 12: Linux 6.1, systemd 252
    Bookworm,
    /// Debian 13: Linux 6.12, systemd 257
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// What a server is for, which decides what is installed on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Edition {
    /// The kernel for guests, and nothing but what every server has
    #[default]
    Small,
    /// That, and Docker
    Docker,
    /// The kernel for real machines, which has the drivers of real cards
    Metal,
}

impl Edition {
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Docker => "docker",
            Self::Metal => "metal",
        }
    }

    fn packages(self) -> Vec<&'static str> {
        let more: &[&str] = match self {
            Self::Small => &["linux-image-cloud-amd64"],
            Self::Docker => &[
                "linux-image-cloud-amd64",
                "docker.io",
                // Docker gives no container a start without it, where the kernel has AppArmor.
                "apparmor",
                "iptables",
                "busybox-static",
            ],
            Self::Metal => &["linux-image-amd64"],
        };
        PACKAGES.iter().chain(more).copied().collect()
    }
}

/// What every server has beside Debian's essential packages.
const PACKAGES: &[&str] = &[
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "procps",
    "iproute2",
    "iputils-ping",
    "ethtool",
    "ifupdown",
    "isc-dhcp-client",
    "openssh-server",
    "initramfs-tools",
];

/// Not needed, and half of the disk.
const LEFT_OUT: &[&str] = &["man", "doc", "locale", "info"];

/// Name of the first NIC: the third slot of the emulated board.
pub(super) const NIC: &str = "ens3";

/// Port of a socket that no rule opens. systemd listens on it before the network is there, so every
/// answer that the peer gets has passed a host without protection.
pub(super) const CLOSED: u16 = 9999;

/// Words for the kernel that keep the NIC's driver out until `late-nic.service` loads it by name.
pub(super) const LATE_DRIVER: &str = "modprobe.blacklist=virtio_net";

/// Plain files of the server.
fn files() -> Vec<(&'static str, u32, String)> {
    vec![
        ("etc/hostname", 0o644, "vps\n".to_owned()),
        (
            "etc/fstab",
            0o644,
            "LABEL=vps / ext4 rw,noatime,errors=remount-ro 0 1\n".to_owned(),
        ),
        (
            "etc/network/interfaces",
            0o644,
            format!(
                "auto lo\niface lo inet loopback\nallow-hotplug {NIC}\niface {NIC} inet dhcp\n"
            ),
        ),
        ("usr/local/sbin/vps-agent", 0o755, agent::SCRIPT.to_owned()),
        (
            "etc/systemd/system/vps-agent.service",
            0o644,
            agent::UNIT.to_owned(),
        ),
        (
            "etc/systemd/system/closed.socket",
            0o644,
            format!(
                "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream={CLOSED}\nAccept=yes\n[Install]\nWantedBy=sysinit.target\n"
            ),
        ),
        (
            "etc/systemd/system/late-nic.service",
            0o644,
            format!(
                "[Unit]\nDefaultDependencies=no\nAfter=guard-load.service\nConditionKernelCommandLine={LATE_DRIVER}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/sbin/modprobe virtio_net\n[Install]\nWantedBy=sysinit.target\n"
            ),
        ),
        (
            "etc/systemd/system/closed@.service",
            0o644,
            "[Service]\nExecStart=/bin/true\n".to_owned(),
        ),
    ]
}

/// Units that are started at boot.
const ENABLED: &[&str] = &["vps-agent.service", "closed.socket", "late-nic.service"];

/// Something to boot.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

/// The system of this suite, from the cache or made anew.
pub(super) fn obtain(cache: &Path, suite: Suite, edition: Edition) -> Result<System> {
    let name = format!("{}-{}", suite.name(), edition.name());
    let folder = cache.join(format!("{name}-{:016x}", fingerprint(edition)));
    let system = System {
        disk: folder.join("disk.img"),
        kernel: folder.join("vmlinuz"),
        initrd: folder.join("initrd.img"),
    };
    if folder.is_dir() {
        return Ok(system);
    }
    println!("{name}: making a Debian, about 100 MB or more, once");
    // Under another name first: what was interrupted never looks complete.
    let draft = cache.join(format!("{name}.new-{}", std::process::id()));
    let made = make(&draft, suite, edition);
    if made.is_err() {
        remove(&draft)?;
    }
    made?;
    fs::rename(&draft, &folder)?;
    Ok(system)
}

fn make(draft: &Path, suite: Suite, edition: Edition) -> Result<()> {
    fs::create_dir_all(draft)?;
    let tree = draft.join("tree");
    let mirrors = Mirrors::configured()?;
    let mut bootstrap = sh::command(
        "mmdebstrap",
        [
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            "--dpkgopt=force-unsafe-io",
            "--aptopt=Acquire::Languages \"none\"",
        ],
    );
    for folder in LEFT_OUT {
        bootstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    bootstrap
        .arg(format!("--include={}", edition.packages().join(",")))
        .arg(suite.name())
        .arg(&tree)
        .arg(mirrors.main);
    sh::quiet(&mut bootstrap)?;
    furnish(&tree)?;
    for (name, to) in [("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")] {
        let from = newest(&tree.join("boot"), name)?;
        fs::copy(&from, draft.join(to)).with_context(|| format!("{}", from.display()))?;
    }
    let mut format = sh::command("mke2fs", ["-q", "-F", "-t", "ext4", "-L", "vps", "-d"]);
    format.arg(&tree).arg(draft.join("disk.img")).arg("2G");
    sh::quiet(&mut format)?;
    remove(&tree)
}

/// Puts the files of this module in place.
fn furnish(tree: &Path) -> Result<()> {
    for (path, mode, text) in files() {
        let path = tree.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let wants = tree.join("etc/systemd/system/sysinit.target.wants");
    fs::create_dir_all(&wants)?;
    for unit in ENABLED {
        symlink(format!("/etc/systemd/system/{unit}"), wants.join(unit))?;
    }
    Ok(())
}

/// The file in /boot that starts so.
fn newest(boot: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(boot)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(prefix)
        })
        .collect();
    found.sort();
    found
        .pop()
        .with_context(|| format!("{} has no {prefix}", boot.display()))
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Changes with everything that is on the disk, but for newer packages of the same names.
fn fingerprint(edition: Edition) -> u64 {
    let mut hasher = DefaultHasher::new();
    (edition.packages(), LEFT_OUT, files(), ENABLED).hash(&mut hasher);
    hasher.finish()
}
