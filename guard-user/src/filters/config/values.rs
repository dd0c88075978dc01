//! Values with everything put in: `%(name)s` from the sections, then `<name>` from options.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    files::{KNOWN, Merged},
    ini::{DEFAULT, Raw},
    problem::Problem,
};

/// How deep `%(name)s` may lead to other `%(name)s`; fail2ban's own bound.
const MAX_DEPTH: usize = 10;
/// How often one `<name>` may be put into the same value; fail2ban's own bound.
const MAX_REPEATS: usize = 25;
/// Characters of one value; the longest stock filter has 20 000.
const MAX_LENGTH: usize = 1 << 18;

/// Options that a jail or the command line gives: `sshd[mode=aggressive]`.
pub type Given = BTreeMap<String, String>;

/// The options of a filter, asked by name.
pub(crate) struct Values<'m> {
    merged: &'m Merged,
    given: &'m Given,
    used: RefCell<std::collections::BTreeSet<String>>,
}

impl<'m> Values<'m> {
    pub(crate) fn new(merged: &'m Merged, given: &'m Given) -> Self {
        Self {
            merged,
            given,
            used: RefCell::default(),
        }
    }

    /// Names that anything asked for, to tell which options nobody uses.
    pub(crate) fn used(&self) -> std::collections::BTreeSet<String> {
        self.used.borrow().clone()
    }

    /// An option as it is written.
    pub(crate) fn raw(&self, section: &str, name: &str) -> Option<&'m Raw> {
        let look = |section: &str| self.merged.sections.get(section)?.get(name);
        look(section).or_else(|| look(DEFAULT))
    }

    /// An option of a section with every `%(name)s` put in.
    pub(crate) fn get(&self, section: &str, name: &str) -> Result<Option<String>, Problem> {
        if section == "Definition"
            && let Some(value) = self.given.get(name)
        {
            return self.expand(value, section, name, 0).map(Some);
        }
        match self.raw(section, name) {
            Some(raw) => self.expand(&raw.text, section, name, 0).map(Some),
            None => Ok(None),
        }
    }

    /// What stands for `<name>`: `section/option`, else an option of `[Definition]`.
    pub(crate) fn tag(&self, name: &str) -> Result<Option<String>, Problem> {
        let lower = name.to_lowercase();
        self.used.borrow_mut().insert(lower.clone());
        if let Some((section, option)) = lower.split_once('/') {
            let mut sections: Vec<String> = Vec::new();
            if section == "known" {
                sections.push(format!("{KNOWN}Definition"));
                sections.push("Definition".to_owned());
            } else if section == "default" {
                sections.push(DEFAULT.to_owned());
            } else {
                // Section names keep their case, unlike options.
                sections.extend(name.split_once('/').map(|(section, _)| section.to_owned()));
            }
            self.used.borrow_mut().insert(option.to_owned());
            for section in sections {
                if self.merged.sections.contains_key(&section)
                    && let Some(value) = self.get(&section, option)?
                {
                    return Ok(Some(value));
                }
            }
        }
        self.get("Definition", &lower)
    }

    fn expand(
        &self,
        text: &str,
        section: &str,
        name: &str,
        depth: usize,
    ) -> Result<String, Problem> {
        if depth > MAX_DEPTH {
            let message =
                format!("`{name}` leads to more than {MAX_DEPTH} others by %(…)s, or in a circle");
            return Err(self
                .problem(section, name, message)
                .help("replace one of them by its value"));
        }
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix('%') {
                result.push('%');
                rest = behind;
                continue;
            }
            let inner = rest
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(")s"))
                .filter(|(asked, _)| !asked.contains(')'));
            let Some((asked, behind)) = inner else {
                let shown: String = rest.chars().take(12).collect();
                return Err(self
                    .problem(
                        section,
                        name,
                        format!("`{name}` has a `%` that begins no %(name)s: `%{shown}`"),
                    )
                    .help("write `%%` for a plain percent sign"));
            };
            let Some((from, value)) = self.lookup(section, asked) else {
                return Err(self
                    .problem(
                        section,
                        name,
                        format!("`{name}` refers to %({asked})s, which is not set"),
                    )
                    .help(format!(
                        "set `{asked}` in [DEFAULT], or include the file that does"
                    )));
            };
            result.push_str(&self.expand(&value, &from, name, depth + 1)?);
            if result.len() > MAX_LENGTH {
                return Err(self.problem(
                    section,
                    name,
                    format!("`{name}` is longer than {MAX_LENGTH} characters"),
                ));
            }
            rest = behind;
        }
        result.push_str(rest);
        Ok(result)
    }

    /// The raw value that `%(asked)s` means in a section, and the section its own names count from.
    fn lookup(&self, section: &str, asked: &str) -> Option<(String, String)> {
        let asked_lower = asked.to_lowercase();
        self.used.borrow_mut().insert(asked_lower.clone());
        if let Some((of, option)) = asked.split_once('/') {
            let option = option.to_lowercase();
            self.used.borrow_mut().insert(option.clone());
            let of_section = match of.to_lowercase().as_str() {
                "known" => format!("{KNOWN}{section}"),
                "default" => DEFAULT.to_owned(),
                _ => of.to_owned(),
            };
            let raw = self
                .merged
                .sections
                .get(&of_section)
                .and_then(|options| options.get(&option))
                .or_else(|| self.merged.sections.get(DEFAULT)?.get(&option))?;
            return Some((section.to_owned(), raw.text.clone()));
        }
        if section == "Definition"
            && let Some(value) = self.given.get(&asked_lower)
        {
            return Some((section.to_owned(), value.clone()));
        }
        let raw = self.raw(section, &asked_lower)?;
        Some((section.to_owned(), raw.text.clone()))
    }

    /// A problem at the place of an option.
    pub(crate) fn problem(&self, section: &str, name: &str, message: String) -> Problem {
        match self.raw(section, name) {
            Some(raw) => Problem::at(&raw.place, message),
            None => Problem::new(message),
        }
    }
}

/// Puts options in for `<name>` until nothing changes, innermost first; a `<name>` that stands for
/// nothing stays: it is `<HOST>`, or part of the pattern.
///
/// # Errors
/// Options that stand for themselves, and values that grow without end.
pub(crate) fn fill_tags(
    values: &Values<'_>,
    options: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut filled = BTreeMap::new();
    for (name, value) in options {
        filled.insert(name.clone(), fill(values, options, name, value)?);
    }
    Ok(filled)
}

fn fill(
    values: &Values<'_>,
    options: &BTreeMap<String, String>,
    name: &str,
    value: &str,
) -> Result<String, Problem> {
    let mut value = value.to_owned();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let mut is_changed = false;
        let mut from = 0;
        while let Some((start, end)) = next_tag(&value, from) {
            let tag = value[start + 1..end - 1].to_owned();
            let stands_for = match options.get(&tag) {
                Some(option) => {
                    values.used.borrow_mut().insert(tag.clone());
                    Some(option.clone())
                }
                None => values.tag(&tag)?,
            };
            let Some(stands_for) = stands_for else {
                from = end;
                continue;
            };
            let count = counts.entry(tag.clone()).or_default();
            *count += 1;
            if tag == name || *count > MAX_REPEATS || value.len() > MAX_LENGTH {
                return Err(values
                    .problem(
                        "Definition",
                        name,
                        format!("`{name}` refers to itself by way of <{tag}>"),
                    )
                    .help(format!("remove <{tag}> from its value")));
            }
            value = value.replace(&format!("<{tag}>"), &stands_for);
            is_changed = true;
            from = start;
        }
        if !is_changed {
            return Ok(value);
        }
    }
}

/// The next `<name>` without blanks and brackets inside.
fn next_tag(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut start = None;
    for (index, byte) in bytes.iter().enumerate().skip(from) {
        match (byte, start) {
            (b'<', _) => start = Some(index),
            (b' ', _) => start = None,
            (b'>', Some(begin)) if index > begin + 1 => return Some((begin, index + 1)),
            (b'>', _) => start = None,
            (_, _) => {}
        }
    }
    None
}
