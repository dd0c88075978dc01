//! What differs between the guests of two processors.

use crate::cross::Target;

/// How a guest of a processor is made and run.
pub(super) struct Platform {
    /// Debian's name of the processor.
    pub(super) debian: &'static str,
    /// Folder below the target folder.
    pub(super) cache: &'static str,
    pub(super) qemu: &'static str,
    pub(super) qemu_package: &'static str,
    pub(super) board: &'static str,
    pub(super) processor: &'static str,
    pub(super) console: &'static str,
    /// Kernels when none is named.
    pub(super) kernels: &'static [&'static str],
    /// Seconds that a guest may take.
    pub(super) patience: u64,
    /// Has it two NICs on one wire?
    pub(super) has_nics: bool,
}

/// The floor, what Debian 12 has, what Debian 13 has, and what is to come.
const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "newest"];

impl Platform {
    pub(super) fn of(target: Target) -> Self {
        match target {
            Target::X86 => Self {
                debian: "amd64",
                cache: "guard-vm",
                qemu: "qemu-system-x86_64",
                qemu_package: "qemu-system-x86",
                // Not microvm, which hangs at boot now and then.
                board: "q35",
                processor: "max",
                console: "ttyS0",
                kernels: KERNELS,
                patience: 900,
                has_nics: false,
            },
            Target::Arm => Self {
                debian: "arm64",
                cache: "guard-vm-aarch64",
                qemu: "qemu-system-aarch64",
                qemu_package: "qemu-system-arm",
                board: "virt",
                // Signed pointers in the architecture's own way take most of the emulator's time.
                processor: "max,pauth-impdef=on",
                console: "ttyAMA0",
                kernels: &["6.1"],
                patience: 5400,
                has_nics: true,
            },
        }
    }

    /// How the names of Debian's kernels for clouds end: small, few modules, everything that guard needs.
    pub(super) fn flavour(&self) -> String {
        format!("-cloud-{}", self.debian)
    }
}
