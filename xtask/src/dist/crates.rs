//! The crates that a packed guardctl is made of: those that are linked into it and into the BPF object inside it.
//! Nothing that only builds or tests.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{cross::Target, sh, workspace};

/// What is packed, and the target that it is compiled for: `None` = the one that is asked for.
const ROOTS: [(&str, Option<&str>); 2] = [
    ("guard-user", None),
    ("guard-ebpf", Some("bpfel-unknown-none")),
];

/// Name and version.
pub(super) type Key = (String, String);

/// One crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Crate {
    /// As its author writes it, in SPDX's words.
    pub(super) licence: String,
    /// Those that it calls.
    pub(super) needs: Vec<Key>,
}

/// All of them.
pub(super) fn shipped(target: Target) -> Result<BTreeMap<Key, Crate>> {
    let mut crates = BTreeMap::new();
    for (root, compiled_for) in ROOTS {
        let triple = compiled_for.unwrap_or(target.triple());
        let args = ["tree", "--locked", "-p", root, "--target", triple];
        let mut tree = sh::cargo(args);
        tree.args(["-e", "normal,no-proc-macro", "--prefix", "depth"])
            .args(["--format", "|{p}|{l}"]);
        note(&sh::output(&mut tree)?, &mut crates)?;
    }
    Ok(crates)
}

/// Takes in `DEPTH|NAME vVERSION …|LICENCE` lines. What a crate needs stands under its first line only.
fn note(text: &str, crates: &mut BTreeMap<Key, Crate>) -> Result<()> {
    let mut above: Vec<Key> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let wrong = || format!("cargo tree says `{line}`");
        let mut parts = line.splitn(3, '|');
        let mut part = || parts.next().with_context(wrong);
        let depth: usize = part()?.parse().with_context(wrong)?;
        let mut words = part()?.split(' ');
        let name = words.next().with_context(wrong)?;
        let version = words.next().with_context(wrong)?.trim_start_matches('v');
        let licence = part()?.trim_end_matches(" (*)").replace('/', " OR ");
        let key: Key = (name.to_owned(), version.to_owned());
        above.truncate(depth);
        if let Some(parent) = above.last().and_then(|parent| crates.get_mut(parent))
            && !parent.needs.contains(&key)
        {
            parent.needs.push(key.clone());
        }
        crates.entry(key.clone()).or_default().licence = licence;
        above.push(key);
    }
    Ok(())
}

/// Checksums of the crates' archives, as Cargo.lock has them; ours have none.
pub(super) fn checksums() -> Result<BTreeMap<Key, String>> {
    let path = workspace::root().join("Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let packages = text.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            let line = package.lines().find_map(|line| line.strip_prefix(&start));
            line.map(|value| value.trim_end_matches('"').to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    Ok(packages.collect())
}

/// Where the sources of all crates are.
pub(super) fn folders(target: Target) -> Result<BTreeMap<Key, PathBuf>> {
    let args = [
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
    ];
    let text = sh::output(sh::cargo(args).arg(target.triple()))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata prints no JSON")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let folders = packages.filter_map(|package| {
        let text = |name: &str| package[name].as_str().map(str::to_owned);
        let manifest = PathBuf::from(text("manifest_path")?);
        let folder = manifest.parent()?.to_path_buf();
        Some(((text("name")?, text("version")?), folder))
    });
    Ok(folders.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_whom_is_read_from_the_depths() {
        let text = "0|top v1.0.0 (/w/top)|MIT OR Apache-2.0\n1|a v2.0.0|MIT/Apache-2.0\n2|b v3.0.0|MIT\n1|b v3.0.0|MIT (*)\n";
        let key = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let mut crates = BTreeMap::new();

        note(text, &mut crates).expect("a tree");

        let top = &crates[&key("top", "1.0.0")];
        assert_eq!(top.needs, [key("a", "2.0.0"), key("b", "3.0.0")]);
        assert_eq!(crates[&key("a", "2.0.0")].licence, "MIT OR Apache-2.0");
        assert_eq!(crates[&key("b", "3.0.0")].licence, "MIT");
        assert!(note("what?", &mut crates).is_err());
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let checksums = checksums().expect("a lock file");

        assert!(checksums.values().all(|sum| sum.len() == 64));
        assert!(checksums.keys().any(|(name, _)| name == "aya"));
        assert!(!checksums.keys().any(|(name, _)| name == "guard-user"));
    }
}
