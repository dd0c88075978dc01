//! Which Debian mirrors this machine uses, from its own apt configuration. Names no host.

use std::{env, fs, path::Path};

use anyhow::{Result, bail};

/// Where the kernels of other suites come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirrors {
    pub(crate) main: String,
    pub(crate) security: String,
}

/// One archive that apt is told to use.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    suite: String,
}

const CODENAMES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

impl Mirrors {
    /// `GUARD_DEBIAN_MIRROR` and `GUARD_DEBIAN_SECURITY_MIRROR` go before the configuration.
    pub(crate) fn configured() -> Result<Self> {
        let mut entries = Vec::new();
        let list = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        entries.extend(one_line(&list));
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            let mut files: Vec<_> = folder.flatten().map(|file| file.path()).collect();
            files.sort();
            for file in files {
                entries.extend(of_file(&file));
            }
        }
        let (mut main, mut security) = chosen(&entries);
        main = env::var("GUARD_DEBIAN_MIRROR").ok().or(main);
        security = env::var("GUARD_DEBIAN_SECURITY_MIRROR").ok().or(security);
        let Some(main) = main else {
            bail!(
                "kernels and servers are Debian's, and this machine's apt configuration names no Debian mirror\n  help: set GUARD_DEBIAN_MIRROR to the URL of one, the part before /dists"
            );
        };
        // Mirrors carry the security archive next to the main one.
        let security =
            security.unwrap_or_else(|| format!("{}-security", main.trim_end_matches('/')));
        Ok(Self { main, security })
    }
}

fn of_file(path: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(path).unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("list") => one_line(&text),
        Some("sources") => deb822(&text),
        Some(_) | None => Vec::new(),
    }
}

/// `deb [options] URI suite component…`
fn one_line(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let uri = words.next()?.to_owned();
        let suite = words.next()?.to_owned();
        Some(Entry { uri, suite })
    };
    text.lines().filter_map(entry).collect()
}

/// Paragraphs of `URIs:` and `Suites:`.
fn deb822(text: &str) -> Vec<Entry> {
    let uncommented: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut entries = Vec::new();
    for paragraph in uncommented.join("\n").split("\n\n") {
        let field = |name: &str| {
            let value = |line: &str| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            };
            paragraph.lines().find_map(value).unwrap_or_default()
        };
        if field("Enabled") == "no" {
            continue;
        }
        for uri in field("URIs").split_whitespace() {
            for suite in field("Suites").split_whitespace() {
                entries.push(Entry {
                    uri: uri.to_owned(),
                    suite: suite.to_owned(),
                });
            }
        }
    }
    entries
}

fn chosen(entries: &[Entry]) -> (Option<String>, Option<String>) {
    let of = |suffix: &str| {
        let is_debian = |entry: &&Entry| {
            let codename = entry.suite.strip_suffix(suffix);
            codename.is_some_and(|codename| CODENAMES.contains(&codename))
        };
        entries
            .iter()
            .find(is_debian)
            .map(|entry| entry.uri.clone())
    };
    (of(""), of("-security"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_both_archives() {
        let modern = "Types: deb\n# URIs: http://no.invalid/x\nURIs: http://m.invalid/debian\nSuites: bookworm bookworm-updates\n\nTypes: deb\nURIs: http://s.invalid/sec\nSuites: bookworm-security\n";
        let classic = "# deb http://no.invalid/ sid main\ndeb [arch=amd64 signed-by=/k] http://m.invalid/debian bookworm main\ndeb http://s.invalid/sec bookworm-security main\n";

        for entries in [deb822(modern), one_line(classic)] {
            let (main, security) = chosen(&entries);
            assert_eq!(main.as_deref(), Some("http://m.invalid/debian"));
            assert_eq!(security.as_deref(), Some("http://s.invalid/sec"));
        }
    }

    #[test]
    fn other_vendors_and_disabled_archives_are_passed_over() {
        let vendor = one_line("deb https://v.invalid/apt vendor-bookworm main");
        let disabled = deb822("Enabled: no\nURIs: http://m.invalid/debian\nSuites: sid\n");

        assert_eq!(chosen(&vendor), (None, None));
        assert!(disabled.is_empty());
    }
}
