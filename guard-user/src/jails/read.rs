//! Reads `/etc/guard/jails.d/*.toml`. A mistake costs the jail that it is in, and no other; every
//! mistake is reported with its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::Settings;
use crate::text::{
    diagnostic::{Diagnostic, Diagnostics, LineIndex},
    files::{Overlay, Purpose},
    nearest::nearest,
    value::quoted,
};

mod table;
mod value;

/// Name of the folder below `/etc/guard`.
pub const FOLDER: &str = "jails.d";
/// Longest name of a jail.
const MOST_NAME_BYTES: usize = 64;
/// Most different names of hosts among `ignoreip` of all jails: all are asked for at once, each by a thread.
const MOST_HOSTS: usize = 128;

/// The jails that there are.
#[derive(Debug, Default)]
pub struct Jails {
    /// Those that can be used, by name; also those that are not enabled.
    pub jails: BTreeMap<String, Settings>,
    /// Names of those that cannot.
    pub broken: BTreeSet<String>,
    /// What is wrong, in the order of the files.
    pub problems: Diagnostics,
}

type Value<'t> = Spanned<DeValue<'t>>;

/// One file while it is read: turns spans into places.
struct File<'a, 't> {
    path: &'a Arc<PathBuf>,
    lines: LineIndex<'t>,
    problems: &'a mut Diagnostics,
}

impl File<'_, '_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let at = self.lines.position(span.start);
        let problem = Diagnostic::error(Arc::clone(self.path), Some(at), message.into());
        let help = Some(help.into()).filter(|help: &String| !help.is_empty());
        self.problems.push(problem.with_help(help));
    }

    /// Is there room for the names of hosts of one more jail?
    fn takes_hosts(
        &mut self,
        at: Range<usize>,
        jail: &Settings,
        hosts: &mut BTreeSet<String>,
    ) -> bool {
        let new: BTreeSet<_> = jail.ignored_names.iter().collect();
        let count = new.iter().filter(|name| !hosts.contains(**name)).count() + hosts.len();
        if count > MOST_HOSTS {
            let message = format!(
                "ignoreip of all jails up to here names {count} hosts; {MOST_HOSTS} are possible"
            );
            self.error(at, message, "write addresses or networks instead");
            return false;
        }
        hosts.extend(new.into_iter().cloned());
        true
    }
}

/// Reads the jails below `etc`; `unwritten` are the names of jails that are there although nobody
/// wrote them (sshd). No folder is no mistake.
#[must_use]
pub fn read(etc: &Path, unwritten: &[&str]) -> Jails {
    read_through(etc, unwritten, &Overlay::default())
}

/// The same with texts in the place of files, for an edit that is checked before it is written.
#[must_use]
pub fn read_through(etc: &Path, unwritten: &[&str], overlay: &Overlay) -> Jails {
    let mut jails = Jails::default();
    let texts = texts(&etc.join(FOLDER), overlay, &mut jails.problems);
    let documents: Vec<_> = texts
        .iter()
        .filter_map(|(path, text)| Some((path, text, parse(path, text, &mut jails.problems)?)))
        .collect();

    let mut base = Settings::new("");
    let mut said: Option<String> = None;
    let mut is_base_right = true;
    let mut hosts: BTreeSet<String> = BTreeSet::new();
    for (path, text, document) in &documents {
        let mut file = File {
            path,
            lines: LineIndex::new(text),
            problems: &mut jails.problems,
        };
        for (key, value) in document.get_ref().iter() {
            match key.get_ref().as_ref() {
                "jail" => {}
                "default" => {
                    let at = file.lines.position(key.span().start);
                    let place = format!("{}:{}", path.display(), at.line);
                    if let Some(first) = said.replace(place) {
                        let message = format!("[default] is there twice, first at {first}");
                        file.error(key.span(), message, "write it once, in one file");
                        is_base_right = false;
                        continue;
                    }
                    is_base_right &= file.table(value, &mut base, table::Level::Default)
                        && file.takes_hosts(key.span(), &base, &mut hosts);
                }
                other => {
                    let (message, help) = unknown_top(other);
                    file.error(key.span(), message, help);
                }
            }
        }
    }

    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (path, text, document) in &documents {
        let mut file = File {
            path,
            lines: LineIndex::new(text),
            problems: &mut jails.problems,
        };
        let Some(value) = document.get_ref().get("jail") else {
            continue;
        };
        let DeValue::Table(tables) = value.get_ref() else {
            let help = "write [jail.sshd], and its settings below";
            file.error(value.span(), "jail is not a table", help);
            continue;
        };
        for (key, value) in tables.iter() {
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                let message = format!("{} is not a jail name", quoted(name));
                let help = "use letters, digits, `-` and `_`, at most 64 of them";
                file.error(key.span(), message, help);
                continue;
            }
            let at = file.lines.position(key.span().start);
            let place = format!("{}:{}", path.display(), at.line);
            if let Some(first) = places.get(name) {
                let message = format!("the jail {name} is there twice, first at {first}");
                file.error(key.span(), message, "write a jail in one file only");
                jails.jails.remove(name);
                jails.broken.insert(name.to_owned());
                continue;
            }
            places.insert(name.to_owned(), place);
            let mut settings = inherited(&base, name, said.is_some());
            settings.file = Some(path.to_path_buf());
            if file.table(value, &mut settings, table::Level::Jail)
                && is_base_right
                && file.takes_hosts(key.span(), &settings, &mut hosts)
            {
                jails.jails.insert(name.to_owned(), settings);
            } else {
                jails.broken.insert(name.to_owned());
            }
        }
    }
    for name in unwritten {
        if places.contains_key(*name) {
            continue;
        }
        if is_base_right {
            let settings = inherited(&base, name, said.is_some());
            jails.jails.insert((*name).to_owned(), settings);
        } else {
            jails.broken.insert((*name).to_owned());
        }
    }
    jails
}

/// A jail with what `[default]` says. What is special about a jail (recidive) stays where `[default]`
/// says nothing about it.
fn inherited(base: &Settings, name: &str, is_said: bool) -> Settings {
    let own = Settings::new(name);
    if !is_said {
        return own;
    }
    let plain = Settings::new("");
    let mut settings = Settings {
        name: own.name,
        filter: own.filter,
        ..base.clone()
    };
    if base.find_time == plain.find_time {
        settings.find_time = own.find_time;
    }
    if base.ban_time == plain.ban_time {
        settings.ban_time = own.ban_time;
    }
    if base.growth == plain.growth {
        settings.growth = own.growth;
    }
    settings
}

/// Files of the folder in the order of their names; hidden ones are somebody's drafts.
pub(crate) fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .filter(|path| {
            let name = path.file_name();
            name.is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        })
        .collect();
    paths.sort_unstable();
    Ok(paths)
}

fn texts(
    folder: &Path,
    overlay: &Overlay,
    problems: &mut Diagnostics,
) -> Vec<(Arc<PathBuf>, String)> {
    let mut paths = match files_in(folder) {
        Ok(paths) => paths,
        Err(error) => {
            let message = format!("cannot be listed: {error}");
            let file = Arc::new(folder.to_path_buf());
            problems.push(Diagnostic::error(file, None, message));
            return Vec::new();
        }
    };
    paths.extend(overlay.paths().cloned());
    paths.sort_unstable();
    paths.dedup();
    let mut texts = Vec::new();
    for path in paths {
        let path = Arc::new(path);
        let text = match overlay.read(&path, Purpose::Policy) {
            // Gone since the folder was listed.
            Ok(None) => continue,
            Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|_| {
                "the file is not UTF-8 text; save it as UTF-8, or restore it".to_owned()
            }),
            Err(wrong) => Err(wrong.to_string()),
        };
        match text {
            Ok(text) => texts.push((path, text)),
            Err(wrong) => problems.push(Diagnostic::error(path, None, wrong)),
        }
    }
    texts
}

fn parse<'t>(
    path: &Arc<PathBuf>,
    text: &'t str,
    problems: &mut Diagnostics,
) -> Option<Spanned<DeTable<'t>>> {
    match DeTable::parse(text) {
        Ok(document) => Some(document),
        Err(error) => {
            let mut file = File {
                path,
                lines: LineIndex::new(text),
                problems,
            };
            let at = error.span().unwrap_or(text.len()..text.len());
            let line = text[..at.start.min(text.len())]
                .rsplit('\n')
                .next()
                .map_or(0, str::len);
            let start = at.start.min(text.len()) - line;
            let whole = text[start..].lines().next().unwrap_or_default();
            // `bantime = "10m"` and `bantime.increment = true` cannot both be: TOML says that one of
            // them is a text and the other a table.
            let help = if whole.trim_start().starts_with("bantime") {
                "put the dotted word in quotes: \"bantime.increment\" = true"
            } else {
                "the jails of this file are left out until it is fixed"
            };
            file.error(at, error.message().replace('\n', ", "), help);
            None
        }
    }
}

fn unknown_top(key: &str) -> (String, String) {
    let message = format!("unknown key {}", quoted(key));
    let help = match nearest(key, ["jail", "default"]) {
        Some("jail") => "did you mean [jail.NAME]?",
        Some(_) => "did you mean [default]? It is for all jails",
        None => "a file of jails has [jail.NAME], and [default] for all jails",
    };
    (message, help.to_owned())
}

pub(super) fn is_name(name: &str) -> bool {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    !name.is_empty() && name.len() <= MOST_NAME_BYTES && is_plain
}

#[cfg(test)]
mod tests;
