//! A private apt: lists and packages of other Debian suites, without touching the machine's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::sources::Mirrors;
use crate::{packages, sh};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Which of the two archives a suite lives in.
#[derive(Clone, Copy)]
pub(super) enum Archive {
    Main,
    Security,
}

/// The private state, below the VM's cache folder.
pub(super) struct Apt {
    home: PathBuf,
    /// Debian's name of the processor.
    architecture: &'static str,
}

impl Apt {
    /// Fetches the package lists of the suites.
    pub(super) fn update(
        cache: &Path,
        architecture: &'static str,
        suites: &[(Archive, &str)],
    ) -> Result<Self> {
        let apt = Self {
            home: cache.join("apt"),
            architecture,
        };
        for folder in ["lists/partial", "cache/archives/partial", "debs"] {
            let folder = apt.home.join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mirrors = Mirrors::configured()?;
        let mut list = String::new();
        for (archive, suite) in suites {
            let uri = match archive {
                Archive::Main => &mirrors.main,
                Archive::Security => &mirrors.security,
            };
            list.push_str(&format!(
                "deb [arch={architecture} signed-by={KEYRING}] {uri} {suite} main\n"
            ));
        }
        fs::write(apt.home.join("sources.list"), list)?;
        fs::write(apt.home.join("status"), "")?;
        fs::write(apt.home.join("apt.conf"), apt.configuration())?;
        // One suite that has moved away must not hide the others; whoever misses a kernel says so.
        if let Err(error) = sh::quiet(&mut apt.get(&["update"])) {
            println!("note: not every package list could be fetched: {error:#}");
        }
        Ok(apt)
    }

    fn get(&self, args: &[&str]) -> Command {
        let mut command = packages::apt(["-c"]);
        command.arg(self.home.join("apt.conf")).args(args);
        command
    }

    /// Read after the machine's own configuration, whose proxy and credentials stay in force.
    fn configuration(&self) -> String {
        let home = self.home.display();
        let architecture = self.architecture;
        format!(
            r#"APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::Lists "{home}/lists";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
// apt's own user may not read these folders.
APT::Sandbox::User "root";
// Plain text, and nothing but packages.
Acquire::GzipIndexes "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
// The list of a suite that gets no more updates expires; its signature does not.
Acquire::Check-Valid-Until "false";
"#
        )
    }

    /// Name and size of every package in the lists.
    pub(super) fn index(&self) -> Result<Vec<(String, u64)>> {
        let mut index = Vec::new();
        for entry in fs::read_dir(self.home.join("lists"))? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("_Packages") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                index.extend(packages_in(&text));
            }
        }
        Ok(index)
    }

    /// Downloads packages (apt checks their hashes) and unpacks them into `into`.
    pub(super) fn unpack(&self, names: &[String], into: &Path) -> Result<()> {
        let debs = self.home.join("debs");
        fs::remove_dir_all(&debs)?;
        fs::create_dir_all(&debs)?;
        let mut download = self.get(&["download"]);
        download.args(names).current_dir(&debs);
        sh::quiet(&mut download)?;
        for deb in fs::read_dir(&debs)? {
            let mut unpack = sh::command("dpkg-deb", ["-x"]);
            unpack.arg(deb?.path()).arg(into);
            sh::output(&mut unpack)?;
        }
        Ok(())
    }
}

fn packages_in(list: &str) -> Vec<(String, u64)> {
    let mut packages = Vec::new();
    let mut name = "";
    for line in list.lines() {
        if let Some(value) = line.strip_prefix("Package: ") {
            name = value;
        } else if let Some(value) = line.strip_prefix("Size: ") {
            packages.push((name.to_owned(), value.trim().parse().unwrap_or(0)));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_names_and_sizes() {
        let list = "Package: a\nInstalled-Size: 9\nSize: 12\n\nPackage: b\nSize: 3\n";

        assert_eq!(
            packages_in(list),
            [("a".to_owned(), 12), ("b".to_owned(), 3)]
        );
    }
}
