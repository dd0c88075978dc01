//! Changing a jail by command: one key of one table, and nothing else in the file.

use std::ops::Range;

use serde_spanned::Spanned;
use thiserror::Error;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use crate::text::splice::{self, Splice, basic_string, gap_at_end, line_end, line_start};

/// Why a text cannot be changed.
#[derive(Clone, Debug, Error)]
pub enum EditError {
    /// It is no TOML.
    #[error(transparent)]
    NoToml(#[from] toml::de::Error),
    /// `jail` is something else.
    #[error("`jail` is not a table")]
    JailsNoTable,
    /// One jail is something else.
    #[error("`jail.{0}` is not a table")]
    JailNoTable(String),
    /// It is a table that commands cannot add to.
    #[error("`{0}` cannot be set where the file has this jail; write it there by hand")]
    Form(String),
}

/// What a file says after a change.
///
/// # Errors
/// Why the text cannot be changed.
pub fn set(text: &str, jail: &str, key: &str, words: &[String]) -> Result<String, EditError> {
    let document = DeTable::parse(text)?;
    let new = value(key, words);
    let jails = entry(document.get_ref(), "jail");
    let jails = match &jails {
        Some(jails) => Some(jails.table().ok_or(EditError::JailsNoTable)?),
        None => None,
    };
    let mut path = vec!["jail", jail];
    let splice = match jails.and_then(|jails| entry(jails, jail)) {
        Some(settings) => {
            let table = settings
                .table()
                .ok_or_else(|| EditError::JailNoTable(jail.to_owned()))?;
            match bantime(table, key) {
                // `bantime = { time = "10m", factor = 2 }` is changed where it stands.
                Some((bantime, part)) => {
                    path.extend(["bantime", part]);
                    bantime.set(text, part, &new)
                }
                None => {
                    path.push(key);
                    settings.set(text, key, &new)
                }
            }
        }
        None => {
            path.push(key);
            let gap = gap_at_end(text);
            let table = format!("{gap}[jail.{}]\n{} = {new}\n", name(jail), name(key));
            Splice::insert(text.len(), table)
        }
    };
    let after = splice::apply(text, vec![splice]);
    if says(text, &after, &path, &new) {
        Ok(after)
    } else {
        Err(EditError::Form(key.to_owned()))
    }
}

/// Does the text have a table for this jail?
#[must_use]
pub fn has(text: &str, jail: &str) -> bool {
    let document = DeTable::parse(text);
    document.is_ok_and(|document| {
        let jails = entry(document.get_ref(), "jail");
        let jails = jails.as_ref().and_then(Entry::table);
        jails.is_some_and(|jails| entry(jails, jail).is_some())
    })
}

/// A key and its value, with their places.
struct Entry<'d> {
    key: Range<usize>,
    value: &'d Spanned<DeValue<'d>>,
}

fn entry<'d>(table: &'d DeTable<'d>, name: &str) -> Option<Entry<'d>> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some(Entry {
        key: key.span(),
        value,
    })
}

impl<'d> Entry<'d> {
    fn table(&self) -> Option<&'d DeTable<'d>> {
        self.value.get_ref().as_table()
    }

    /// Is it a table below a line of its own, `[jail.sshd]`?
    fn has_header(&self) -> bool {
        self.table().is_some() && self.value.span().start < self.key.start
    }

    fn is_inline(&self, text: &str) -> bool {
        self.table().is_some() && text[self.value.span()].starts_with('{')
    }

    /// Where the last of what it says in this place ends.
    fn end(&self, text: &str) -> usize {
        match self.table() {
            // Its keys have dots.
            Some(table) if !self.is_inline(text) => entries(table)
                .filter(|entry| !entry.has_header())
                .map(|entry| entry.end(text))
                .fold(self.value.span().end, usize::max),
            Some(_) | None => self.value.span().end,
        }
    }

    /// Sets a key of this table.
    fn set(&self, text: &str, key: &str, new: &str) -> Splice {
        let here = self.table().into_iter().flat_map(|table| entries(table));
        let mut here: Vec<_> = here.filter(|entry| !entry.has_header()).collect();
        let known = self.table().and_then(|table| entry(table, key));
        if let Some(known) = known {
            return Splice::replace(known.value.span(), new);
        }
        here.sort_by_key(|entry| entry.end(text));
        let key = name(key);
        let whole = self.value.span();
        match here.last() {
            Some(last) if self.is_inline(text) => {
                Splice::insert(last.end(text), format!(", {key} = {new}"))
            }
            None if self.is_inline(text) => Splice::replace(whole, &format!("{{ {key} = {new} }}")),
            // As far in as the others, and behind the dots of the others.
            Some(last) => {
                let before = &text[line_start(text, last.key.start)..last.key.start];
                let at = line_end(text, last.end(text));
                Splice::insert(at, format!("\n{before}{key} = {new}"))
            }
            None => Splice::insert(line_end(text, whole.end), format!("\n{key} = {new}")),
        }
    }
}

fn entries<'d>(table: &'d DeTable<'d>) -> impl Iterator<Item = Entry<'d>> {
    table.iter().map(|(key, value)| Entry {
        key: key.span(),
        value,
    })
}

/// The table `bantime`, if the jail has one and the key is of it, and the key's name there.
fn bantime<'d, 'k>(jail: &'d DeTable<'d>, key: &'k str) -> Option<(Entry<'d>, &'k str)> {
    let part = match key {
        "bantime" => "time",
        key => key.strip_prefix("bantime.")?,
    };
    let bantime = entry(jail, "bantime")?;
    bantime.table().is_some().then_some((bantime, part))
}

/// Does the new text say the same as the old one but for this?
fn says(before: &str, after: &str, path: &[&str], new: &str) -> bool {
    let read = |text: &str| text.parse::<Table>();
    let (Ok(mut before), Ok(mut after)) = (read(before), read(after)) else {
        return false;
    };
    let wanted = read(&format!("new = {new}")).map(|mut table| table.remove("new"));
    take(&mut before, path);
    wanted.is_ok_and(|wanted| take(&mut after, path) == wanted) && before == after
}

/// Takes a value out, and the tables that have nothing else.
fn take(table: &mut Table, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return table.remove(*first);
    }
    let Some(Value::Table(inner)) = table.get_mut(*first) else {
        return None;
    };
    let taken = take(inner, rest);
    if inner.is_empty() {
        table.remove(*first);
    }
    taken
}

/// A key as TOML has it, in quotes where it needs them.
fn name(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        basic_string(key)
    }
}

/// Keys that are lists, however many words there are.
const LISTS: [&str; 6] = [
    "logpath",
    "ignoreip",
    "proxies",
    "journal",
    "container",
    "bantime.multipliers",
];

/// Words as a value: a list where the key is one, else what TOML makes of the word, else a text.
fn value(key: &str, words: &[String]) -> String {
    let is_switch = matches!(words, [word] if word.parse::<bool>().is_ok());
    if words.len() != 1 || LISTS.contains(&key) && !is_switch {
        let elements: Vec<String> = words.iter().map(|word| one(key, word)).collect();
        return format!("[{}]", elements.join(", "));
    }
    one(key, &words[0])
}

fn one(key: &str, word: &str) -> String {
    // `bantime 600` is a number for fail2ban; a filter that is called 7 is a text.
    let is_text = [
        "filter",
        "mode",
        "logpath",
        "ignoreip",
        "proxies",
        "container",
    ]
    .contains(&key);
    let is_value = match DeValue::parse(word).as_ref().map(Spanned::get_ref) {
        Ok(DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_)) => !is_text,
        Ok(DeValue::Table(_) | DeValue::Array(_)) => true,
        Ok(DeValue::String(_) | DeValue::Datetime(_)) | Err(_) => false,
    };
    if is_value {
        word.trim().to_owned()
    } else {
        basic_string(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_key_changes_and_the_rest_stays_as_it_was() {
        const FILE: &str = "\
# mine
[default]
findtime = \"10m\"   # long

[jail.sshd]
maxretry = 3 # few
bantime = { time = \"1h\", factor = 2 }

[jail.web]
enabled = false
";
        for (jail, key, given, old, new) in [
            (
                "sshd",
                "maxretry",
                &["7"][..],
                "maxretry = 3 # few",
                "maxretry = 7 # few",
            ),
            ("sshd", "bantime", &["2h"], "time = \"1h\"", "time = \"2h\""),
            ("sshd", "bantime.factor", &["3"], "factor = 2", "factor = 3"),
            (
                "web",
                "enabled",
                &["true"],
                "enabled = false",
                "enabled = true",
            ),
            (
                "web",
                "ignoreip",
                &["192.0.2.1", "2001:db8::/64"],
                "enabled = false\n",
                "enabled = false\nignoreip = [\"192.0.2.1\", \"2001:db8::/64\"]\n",
            ),
            (
                "web",
                "logpath",
                &["/var/log/a.log"],
                "enabled = false\n",
                "enabled = false\nlogpath = [\"/var/log/a.log\"]\n",
            ),
            (
                "web",
                "journal",
                &["true"],
                "enabled = false\n",
                "enabled = false\njournal = true\n",
            ),
            (
                "web",
                "bantime.increment",
                &["false"],
                "enabled = false\n",
                "enabled = false\n\"bantime.increment\" = false\n",
            ),
            (
                "mail",
                "filter",
                &["7"],
                "enabled = false\n",
                "enabled = false\n\n[jail.mail]\nfilter = \"7\"\n",
            ),
        ] {
            let changed = set(FILE, jail, key, &words(given)).unwrap();
            assert_eq!(changed, FILE.replace(old, new), "{jail} {key}");
        }
    }

    #[test]
    fn every_form_of_a_table_takes_a_change_where_it_stands() {
        for (before, key, given, after) in [
            (
                "jail.web.enabled = false # dots\n",
                "maxretry",
                "3",
                "jail.web.enabled = false # dots\njail.web.maxretry = 3\n",
            ),
            (
                "[jail]\n  web.enabled = false\n[other]\n",
                "maxretry",
                "3",
                "[jail]\n  web.enabled = false\n  web.maxretry = 3\n[other]\n",
            ),
            (
                "jail = { web = { enabled = false } }\n",
                "maxretry",
                "3",
                "jail = { web = { enabled = false, maxretry = 3 } }\n",
            ),
            (
                "[jail]\nweb = {}\n",
                "maxretry",
                "3",
                "[jail]\nweb = { maxretry = 3 }\n",
            ),
            (
                "[jail.web]\n",
                "maxretry",
                "3",
                "[jail.web]\nmaxretry = 3\n",
            ),
            ("[jail.web]", "maxretry", "3", "[jail.web]\nmaxretry = 3"),
            (
                "[jail.web]\nbantime.time = \"1h\"\n",
                "bantime.factor",
                "2",
                "[jail.web]\nbantime.time = \"1h\"\nbantime.factor = 2\n",
            ),
            (
                "[jail.web]\nbantime.time = \"1h\"\n",
                "maxretry",
                "3",
                "[jail.web]\nbantime.time = \"1h\"\nmaxretry = 3\n",
            ),
            (
                "[jail.web]\nenabled = true\n\n[jail.web.bantime]\ntime = \"1h\" # one\n",
                "bantime",
                "2h",
                "[jail.web]\nenabled = true\n\n[jail.web.bantime]\ntime = \"2h\" # one\n",
            ),
            (
                "[jail.web]\nenabled = true\n\n[jail.web.bantime]\ntime = \"1h\"\n",
                "maxretry",
                "3",
                "[jail.web]\nenabled = true\nmaxretry = 3\n\n[jail.web.bantime]\ntime = \"1h\"\n",
            ),
            (
                "[jail.web]\nlogpath = [\n  \"/a\", # a\n]\n",
                "maxretry",
                "3",
                "[jail.web]\nlogpath = [\n  \"/a\", # a\n]\nmaxretry = 3\n",
            ),
            (
                "[jail.\"web\"]\nmode = 'a'\n",
                "mode",
                "b\"c",
                "[jail.\"web\"]\nmode = \"b\\\"c\"\n",
            ),
        ] {
            let changed = set(before, "web", key, &words(&[given]));
            assert_eq!(changed.expect(before), after, "{before}");
        }
    }

    #[test]
    fn line_ends_and_a_missing_last_one_stay_as_they_were() {
        let before =
            "# mine\r\n[jail.web]\r\nenabled = false # off\r\n\r\n[jail.b]\r\nmaxretry = 3";
        let after = set(before, "web", "maxretry", &words(&["7"])).unwrap();
        let expected = before.replace("off\r\n", "off\r\nmaxretry = 7\r\n");
        assert_eq!(after, expected);
        let after = set(before, "b", "maxretry", &words(&["7"])).unwrap();
        assert_eq!(after, before.replace("maxretry = 3", "maxretry = 7"));
    }

    #[test]
    fn a_table_that_takes_no_more_is_not_changed() {
        let inline = "jail = { web = { enabled = false } }\n";
        let error = set(inline, "mail", "maxretry", &words(&["3"])).unwrap_err();
        assert!(error.to_string().contains("by hand"), "{error}");
    }

    #[test]
    fn a_file_that_says_nothing_gets_a_table() {
        let text = set("", "sshd", "maxretry", &words(&["3"])).unwrap();
        assert_eq!(text, "[jail.sshd]\nmaxretry = 3\n");
        assert!(has(&text, "sshd") && !has(&text, "web") && !has("[", "web"));
    }

    #[test]
    fn what_is_no_toml_is_not_changed() {
        for text in ["jail = 3\n", "[jail]\nsshd = 3\n", "[jail.sshd\n"] {
            assert!(
                set(text, "sshd", "maxretry", &words(&["3"])).is_err(),
                "{text}"
            );
        }
    }
}
