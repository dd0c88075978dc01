//! Picks kernel modules and what they depend on, in the order in which they load.
//!
//! The packages carry no modules.dep (that is made at installation), so the dependencies come
//! from the modules themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// What the tests need beyond the kernel itself.
const WANTED: &[&str] = &[
    "veth",
    "sch_ingress",
    "cls_bpf",
    "bridge",
    "8021q",
    "dummy",
    "virtio_pci",
    "virtio_net",
];

/// A module ready for insmod.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The wanted modules; what this kernel has built in, or lacks, is left out.
pub(super) fn load_order(files: &[PathBuf]) -> Result<Vec<Module>> {
    let mut order = Vec::new();
    for wanted in WANTED {
        add(wanted, files, &mut order)?;
    }
    Ok(order)
}

fn add(name: &str, files: &[PathBuf], order: &mut Vec<Module>) -> Result<()> {
    if order.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let Some(file) = files.iter().find(|file| name_of(file) == name) else {
        return Ok(());
    };
    let bytes = read(file)?;
    for dependency in dependencies(&bytes) {
        add(&dependency, files, order)?;
    }
    let name = name.to_owned();
    order.push(Module { name, bytes });
    Ok(())
}

/// The kernel takes `-` and `_` in a module's name for the same.
fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko")
        .next()
        .unwrap_or_default()
        .replace('-', "_")
}

/// A module's plain bytes.
fn read(file: &Path) -> Result<Vec<u8>> {
    let unpacker = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some(_) | None => {
            return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        }
    };
    let output = sh::command(unpacker, ["-dc"])
        .arg(file)
        .output()
        .with_context(|| format!("cannot start {unpacker}"))?;
    if !output.status.success() {
        bail!("{unpacker} cannot unpack {}", file.display());
    }
    Ok(output.stdout)
}

/// `depends=` and `softdep=pre:` of the section .modinfo: strings that each end with a zero byte.
fn dependencies(module: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for string in module.split(|byte| *byte == 0) {
        if let Some(list) = string.strip_prefix(b"depends=") {
            let list = String::from_utf8_lossy(list).into_owned();
            names.extend(list.split(',').map(|name| name.replace('-', "_")));
        } else if let Some(list) = string.strip_prefix(b"softdep=pre:") {
            let list = String::from_utf8_lossy(list).into_owned();
            let before = list.split("post:").next().unwrap_or_default();
            names.extend(before.split_whitespace().map(|name| name.replace('-', "_")));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_from_the_modules_own_strings() {
        let module =
            b"\x7fELF\0license=GPL\0depends=stp,llc-x\0softdep=pre: crc32c post: late\0\0name=b\0";

        assert_eq!(dependencies(module), ["stp", "llc_x", "crc32c"]);
        assert!(dependencies(b"\0depends=\0").is_empty());
    }

    #[test]
    fn names_are_found_packed_or_not() {
        for file in ["/m/sch-ingress.ko", "/m/sch_ingress.ko.xz"] {
            assert_eq!(name_of(Path::new(file)), "sch_ingress");
        }
    }
}
