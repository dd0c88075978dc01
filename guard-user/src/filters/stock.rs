//! The filters of the fail2ban package: where they are, and of which version, for they may be newer than guard's.

use std::fmt;

/// Where the package has its filters.
pub(super) const FOLDER: &str = "/etc/fail2ban/filter.d";

/// Where its module says which version it is, on Debian and on Red Hat, by package or by hand.
const MODULES: [&str; 3] = [
    "/usr/lib/python3*/*-packages/fail2ban/version.py",
    "/usr/lib/python3/dist-packages/fail2ban/version.py",
    "/usr/local/lib/python3*/*-packages/fail2ban/version.py",
];

/// A version: the first three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub [u32; 3]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// That of the installed fail2ban; the newest if there are several.
#[must_use]
pub(super) fn installed() -> Option<Version> {
    MODULES
        .iter()
        .filter_map(|pattern| glob::glob(pattern).ok())
        .flatten()
        .filter_map(|path| of_module(&std::fs::read_to_string(path.ok()?).ok()?))
        .max()
}

/// `version = "1.0.2"`; what stands behind the numbers (`.dev1`) makes it no older.
fn of_module(text: &str) -> Option<Version> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("version ="))?;
    let line = line.trim().trim_matches(['"', '\'']);
    let mut numbers = line.split('.').map_while(|part| part.parse().ok());
    let major = numbers.next()?;
    let mut rest = || numbers.next().unwrap_or(0);
    Some(Version([major, rest(), rest()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_its_module_says() {
        for (text, version) in [
            ("# x\nversion = \"1.0.2\"\n", Some([1, 0, 2])),
            ("version = '1.1.1.dev1'", Some([1, 1, 1])),
            ("version = \"1.2\"", Some([1, 2, 0])),
            ("version = normalise()", None),
            ("", None),
        ] {
            assert_eq!(of_module(text), version.map(Version), "{text}");
        }
        assert!(Version([1, 1, 0]) > Version([1, 0, 2]));
    }
}
