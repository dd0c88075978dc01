//! `cargo xtask tidy`: the rules of CONTRIBUTING.md that neither rustfmt nor clippy knows.

mod circles;
mod documents;
mod folders;
mod imports;
mod layering;
mod names;
mod orphans;
mod size;
mod typed_errors;
mod wording;

use std::{fmt, fs};

use anyhow::{Context as _, Result, bail};

use crate::{sh, workspace};

/// One file of the workspace, its path relative to the root.
struct Source {
    path: String,
    text: String,
}

/// Something that has to change before a commit.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; `None` when the whole file is meant.
    line: Option<usize>,
    what: String,
    way_out: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}\n  help: {}", self.what, self.way_out)
    }
}

/// The command.
pub(crate) fn run() -> Result<()> {
    let sources = sources("*.rs")?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(size::check(source));
        findings.extend(wording::check(source));
        findings.extend(names::check(source));
        findings.extend(layering::check_source(source));
        findings.extend(folders::check(source));
        findings.extend(typed_errors::check(source));
    }
    findings.extend(circles::check(&sources));
    findings.extend(orphans::check(&sources));
    for manifest in &self::sources("*Cargo.toml")? {
        findings.extend(layering::check_manifest(manifest));
    }
    findings.extend(documents::check()?);

    for note in sources.iter().filter_map(size::note) {
        println!("note: {note}");
    }
    verdict(&findings)?;
    println!("tidy: {} files, nothing to say", sources.len());
    Ok(())
}

/// The part of it that concerns documents.
pub(crate) fn documents() -> Result<()> {
    verdict(&documents::check()?)
}

/// Shows what was found; an error if there is anything.
fn verdict(findings: &[Finding]) -> Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("tidy: {count} to mend"),
    }
}

/// The files that git has or would take.
fn sources(pattern: &str) -> Result<Vec<Source>> {
    let args = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        pattern,
    ];
    let listed = sh::output(&mut sh::command("git", args))?;
    let mut sources = Vec::new();
    for path in listed.lines() {
        let full = workspace::root().join(path);
        // In the index and deleted on disk: gone with the next commit.
        if full.exists() {
            let text = fs::read_to_string(&full).with_context(|| format!("cannot read {path}"))?;
            let path = path.to_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

/// The folder of the crate that a file belongs to.
fn crate_of(path: &str) -> &str {
    path.split_once('/').map_or("", |(first, _)| first)
}

#[cfg(test)]
mod fixture {
    //! Sources for the tests of the rules.

    use super::Source;

    pub(super) fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}
