//! The guest's file system: a shell, the network tools, the modules, the jobs and the script that
//! runs them.

use std::{fs, io::BufWriter, path::Path};

use anyhow::{Context as _, Result};

use super::{
    cpio::Tree,
    modules,
    payload::{self, Payload},
    userland::Userland,
};
use crate::sh;

/// What the init script says between the jobs' own output.
pub(super) const BEGIN: &str = "@guard-vm begin ";
pub(super) const END: &str = "@guard-vm end ";
pub(super) const DONE: &str = "@guard-vm done";

/// Files of this machine by which names and users are looked up.
const DATABASES: &[&str] = &["/etc/services", "/etc/protocols"];

/// A locked memory limit is *not* lifted here: below 5.11 BPF maps count against it, and guard
/// has to cope with that by itself.
const SETUP: &str = r"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin 2>/dev/null
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
chmod 1777 /tmp
hostname guard-vm
while read -r module; do insmod /modules/$module.ko; done </modules/order
ip link set lo up
export GUARD_TESTS_STRICT=1 GUARD_IN_VM=1 RUST_BACKTRACE=1 GUARD_PARITY_FRAMES=100000
";

/// Writes the initramfs for a kernel.
pub(super) fn write(
    initramfs: &Path,
    modules_of: &[std::path::PathBuf],
    userland: &Userland,
    payload: &Payload,
) -> Result<()> {
    let mut tree = Tree::default();
    for folder in ["proc", "sys", "dev", "tmp", "run", "root", "etc", "var/lib"] {
        tree.folder(folder);
    }
    // devtmpfs comes too late for init's own output.
    tree.character("dev/console", 5, 1);
    tree.character("dev/null", 1, 3);

    userland.install(&mut tree)?;
    tree.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\n".to_vec(),
    );
    tree.file("etc/group", 0o644, b"root:x:0:\n".to_vec());
    for database in DATABASES {
        if Path::new(database).is_file() {
            tree.copy(Path::new(database), database)?;
        }
    }

    let mut order = String::new();
    for module in modules::load_order(modules_of)? {
        order.push_str(&format!("{}\n", module.name));
        tree.file(&format!("modules/{}.ko", module.name), 0o644, module.bytes);
    }
    tree.file("modules/order", 0o644, order.into_bytes());

    if let Some(guardctl) = &payload.guardctl {
        payload::install(&mut tree, guardctl, "usr/sbin/guardctl")?;
    }
    for job in &payload.jobs {
        payload::install(&mut tree, &job.program, &format!("jobs/{}", job.name))?;
    }
    tree.file("init", 0o755, script(payload).into_bytes());

    let file = fs::File::create(initramfs)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    let mut out = BufWriter::new(file);
    tree.write(&mut out)?;
    std::io::Write::flush(&mut out)?;
    Ok(())
}

/// The whole of what process 1 does.
fn script(payload: &Payload) -> String {
    let mut script = SETUP.to_owned();
    if payload.guardctl.is_some() {
        script.push_str("export GUARDCTL=/usr/sbin/guardctl\n");
    }
    for job in &payload.jobs {
        let args: Vec<_> = job.args.iter().map(|arg| sh::quoted(arg)).collect();
        let name = sh::quoted(&job.name);
        script.push_str(&format!(
            "echo '{BEGIN}'{name}\n/jobs/{name} {args} </dev/null\nstatus=$?\necho \"{END}\"{name} $status\n",
            args = args.join(" ")
        ));
    }
    // With -no-reboot, a reboot is the quickest way out of qemu.
    script.push_str(&format!("echo '{DONE}'\nsync\nreboot -f\n"));
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::payload::Job;

    #[test]
    fn arguments_reach_the_job_as_they_were_typed() {
        let payload = Payload {
            jobs: vec![Job {
                name: "ingress".into(),
                program: "/x".into(),
                args: vec!["a b".into(), "--exact".into()],
            }],
            guardctl: None,
        };

        let script = script(&payload);
        assert!(
            script.contains("\n/jobs/ingress 'a b' --exact </dev/null\n"),
            "{script}"
        );
    }
}
