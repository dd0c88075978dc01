//! The BPF file system, in which maps and links outlive this process.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::{
    mount::MsFlags,
    sys::{
        statfs::{BPF_FS_MAGIC, statfs},
        statvfs::{FsFlags, statvfs},
    },
};

use crate::{
    failure::{Exit, Failure},
    layout::Layout,
};

/// Where distributions mount it.
const USUAL: &str = "/sys/fs/bpf";

/// Makes sure that the folder for pins exists on a writable BPF file system; mounts one if needed.
///
/// # Errors
/// Exit 13 with the command that helps.
pub fn prepare(layout: &Layout) -> Result<(), Failure> {
    let folder = &layout.bpffs;
    if !is_bpffs(&nearest_existing(folder)) {
        mount(folder)?;
    }
    for folder in [folder.clone(), layout.pins(), layout.maps(), layout.links()] {
        create_private(&folder)?;
    }
    Ok(())
}

/// Is this path on a BPF file system?
#[must_use]
pub fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|info| info.filesystem_type() == BPF_FS_MAGIC)
}

/// Is there one that can be written to? `false`: none, and one could be mounted.
///
/// # Errors
/// Exit 13 where it is read-only.
pub fn writable(folder: &Path) -> Result<bool, Failure> {
    let there = nearest_existing(folder);
    if !is_bpffs(&there) {
        return if is_private_mount_namespace() {
            Err(Failure::new(
                Exit::NoBpffs,
                format!("{}: no BPF file system", folder.display()),
            )
            .help(format!(
                "`mount -t bpf bpf {USUAL}`, outside of `ip netns exec`"
            )))
        } else {
            Ok(false)
        };
    }
    let is_read_only = statvfs(&there).is_ok_and(|info| info.flags().contains(FsFlags::ST_RDONLY));
    if is_read_only {
        return Err(not_writable(
            folder,
            &io::Error::from_raw_os_error(libc::EROFS),
        ));
    }
    Ok(true)
}

fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
        .to_path_buf()
}

/// 0700: whoever can open a pin can change the firewall.
fn create_private(folder: &Path) -> Result<(), Failure> {
    match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|error| not_writable(folder, &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(not_writable(folder, &error)),
    }
}

fn not_writable(folder: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(
        Exit::NoBpffs,
        format!(
            "{}: cannot create this folder for pins: {error}",
            folder.display()
        ),
    );
    match error.raw_os_error() {
        Some(libc::EROFS) => failure.help(format!(
            "the BPF file system is read-only; `mount -o remount,rw` where it is mounted, usually {USUAL}"
        )),
        Some(libc::EPERM | libc::EACCES) => Failure {
            exit: Exit::NotPermitted,
            ..failure
        }
        .help("run the command as root"),
        _ => failure.help(format!("`mount -t bpf bpf {USUAL}`")),
    }
}

fn mount(folder: &Path) -> Result<(), Failure> {
    let target = if folder.starts_with(USUAL) {
        Path::new(USUAL)
    } else {
        folder
    };
    let remedy = format!("`mount -t bpf bpf {}`", target.display());
    let refuse = |why: String| {
        Failure::new(
            Exit::NoBpffs,
            format!("{}: no BPF file system: {why}", target.display()),
        )
        .help(format!("{remedy}, or set GUARD_BPFFS to a folder on one"))
    };
    if is_private_mount_namespace() {
        return Err(refuse(
            "this command runs in a mount namespace of its own (`ip netns exec`?), and a file \
             system mounted here would vanish with it, taking the firewall along"
                .to_owned(),
        ));
    }
    fs::create_dir_all(target).map_err(|error| refuse(error.to_string()))?;
    nix::mount::mount(
        Some("bpf"),
        target,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .map_err(|errno| refuse(format!("cannot mount one: {}", io::Error::from(errno))))
}

/// Was this process started in a mount namespace that its parent does not share?
fn is_private_mount_namespace() -> bool {
    let parent = format!("/proc/{}/ns/mnt", std::os::unix::process::parent_id());
    match (fs::read_link("/proc/self/ns/mnt"), fs::read_link(parent)) {
        (Ok(own), Ok(parent)) => own != parent,
        _ => false,
    }
}
