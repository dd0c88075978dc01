//! What is packed: version, moment and ABI, read from the sources.

use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::{sh, workspace};

/// Name of the packages; `guard` is another program in Debian.
pub(super) const NAME: &str = "guardctl";
pub(super) const SUMMARY: &str = "packet filter in XDP that also bans failed logins";
pub(super) const MAINTAINER: &str = "The guard developers <guard@users.noreply.guard.invalid>";

/// A version of guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) version: String,
    /// Seconds since 1970: the time of every file in a package.
    pub(crate) moment: u64,
    /// Of the tables in the kernel.
    pub(crate) abi: u32,
}

impl Release {
    /// `SOURCE_DATE_EPOCH`, or else the time of the commit.
    pub(super) fn of_this_commit() -> Result<Self> {
        let moment = match env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text
                .parse()
                .context("SOURCE_DATE_EPOCH is no number of seconds")?,
            Err(_) => moment_of_the_commit()?,
        };
        let version = constant("Cargo.toml", "version = \"")?;
        let abi = constant(
            "guard-common/src/abi/mod.rs",
            "pub const ABI_VERSION: u32 = ",
        )?;
        Ok(Self {
            version,
            moment,
            abi: abi.parse().context("ABI_VERSION is no number")?,
        })
    }
}

fn moment_of_the_commit() -> Result<u64> {
    let mut git = sh::command("git", ["log", "-1", "--format=%ct"]);
    let text = sh::output(&mut git)
        .context("the time of the commit is that of the packed files\n  help: outside a git checkout, set SOURCE_DATE_EPOCH")?;
    text.trim().parse().context("git prints no time")
}

/// What follows `before` in a file, up to what ends a value.
fn constant(file: &str, before: &str) -> Result<String> {
    let text = fs::read_to_string(workspace::root().join(file)).context(file.to_owned())?;
    let value = value(&text, before);
    value.with_context(|| format!("{file} has no `{before}`"))
}

fn value(text: &str, before: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(before))?;
    Some(line.trim_end_matches(['"', ';']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_abi_are_those_of_the_sources() {
        assert_eq!(
            constant("Cargo.toml", "version = \"").expect("a version"),
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(
            value("x\npub const ABI: u32 = 9;\n", "pub const ABI: u32 = ").as_deref(),
            Some("9")
        );
        assert_eq!(value("", "version"), None);
    }
}
