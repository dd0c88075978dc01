//! Changing a jail by command: one key of one table, and nothing else in the file.

use thiserror::Error;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

/// Why a text cannot be changed.
#[derive(Clone, Debug, Error)]
pub enum EditError {
    /// It is no TOML.
    #[error(transparent)]
    NoToml(#[from] toml_edit::TomlError),
    /// `jail` is something else.
    #[error("`jail` is no table")]
    JailsNoTable,
    /// One jail is something else.
    #[error("`jail.{0}` is no table")]
    JailNoTable(String),
}

/// What a file says after a change.
///
/// # Errors
/// Why the text cannot be changed.
pub fn set(text: &str, jail: &str, key: &str, words: &[String]) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    let jails = document
        .entry("jail")
        .or_insert_with(|| {
            let mut jails = Table::new();
            // [jail] alone would say nothing.
            jails.set_implicit(true);
            Item::Table(jails)
        })
        .as_table_like_mut()
        .ok_or(EditError::JailsNoTable)?;
    let table = jails
        .entry(jail)
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_like_mut()
        .ok_or_else(|| EditError::JailNoTable(jail.to_owned()))?;
    let new = read(key, words);
    // `bantime = { time = "10m", factor = 2 }` is changed where it stands.
    if let Some(part) = part_of_bantime(key)
        && let Some(Item::Value(Value::InlineTable(bantime))) = table.get_mut("bantime")
    {
        put_inline(bantime, part, new);
        return Ok(document.to_string());
    }
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        Some(_) | None => {
            table.insert(key, value(new));
        }
    }
    Ok(document.to_string())
}

/// Does the text have a table for this jail?
#[must_use]
pub fn has(text: &str, jail: &str) -> bool {
    let document: Result<DocumentMut, _> = text.parse();
    document.is_ok_and(|document| {
        let jails = document.get("jail").and_then(Item::as_table_like);
        jails.is_some_and(|jails| jails.contains_key(jail))
    })
}

fn part_of_bantime(key: &str) -> Option<&str> {
    match key {
        "bantime" => Some("time"),
        key => key.strip_prefix("bantime."),
    }
}

fn put_inline(table: &mut InlineTable, key: &str, new: Value) {
    match table.get_mut(key) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(key, new);
        }
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
fn read(key: &str, words: &[String]) -> Value {
    let is_switch = matches!(words, [word] if word.parse::<bool>().is_ok());
    if words.len() != 1 || LISTS.contains(&key) && !is_switch {
        return Value::Array(words.iter().map(|word| one(key, word)).collect::<Array>());
    }
    one(key, &words[0])
}

fn one(key: &str, word: &str) -> Value {
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
    match word.parse::<Value>() {
        Ok(value @ (Value::Boolean(_) | Value::Integer(_) | Value::Float(_))) if !is_text => value,
        Ok(value @ (Value::InlineTable(_) | Value::Array(_))) => value,
        Ok(_) | Err(_) => Value::from(word),
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
