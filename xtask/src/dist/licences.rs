//! The licences that go with a package: ours, and those of the crates that are linked into the program.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::crates::{self, Key};
use crate::{cross::Target, workspace};

/// How a file begins that holds a licence.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

const HEAD: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: guard

Files: *
Copyright: 2026 The guard developers
License: MIT or Apache-2.0

Files: usr/sbin/guardctl
Copyright: 2026 The guard developers
License: MIT or Apache-2.0
Comment: The program that it loads into the kernel is under MIT or GPL-2.0, at your choice.
 The licences of the crates that are linked into it are in third-party-licences.txt.

License: Apache-2.0
 On Debian systems, see /usr/share/common-licenses/Apache-2.0.

License: MIT
";

/// Debian's file `copyright`.
pub(super) fn own() -> Result<String> {
    let path = workspace::root().join("LICENSE-MIT");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(|line| match line.trim_end() {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    Ok(HEAD.to_owned() + &lines.collect::<String>())
}

/// The texts of all other crates' licences, each once, with the crates that it is of.
pub(super) fn of_others() -> Result<String> {
    // The same for every processor, but for crates of a line or two that have no licence of their own.
    let target = Target::of_this_machine();
    let folders = crates::folders(target)?;
    let checksums = crates::checksums()?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let shipped = crates::shipped(target)?;
    for (key, found) in shipped
        .iter()
        .filter(|(key, _)| checksums.contains_key(*key))
    {
        let folder = folders.get(key);
        let folder = folder.with_context(|| format!("no sources of {}", shown(key)))?;
        let mut is_found = false;
        for file in licence_files(folder)? {
            let text = fs::read(&file).with_context(|| file.display().to_string())?;
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            texts.entry(text).or_default().push(shown(key));
            is_found = true;
        }
        if !is_found {
            let line = format!("{}: {}", shown(key), found.licence);
            texts
                .entry("(its archive has no text of a licence)".to_owned())
                .or_default()
                .push(line);
        }
    }
    let parts = texts
        .into_iter()
        .map(|(text, crates)| format!("{}\n\n{text}\n\n{}\n\n", crates.join(", "), "=".repeat(72)));
    Ok(parts.collect())
}

fn licence_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.to_uppercase();
            path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

fn shown((name, version): &Key) -> String {
    format!("{name} {version}")
}
