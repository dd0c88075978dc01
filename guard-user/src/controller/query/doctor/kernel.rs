//! Does this kernel take the programs, and keep them?

use std::path::Path;

use super::Finding;
use crate::{
    dataplane::{bpffs, pins, preflight, trial},
    failure::Exit,
    host::kernel,
    layout::Layout,
};

/// The first that has all that the programs need.
const OLDEST: (u32, u32) = (5, 10);

pub(super) fn examine(layout: &Layout) -> Vec<Finding> {
    let release = kernel::release();
    let mut found = Vec::new();
    let rights = preflight::may_load();
    if let Err(failure) = &rights {
        found.push(Finding::failed("rights", failure));
    }
    let is_old = kernel::version(&release).is_some_and(|version| version < OLDEST);
    if is_old {
        found.push(
            Finding::wrong("kernel", Exit::Unsupported, format!("Linux {release}"))
                .remedy("guard needs Linux 5.10 or newer: upgrade the kernel, and reboot"),
        );
    }
    let has_jit = kernel::has_jit() != Some(false);
    if !has_jit {
        found.push(
            Finding::wrong(
                "kernel",
                Exit::Unsupported,
                "BPF programs are not translated to machine code (net.core.bpf_jit_enable is 0)",
            )
            .remedy(
                "`sysctl -w net.core.bpf_jit_enable=1`, and the same in a file of /etc/sysctl.d",
            ),
        );
    }
    if rights.is_ok() && !is_old && has_jit {
        found.extend(tried(&release));
    }
    found.extend(locked_down(Path::new("/")));
    found.push(file_system(layout));
    found.extend(other_version(layout));
    found
}

fn tried(release: &str) -> Vec<Finding> {
    let trial = match trial::load() {
        Ok(trial) => trial,
        Err(failure) => return vec![Finding::failed("kernel", &failure)],
    };
    let mut found = vec![Finding::good(
        "kernel",
        format!("Linux {release} takes the programs"),
    )];
    if let Some(why) = trial.no_cookies {
        found.push(
            Finding::note(
                "kernel",
                format!("it cannot answer SYNs with cookies from XDP: {why}"),
            )
            .remedy("a ceiling on new connections acts instead; Linux 6.0 or newer has cookies"),
        );
    }
    if let Some(why) = trial.no_others {
        found.push(
            Finding::note(
                "kernel",
                format!("IPv6 and tagged frames have no fast path: {why}"),
            )
            .remedy(if cfg!(target_arch = "aarch64") {
                "they are filtered all the same, at twice the cost; Linux 6.0 or newer has one"
            } else {
                "they are filtered all the same, at twice the cost"
            }),
        );
    }
    found
}

/// How far the kernel is locked down, which is nothing to be worried about: `cargo xtask vps lockdown confidentiality`
/// boots such kernels.
fn locked_down(root: &Path) -> Option<Finding> {
    let word = kernel::lockdown(root)?;
    let meaning = match word.as_str() {
        "integrity" => "root may not change the running kernel",
        "confidentiality" => "root may neither change the running kernel nor read its memory",
        _ => "some of what root may do is refused",
    };
    let text = format!("locked down ({word}): {meaning}; guard does neither, and works");
    Some(Finding::note("kernel", text))
}

/// Where pins outlive commands.
fn file_system(layout: &Layout) -> Finding {
    let folder = &layout.bpffs;
    match bpffs::writable(folder) {
        Ok(true) => Finding::good("bpffs", format!("{}: a BPF file system", folder.display())),
        Ok(false) => Finding::note(
            "bpffs",
            format!(
                "{}: no BPF file system yet; `guardctl enable` mounts one",
                folder.display()
            ),
        ),
        Err(failure) => Finding::failed("bpffs", &failure),
    }
}

/// What another version of guard has left.
fn other_version(layout: &Layout) -> Option<Finding> {
    let failure = pins::open(layout).err()?;
    Some(Finding::failed("pins", &failure))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_kernel_that_is_locked_down_is_a_note_that_says_how_far() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(locked_down(root.path()), None, "a kernel without lockdown");
        let folder = root.path().join("sys/kernel/security");
        fs::create_dir_all(&folder).expect("its folder");
        for (text, expected) in [
            ("[none] integrity confidentiality\n", None),
            (
                "none [integrity] confidentiality\n",
                Some("(integrity): root may not change the running kernel;"),
            ),
            (
                "none integrity [confidentiality]\n",
                Some("(confidentiality): root may neither change"),
            ),
            (
                "none integrity confidentiality [more]\n",
                Some("(more): some of what root may do is refused;"),
            ),
            ("", None),
            ("none integrity\n", None),
        ] {
            fs::write(folder.join("lockdown"), text).expect("the file");
            let found = locked_down(root.path());
            assert_eq!(found.is_some(), expected.is_some(), "{text:?}: {found:?}");
            if let (Some(finding), Some(expected)) = (found, expected) {
                assert_eq!(finding.health, super::super::Health::Note);
                assert!(finding.text.contains(expected), "{}", finding.text);
                assert!(finding.text.ends_with("and works"), "{}", finding.text);
            }
        }
    }
}
