//! The named groups that a line was matched with.

use std::sync::Arc;

use crate::filters::pattern::Spans;

/// Names and texts; few, so a list is faster than a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    entries: Vec<(Arc<str>, String)>,
}

impl Groups {
    /// Adds the groups of a pattern. One that it has and that took no part in the match removes
    /// what stands there already.
    pub(super) fn add(&mut self, names: &[Option<Arc<str>>], spans: &Spans, text: &str) {
        let mut others: Vec<(&str, &str)> = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            match spans.get(number) {
                Some((start, end)) => {
                    let value = &text[start..end];
                    if let Some(plain) = alternative(name)
                        && !value.is_empty()
                    {
                        others.push((plain, value));
                    }
                    self.set(name, value.to_owned());
                }
                None => self.remove(name),
            }
        }
        for (name, value) in others {
            if self.get(name).is_none_or(str::is_empty) {
                self.set(&Arc::from(name), value.to_owned());
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &Arc<str>, value: String) {
        match self.entries.iter_mut().find(|(known, _)| known == name) {
            Some((_, there)) => *there = value,
            None => self.entries.push((Arc::clone(name), value)),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.entries.retain(|(known, _)| &**known != name);
    }

    /// Takes a group away, and says whether it held anything.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let held = self.get(name).is_some_and(|value| !value.is_empty());
        self.remove(name);
        held
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Everything that `newer` has replaces what is here.
    pub(super) fn update(&mut self, newer: Self) {
        for (name, value) in newer.entries {
            self.set(&name, value);
        }
    }

    pub(super) fn entries(&self) -> &[(Arc<str>, String)] {
        &self.entries
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
}
