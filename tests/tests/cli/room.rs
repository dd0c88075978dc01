//! No room on the disk, or no writing to it: an error, and everything is as it was.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::host::Host;

const POLICY: &str = "# room\n[[rule]]\naction = \"allow\"\nport = 22\n";

/// A file system of two pages in a folder.
struct Tiny {
    folder: PathBuf,
}

impl Tiny {
    fn mount(folder: &Path) -> Self {
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8k", "tiny"])
            .arg(folder));
        Self {
            folder: folder.to_path_buf(),
        }
    }

    /// Leaves no page free.
    fn fill(&self) {
        let written = fs::write(self.folder.join(".filler"), vec![b'x'; 1 << 16]);
        let error = written.expect_err("64 KiB do not fit");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.folder.join(".filler")).expect("the filler");
    }

    fn remount(&self, option: &str) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,{option}")])
            .arg(&self.folder));
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(&self.folder)
            .status()
            .ok();
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("mount");
    assert!(status.success(), "{command:?}");
}

#[test]
fn a_full_disk_below_the_policy_changes_nothing() {
    let Some(host) = Host::new() else { return };
    let tiny = Tiny::mount(&host.guard.etc());
    host.guard.write_policy(POLICY);
    let _printed = host.run("enable").ok();
    tiny.fill();

    for line in [
        "allow 80/tcp",
        "delete 1",
        "default allow",
        "never add 1.1.1.1",
        "enable --iface eth0",
    ] {
        let _printed = host
            .run(line)
            .exit(1)
            .says("No space left on device")
            .says("free some space; the old file is untouched");
        assert_eq!(host.guard.policy(), POLICY, "{line}");
        assert_eq!(
            Host::entries(&host.guard.etc()),
            [".filler", "guard.toml"],
            "{line}"
        );
    }
    assert_eq!(host.generation(), 1);
    assert_eq!(host.rules(), ["allow 22"]);

    tiny.make_room();
    let _printed = host.run("allow 80/tcp").ok().says("(generation 2)");
}

#[test]
fn a_full_disk_below_the_state_changes_nothing() {
    let Some(host) = Host::new() else { return };
    let tiny = Tiny::mount(&host.guard.state());
    host.guard.write_policy(POLICY);
    tiny.fill();

    let _printed = host.run("enable").exit(1).says("No space left on device");
    assert_eq!(host.json("status")["active"], false);
    // The kernel's own entries stay.
    let pins = Host::entries(&host.guard.bpffs());
    assert!(!pins.iter().any(|name| name.starts_with('v')), "{pins:?}");
    tiny.make_room();
    let _printed = host.run("enable").ok();
    tiny.fill();

    for line in ["allow 80/tcp", "reload"] {
        let _printed = host.run(line).exit(1).says("No space left on device");
    }
    assert_eq!(host.guard.policy(), POLICY);
    assert_eq!(host.generation(), 1);
    assert_eq!(host.rules(), ["allow 22"]);
}

#[test]
fn a_read_only_policy_changes_nothing() {
    let Some(host) = Host::new() else { return };
    let tiny = Tiny::mount(&host.guard.etc());
    host.guard.write_policy(POLICY);
    let _printed = host.run("enable").ok();
    tiny.remount("ro");

    let _printed = host
        .run("allow 80/tcp")
        .exit(1)
        .says("Read-only file system")
        .says("the file system is mounted read-only");
    assert_eq!(host.guard.policy(), POLICY);
    assert_eq!(host.generation(), 1);
    let _printed = host.run("reload").ok();
}
