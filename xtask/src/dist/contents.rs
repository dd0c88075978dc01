//! What is in a package, and where on a server it lies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    licences,
    release::{MAINTAINER, NAME, Release},
};
use crate::{sh, workspace};

/// Where the programs lie; units and scripts name them.
pub(super) const PROGRAM_FOLDER: &str = "usr/sbin";
/// Their names; they are built into one folder.
pub(super) const PROGRAMS: [&str; 2] = ["guardctl", "guard-fleet"];

/// There from the beginning, though nothing is in them.
pub(super) const FOLDERS: [&str; 2] = ["etc/guard/filter.d", "etc/guard/guard.d"];

/// Files that an administrator may change, which an upgrade then leaves alone.
pub(super) const CONFIGURATION: [&str; 1] = ["etc/fail2ban/action.d/guard.conf"];

/// Plain copies: from the workspace, to the server. A folder stands for its files.
const COPIES: &[(&str, &str)] = &[
    ("packaging/udev/75-guard.rules", "usr/lib/udev/rules.d"),
    ("packaging/sysusers.d/guardctl.conf", "usr/lib/sysusers.d"),
    (
        "packaging/fail2ban/action.d/guard.conf",
        "etc/fail2ban/action.d",
    ),
    ("packaging/schema", "usr/share/guard"),
    ("packaging/grafana", "usr/share/guard"),
    ("packaging/prometheus", "usr/share/guard"),
    ("examples", "usr/share/doc/guardctl/examples"),
];

/// For each shell, where it looks for completions.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/guardctl"),
    ("zsh", "usr/share/zsh/site-functions/_guardctl"),
    ("fish", "usr/share/fish/vendor_completions.d/guardctl.fish"),
];

const UNITS: &str = "packaging/systemd";
const UNIT_FOLDER: &str = "usr/lib/systemd/system";
/// Where the program writes its manual.
pub(super) const MANUAL: &str = "usr/share/man/man1";
pub(super) const DOCUMENTS: &str = "usr/share/doc/guardctl";

/// One file.
pub(super) struct Content {
    /// Below the root of the server.
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// As the distribution keeps manual and changelog.
    pub(super) is_compressed: bool,
}

/// All of them but the program.
pub(super) fn files(release: &Release, native: &Path) -> Result<Vec<Content>> {
    let root = workspace::root();
    let mut files = Vec::new();
    for (from, to) in COPIES {
        for file in all_of(&root.join(from))? {
            files.push(copy(&file, to)?);
        }
    }
    for unit in all_of(&root.join(UNITS))? {
        let mut unit = copy(&unit, UNIT_FOLDER)?;
        unit.bytes = documented(&String::from_utf8(unit.bytes)?).into_bytes();
        files.push(unit);
    }
    for (shell, path) in COMPLETIONS {
        let mut write = Command::new(native);
        files.push(Content {
            path: path.into(),
            bytes: sh::output(write.args(["completions", shell]))?.into_bytes(),
            is_compressed: false,
        });
    }
    let text = |name: &str, text: String| Content {
        path: Path::new(DOCUMENTS).join(name),
        bytes: text.into_bytes(),
        is_compressed: false,
    };
    files.push(text("copyright", licences::own()?));
    files.push(compressed(text(
        "third-party-licences.txt",
        licences::of_others()?,
    )));
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).context("CHANGELOG.md")?;
    files.push(compressed(text(
        "changelog",
        debian_changelog(release, &changelog)?,
    )));
    Ok(files)
}

fn compressed(file: Content) -> Content {
    Content {
        is_compressed: true,
        ..file
    }
}

/// The unit says where its manual is.
fn documented(unit: &str) -> String {
    let mut text = String::new();
    for line in unit.lines() {
        text += line;
        text.push('\n');
        if line.starts_with("Description=") {
            text += "Documentation=man:guardctl(1)\n";
        }
    }
    text
}

fn copy(from: &Path, to: &str) -> Result<Content> {
    let name = from.file_name().context("a file has a name")?;
    Ok(Content {
        path: Path::new(to).join(name),
        bytes: fs::read(from).with_context(|| from.display().to_string())?,
        is_compressed: false,
    })
}

/// A file, or those of a folder, in order.
fn all_of(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.is_file());
    files.sort_unstable();
    if files.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(files)
}

/// The newest section of CHANGELOG.md as Debian writes it.
fn debian_changelog(release: &Release, changelog: &str) -> Result<String> {
    let version = &release.version;
    let changes = section(changelog, version);
    let changes = changes.with_context(|| format!("CHANGELOG.md does not begin with {version}"))?;
    let mut date = sh::command("date", ["--utc", "-R", "-d"]);
    let date = sh::output(date.arg(format!("@{}", release.moment)).env("LC_ALL", "C"))?;
    Ok(format!(
        "{NAME} ({version}) unstable; urgency=medium\n\n{changes}\n -- {MAINTAINER}  {}\n",
        date.trim()
    ))
}

/// The changes of the first version that a changelog has, indented; `None` when it is not this one.
fn section(changelog: &str, version: &str) -> Option<String> {
    let mut lines = changelog
        .lines()
        .skip_while(|line| !line.starts_with("## "));
    if lines.next()?.trim_start_matches("## ") != version {
        return None;
    }
    let lines = lines.take_while(|line| !line.starts_with("## "));
    let lines = lines.filter(|line| !line.trim().is_empty());
    let bullets = lines.map(|line| match line.strip_prefix("- ") {
        Some(change) => format!("  * {change}\n"),
        None => format!("    {}\n", line.trim()),
    });
    Some(bullets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_begins_with_the_version_that_is_packed() {
        let text = "# Changelog\n\n## 0.2.0\n\n- A thing.\n  Two lines.\n\n## 0.1.0\n\n- Old.\n";

        assert_eq!(
            section(text, "0.2.0").as_deref(),
            Some("  * A thing.\n    Two lines.\n")
        );
        assert_eq!(section(text, "0.1.0"), None);
        let own = fs::read_to_string(workspace::root().join("CHANGELOG.md")).expect("a file");
        assert!(section(&own, env!("CARGO_PKG_VERSION")).is_some());
    }

    #[test]
    fn every_file_that_is_copied_exists() {
        for (from, to) in COPIES {
            all_of(&workspace::root().join(from)).expect("files");
            assert!(!to.starts_with('/'), "{to}");
        }
        assert_eq!(
            documented("[Unit]\nDescription=a\n"),
            "[Unit]\nDescription=a\nDocumentation=man:guardctl(1)\n"
        );
    }
}
