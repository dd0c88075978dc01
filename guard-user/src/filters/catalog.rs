//! Which filters there are, and which one a name means.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    builtin,
    config::{Definition, Given, problem::Problem},
    engine::Filter,
    stock::{self, Version},
};
use crate::{layout::Layout, text::nearest::nearest};

/// A filter as a jail names it: `sshd[mode=aggressive]`, or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Name or path.
    pub name: String,
    /// What stands in brackets.
    pub given: Given,
}

impl Spec {
    /// Reads `NAME` or `NAME[option=value, …]`.
    ///
    /// # Errors
    /// Brackets that are not closed, and options without a value.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |what: &str| {
            Problem::new(format!("filter `{text}`: {what}"))
                .help("write NAME or NAME[option=value, option=\"value\"]")
        };
        let text = text.trim();
        let Some((name, rest)) = text.split_once('[') else {
            let given = Given::new();
            return Ok(Self {
                name: text.to_owned(),
                given,
            });
        };
        let mut rest = rest
            .strip_suffix(']')
            .ok_or_else(|| wrong("the `[` is not closed"))?;
        let mut given = Given::new();
        while !rest.trim_start().is_empty() {
            let (option, behind) = rest
                .split_once('=')
                .ok_or_else(|| wrong("an option has no value"))?;
            let behind = behind.trim_start();
            let quote = behind
                .chars()
                .next()
                .filter(|letter| matches!(letter, '"' | '\''));
            let (value, behind) = match quote {
                Some(quote) => behind[1..]
                    .split_once(quote)
                    .ok_or_else(|| wrong("a quotation is not closed"))?,
                None => {
                    let end = behind.find([',', ']']).unwrap_or(behind.len());
                    behind.split_at(end)
                }
            };
            given.insert(option.trim().to_lowercase(), value.trim().to_owned());
            // `a[b=1][c=2]` is `a[b=1, c=2]`.
            let behind = behind.trim_start();
            let behind = behind.strip_prefix(']').unwrap_or(behind).trim_start();
            rest = behind.strip_prefix([',', '[']).unwrap_or(behind);
            if rest.len() == behind.len() && !behind.is_empty() {
                return Err(wrong("a comma is missing between two options"));
            }
        }
        Ok(Self {
            name: name.trim().to_owned(),
            given,
        })
    }
}

/// Where a filter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOrigin {
    /// The administrator's own, in `filter.d` beside guard.toml.
    Own,
    /// Inside guard.
    Builtin,
    /// Of the fail2ban package.
    Stock,
}

impl FilterOrigin {
    /// For listings.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Builtin => "built in",
            Self::Stock => "fail2ban",
        }
    }
}

/// A filter that a name can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterEntry {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: FilterOrigin,
    /// Its file.
    pub file: PathBuf,
    /// The program, or the fail2ban, whose lines it knows; none of the administrator's own.
    pub follows: Option<String>,
}

/// The places where filters are.
#[derive(Clone, Debug)]
pub struct Catalog {
    own: PathBuf,
    stock: PathBuf,
    /// Of the fail2ban that is installed.
    stock_version: Option<Version>,
}

impl Catalog {
    /// `filter.d` beside guard.toml, guard's own, and fail2ban's.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self {
            own: layout.etc.join("filter.d"),
            stock: PathBuf::from(stock::FOLDER),
            stock_version: stock::installed(),
        }
    }

    /// Every filter by name; the administrator's own goes before guard's, and that before fail2ban's, unless the
    /// installed fail2ban is newer than what guard's follow.
    /// Files that others include (`common.conf`) are not among them.
    #[must_use]
    pub fn entries(&self) -> Vec<FilterEntry> {
        let mut found: BTreeMap<String, FilterEntry> = BTreeMap::new();
        let mut add = |name: &str, origin, file, follows| {
            let name = name.to_owned();
            let entry = FilterEntry {
                name: name.clone(),
                origin,
                file,
                follows,
            };
            found.insert(name, entry);
        };
        let version = self
            .stock_version
            .map(|version| format!("fail2ban {version}"));
        for (name, file) in filters_in(&self.stock) {
            add(&name, FilterOrigin::Stock, file, version.clone());
        }
        for name in builtin::names().filter(|name| !self.is_outdated(name)) {
            if let (Some(file), Some(builtin)) = (builtin::file(name), builtin::named(name)) {
                add(
                    name,
                    FilterOrigin::Builtin,
                    file,
                    Some(builtin.follows.to_owned()),
                );
            }
        }
        for (name, file) in filters_in(&self.own) {
            add(&name, FilterOrigin::Own, file, None);
        }
        found.into_values().collect()
    }

    /// Is the installed fail2ban's filter of this name newer than guard's? One that believes a log that can be forged
    /// is no better for being newer.
    fn is_outdated(&self, name: &str) -> bool {
        let is_newer = self
            .stock_version
            .is_some_and(|version| version > Version(builtin::AS_NEW_AS));
        let file = self.stock.join(format!("{name}.conf"));
        is_newer
            && Definition::read(&file, &Given::new())
                .is_ok_and(|definition| !definition.is_forgeable)
    }

    /// The file that a name means: a path (with a slash or `.conf`), `builtin:NAME`, `fail2ban:NAME`,
    /// or a name of [`Self::entries`].
    ///
    /// # Errors
    /// There is none of that name.
    pub fn file(&self, name: &str) -> Result<PathBuf, Problem> {
        let has_end = |end| {
            Path::new(name)
                .extension()
                .is_some_and(|found| found == end)
        };
        if name.contains('/') || has_end("conf") || has_end("local") {
            return Ok(PathBuf::from(name));
        }
        let found = if let Some(name) = name.strip_prefix("builtin:") {
            builtin::file(name)
        } else if let Some(name) = name.strip_prefix("fail2ban:") {
            let stock = filters_in(&self.stock).into_iter();
            stock
                .filter(|(known, _)| known == name)
                .map(|(_, file)| file)
                .next()
        } else {
            let entries = self.entries();
            let entry = entries.into_iter().find(|entry| entry.name == name);
            entry.map(|entry| entry.file)
        };
        found.ok_or_else(|| {
            let entries = self.entries();
            let near = nearest(name, entries.iter().map(|entry| entry.name.as_str()));
            let problem = Problem::missing(format!("there is no filter `{name}`"));
            problem.help(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`guardctl filter list` shows the filters that there are".to_owned(),
            })
        })
    }

    /// Reads the filter that a jail names, without compiling it.
    ///
    /// # Errors
    /// As [`Self::load`], but for what only compiling shows.
    pub fn definition(&self, spec: &Spec) -> Result<Definition, Problem> {
        Definition::read(&self.file(&spec.name)?, &spec.given)
    }

    /// Reads and compiles the filter that a jail names.
    ///
    /// # Errors
    /// There is none of that name, or something is wrong in it.
    pub fn load(&self, spec: &Spec) -> Result<Filter, Problem> {
        Filter::load(&self.file(&spec.name)?, &spec.given)
    }
}

/// The filters of a folder by name: `NAME.conf`, or `NAME.local` where there is no such.
fn filters_in(folder: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let end = path.extension().and_then(|end| end.to_str());
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.ends_with("common") {
            continue;
        }
        match end {
            Some("conf") => {
                found.insert(name.to_owned(), path);
            }
            Some("local") => {
                found.entry(name.to_owned()).or_insert(path);
            }
            Some(_) | None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_in_brackets_as_jails_write_them() {
        for (text, name, given) in [
            ("sshd", "sshd", &[][..]),
            ("sshd[mode=aggressive]", "sshd", &[("mode", "aggressive")]),
            (
                "a[b=1, c=\"x, y]\", d='z']",
                "a",
                &[("b", "1"), ("c", "x, y]"), ("d", "z")],
            ),
            ("a[b=1][c=2]", "a", &[("b", "1"), ("c", "2")]),
            ("./x.conf[b=]", "./x.conf", &[("b", "")]),
        ] {
            let spec = Spec::parse(text).unwrap();

            let found: Vec<(&str, &str)> = spec
                .given
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!((spec.name.as_str(), &found[..]), (name, given), "{text}");
        }
        for text in ["a[b=1", "a[b]", "a[b=\"1]", "a[b=\"1\" c=2]"] {
            assert!(Spec::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_newer_of_fail2bans_and_the_built_in_filter_is_meant() {
        let stock = tempfile::tempdir().unwrap();
        let write = |name: &str, pattern: &str| {
            let text = format!("[Definition]\nfailregex = {pattern}\n");
            fs::write(stock.path().join(format!("{name}.conf")), text).unwrap();
        };
        write("dovecot", "^<HOST>$");
        write(
            "nginx-http-auth",
            r"\[error\] \d+#\d+: \*\d+ user, client: <HOST>,",
        );
        let mut layout = Layout::from_environment();
        layout.etc = stock.path().join("none");
        let mut catalog = Catalog::new(&layout);
        catalog.stock = stock.path().to_owned();
        for (version, dovecot) in [
            (None, FilterOrigin::Builtin),
            (Some(Version([1, 0, 2])), FilterOrigin::Builtin),
            (Some(Version([1, 1, 0])), FilterOrigin::Builtin),
            (Some(Version([1, 2, 0])), FilterOrigin::Stock),
        ] {
            catalog.stock_version = version;
            let entries = catalog.entries();
            let origin = |name: &str| {
                entries
                    .iter()
                    .find(|entry| entry.name == name)
                    .unwrap()
                    .origin
            };
            assert_eq!(origin("dovecot"), dovecot, "{version:?}");
            // It believes a log that can be forged.
            assert_eq!(
                origin("nginx-http-auth"),
                FilterOrigin::Builtin,
                "{version:?}"
            );
            let sshd = entries.iter().find(|entry| entry.name == "sshd").unwrap();
            assert!(sshd.follows.as_deref().unwrap().starts_with("OpenSSH 10"));
        }
    }

    #[test]
    fn a_file_that_changes_a_filter_needs_no_copy_of_it() {
        let etc = tempfile::tempdir().unwrap();
        let folder = etc.path().join("filter.d");
        fs::create_dir_all(&folder).unwrap();
        let mut layout = Layout::from_environment();
        layout.etc = etc.path().to_owned();
        let catalog = Catalog::new(&layout);
        fs::write(folder.join("sshd.local"), "[Definition]\nmode = ddos\n").unwrap();
        fs::write(
            folder.join("mine.local"),
            "[Definition]\nfailregex = ^mine <HOST>$\n",
        )
        .unwrap();
        fs::write(
            folder.join("web.conf"),
            "[INCLUDES]\nbefore = common.conf\n[Definition]\n_daemon = web\nfailregex = ^%(__prefix_line)sno <HOST>$\n",
        )
        .unwrap();

        let definition = |name: &str| catalog.definition(&Spec::parse(name).unwrap()).unwrap();
        assert_eq!(catalog.file("sshd").unwrap(), folder.join("sshd.local"));
        let all = definition("sshd").failures.into_iter().map(|one| one.text);
        let all = all.collect::<Vec<_>>().join("\n");
        assert!(
            all.contains("Failed publickey") && all.contains("Timeout before"),
            "{all}"
        );
        assert_eq!(definition("mine").failures.len(), 1);
        let mut web = catalog.load(&Spec::parse("web").unwrap()).unwrap();
        let line = b"Nov 28 10:57:25 srv web[7]: no 203.0.113.7";
        let outcome = web.line(line, crate::filters::LineTime::InText, 1_795_863_600_000);
        assert!(
            matches!(outcome, crate::filters::LineOutcome::Failure(_)),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_name_means_the_own_filter_then_the_one_built_in() {
        let etc = std::env::temp_dir().join(format!("guard-catalog-{}", std::process::id()));
        fs::create_dir_all(etc.join("filter.d")).unwrap();
        let own = etc.join("filter.d/sshd.conf");
        let mut layout = Layout::from_environment();
        layout.etc = etc.clone();
        let catalog = Catalog::new(&layout);

        assert_eq!(
            catalog.file("sshd").unwrap(),
            builtin::file("sshd").unwrap()
        );
        fs::write(&own, "[Definition]\nfailregex = ^<HOST>$\n").unwrap();
        assert_eq!(catalog.file("sshd").unwrap(), own);
        assert_eq!(
            catalog.file("builtin:sshd").unwrap(),
            builtin::file("sshd").unwrap()
        );
        assert_eq!(catalog.file("x.conf").unwrap(), PathBuf::from("x.conf"));
        let missing = catalog.file("sshdd").unwrap_err();
        assert_eq!(missing.help.as_deref(), Some("did you mean `sshd`?"));
        fs::remove_dir_all(etc).unwrap();
    }
}
