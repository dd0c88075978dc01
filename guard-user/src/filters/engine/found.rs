//! The named groups that a line was matched with.

use std::{collections::BTreeMap, sync::Arc};

use smallvec::SmallVec;

use super::port;
use crate::filters::pattern::{Matcher, Spans};

/// Names that mean something to the engine, by their number.
pub(super) const IP4: u16 = 0;
pub(super) const IP6: u16 = 1;
pub(super) const DNS: u16 = 2;
pub(super) const CIDR: u16 = 3;
pub(super) const ID: u16 = 4;
pub(super) const CONNECTION: u16 = 5;
pub(super) const USER: u16 = 6;
pub(super) const NOFAIL: u16 = 7;
pub(super) const FORGET: u16 = 8;
pub(super) const GAINED: u16 = 9;
pub(super) const CONTENT: u16 = 10;
const KNOWN: [&str; 11] = [
    "ip4",
    "ip6",
    "dns",
    "cidr",
    "fid",
    "mlfid",
    "user",
    "nofail",
    "mlfforget",
    "mlfgained",
    "content",
];

/// The names of all groups of a filter.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<Arc<str>>,
    numbers: BTreeMap<Arc<str>, u16>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self {
            names: Vec::new(),
            numbers: BTreeMap::new(),
        };
        for name in KNOWN {
            names.number(name);
        }
        names
    }
}

impl Names {
    fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // A pattern of 10 MB has fewer groups than that.
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }
}

/// Which groups of a pattern have which names.
#[derive(Debug)]
pub(super) struct Named {
    /// Group and name, and the name that it gives a value to if that has none.
    groups: Vec<(usize, u16, Option<u16>)>,
    /// May a port follow the address, and be missing?
    has_optional_port: bool,
}

impl Named {
    pub(super) fn of(matcher: &Matcher, text: &str, names: &mut Names) -> Self {
        let mut groups = Vec::new();
        for (group, name) in matcher.names().iter().enumerate() {
            let Some(name) = name else { continue };
            let other = alternative(name).map(|other| names.number(other));
            let number = names.number(name);
            // What the failures are looked for in is no find of its own.
            if number != CONTENT {
                groups.push((group, number, other));
            }
        }
        Self {
            groups,
            has_optional_port: port::may_be_missing(text),
        }
    }
}

/// Named groups and their texts, in one piece of memory.
#[derive(Debug)]
pub struct Groups {
    names: Arc<Names>,
    text: String,
    entries: SmallVec<[(u16, u32, u32); 8]>,
}

impl Clone for Groups {
    fn clone(&self) -> Self {
        Self {
            names: Arc::clone(&self.names),
            text: self.text.clone(),
            entries: self.entries.clone(),
        }
    }

    /// In the memory that is there.
    fn clone_from(&mut self, other: &Self) {
        self.names.clone_from(&other.names);
        self.text.clone_from(&other.text);
        self.entries.clear();
        self.entries.extend_from_slice(&other.entries);
    }
}

impl PartialEq for Groups {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Groups {}

impl Groups {
    pub(super) fn new(names: &Arc<Names>) -> Self {
        Self {
            names: Arc::clone(names),
            text: String::new(),
            entries: SmallVec::new(),
        }
    }

    /// The text of a group by its name, in lower case: `user`, `ip4`, `port` …
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        self.get(*self.names.numbers.get(name)?)
    }

    /// All groups that took part.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| {
            (
                &*self.names.names[usize::from(entry.0)],
                self.text_of(*entry),
            )
        })
    }

    /// Adds the groups of a pattern. One that it has and that took no part in the match removes
    /// what stands there already.
    pub(super) fn add(&mut self, named: &Named, spans: &Spans, text: &str) {
        let mut has_others = false;
        for (group, name, other) in &named.groups {
            match spans.get(*group) {
                Some((start, end)) => {
                    has_others |= other.is_some();
                    let value = &text[start..end];
                    let is_bare = !text[..start].ends_with('[') && !text[end..].starts_with(':');
                    let address = match *name == IP6 && named.has_optional_port && is_bare {
                        true => port::without_port(value),
                        false => None,
                    };
                    self.set(*name, address.unwrap_or(value));
                }
                None => self.remove(*name),
            }
        }
        if !has_others {
            return;
        }
        for (group, _, other) in &named.groups {
            if let (Some(other), Some((start, end))) = (other, spans.get(*group))
                && start < end
                && !self.holds(*other)
            {
                self.set(*other, &text[start..end]);
            }
        }
    }

    pub(super) fn get(&self, name: u16) -> Option<&str> {
        let found = self.entries.iter().find(|(known, ..)| *known == name);
        found.map(|entry| self.text_of(*entry))
    }

    fn text_of(&self, (_, start, end): (u16, u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    pub(super) fn set(&mut self, name: u16, value: &str) {
        // What does not fit into 4 GB of text stands for nothing.
        let Ok(start) = u32::try_from(self.text.len()) else {
            return;
        };
        self.text.push_str(value);
        let Ok(end) = u32::try_from(self.text.len()) else {
            return;
        };
        let entry = (name, start, end);
        match self.entries.iter_mut().find(|(known, ..)| *known == name) {
            Some(there) => *there = entry,
            None => self.entries.push(entry),
        }
    }

    pub(super) fn remove(&mut self, name: u16) {
        if let Some(at) = self.entries.iter().position(|(known, ..)| *known == name) {
            self.entries.remove(at);
        }
    }

    /// Takes a group away, and says whether it held anything.
    pub(super) fn take(&mut self, name: u16) -> bool {
        let held = self.holds(name);
        self.remove(name);
        held
    }

    pub(super) fn holds(&self, name: u16) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Replaces what is here by everything that `newer` has, and leaves these groups out. The texts that nothing
    /// names any more go, or a long connection would grow without end. Whose address a newer line has is the peer alone:
    /// process numbers are used again, by peers of other families. A name is of the peer whose address is known.
    pub(super) fn update(&mut self, newer: &Self, left_out: &[u16], spare: &mut String) {
        let has_address = [IP4, IP6].iter().any(|name| newer.holds(*name));
        spare.clear();
        // Both are shorter than 4 GB together: lines are.
        let mut moved = |text: &str| {
            let start = spare.len() as u32;
            spare.push_str(text);
            (start, spare.len() as u32)
        };
        let text = &self.text;
        self.entries.retain(|(name, start, end)| {
            let is_former_peer = has_address && [IP4, IP6, DNS, CIDR].contains(name);
            let is_kept = newer.get(*name).is_none() && !is_former_peer && !left_out.contains(name);
            if is_kept {
                (*start, *end) = moved(&text[*start as usize..*end as usize]);
            }
            is_kept
        });
        for entry in &newer.entries {
            let (start, end) = moved(newer.text_of(*entry));
            self.entries.push((entry.0, start, end));
        }
        self.text.clear();
        self.text.push_str(spare);
    }

    /// Bytes of memory for texts.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }
}

/// `alt_user_1` gives the user where `user` does not.
fn alternative(name: &str) -> Option<&str> {
    let plain = name.strip_prefix("alt_")?;
    let plain = match plain.rsplit_once('_') {
        Some((before, number))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            before
        }
        Some(_) | None => plain,
    };
    Some(match plain {
        "id" => "fid",
        "port" => "fport",
        _ => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_a_group_lead_to_its_own() {
        for (name, plain) in [
            ("alt_user", Some("user")),
            ("alt_user_2", Some("user")),
            ("alt_user2", Some("user2")),
            ("alt_id", Some("fid")),
            ("user", None),
        ] {
            assert_eq!(alternative(name), plain);
        }
    }

    #[test]
    fn known_names_have_their_numbers() {
        let names = Names::default();
        for (name, number) in [
            ("ip4", IP4),
            ("fid", ID),
            ("user", USER),
            ("content", CONTENT),
        ] {
            assert_eq!(names.numbers[name], number);
        }
    }
}
