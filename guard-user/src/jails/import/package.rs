//! Has an administrator edited a file of fail2ban's? The package manager knows.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::STOCK;

/// What asks the package manager, on Debian and on Red Hat; both answer in the same form.
const VERIFIERS: [&[&str]; 2] = [
    &["dpkg", "--verify", "fail2ban"],
    &["rpm", "--verify", "fail2ban-server"],
];

/// The files of the installed package.
#[derive(Clone, Debug)]
pub struct Package {
    /// Those that differ from the package's; none if no package manager knows fail2ban.
    edited: Option<BTreeSet<PathBuf>>,
}

impl Package {
    /// Asks the package manager.
    #[must_use]
    pub fn installed() -> Self {
        let answer = |words: &[&str]| {
            let [program, arguments @ ..] = words else {
                return None;
            };
            let ran = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .ok()?;
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            // dpkg fails for a package that it does not know, and for nothing else; rpm says what it found by failing.
            (ran.status.success() || !text.trim().is_empty() && !text.contains("not installed"))
                .then(|| edited(&text))
        };
        Self {
            edited: VERIFIERS.iter().find_map(|words| answer(words)),
        }
    }

    /// Is this file not as the package has it? A copy of one that is, is.
    #[must_use]
    pub fn is_edited(&self, file: &Path) -> bool {
        let Some(edited) = &self.edited else {
            return true;
        };
        let Some(name) = file.file_name() else {
            return true;
        };
        let stock = Path::new(STOCK).join("filter.d").join(name);
        let is_same = match (fs::read(file), fs::read(&stock)) {
            (Ok(one), Ok(other)) => one == other,
            (Ok(_) | Err(_), _) => false,
        };
        !is_same || edited.contains(&stock)
    }
}

/// `??5?????? c /etc/fail2ban/filter.d/sshd.conf`: the third character says that the contents differ.
fn edited(text: &str) -> BTreeSet<PathBuf> {
    text.lines()
        .filter(|line| line.as_bytes().get(2) == Some(&b'5'))
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_what_the_package_manager_says() {
        let text = "??5?????? c /etc/fail2ban/filter.d/sshd.conf\n.......T.  c /etc/fail2ban/jail.conf\n\
                    missing   c /etc/fail2ban/filter.d/gone.conf\nS.5....T.  c /etc/fail2ban/filter.d/a b.conf\n";
        let found = edited(text);
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["a b.conf", "sshd.conf"]);
    }

    #[test]
    fn without_a_package_every_file_is_somebodys_own() {
        let package = Package { edited: None };
        assert!(package.is_edited(Path::new("/etc/fail2ban/filter.d/sshd.conf")));
    }
}
