//! Where things stand in the text of a policy file, and the cuts that an edit makes there.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};

use super::{array::ListSpan, toml_text};
use crate::{
    ruleset::model::Rule,
    text::splice::{Splice, gap_at_end, line_end, line_start, next_line},
};

/// Places of what a policy file says.
pub(super) struct Layout<'t> {
    text: &'t str,
    /// Values of keys at the top, written as `key = value`.
    values: BTreeMap<String, ArrayLayout>,
    rules: Rules,
    /// Where the first key or table begins.
    first_item: Option<usize>,
}

struct ArrayLayout {
    span: Range<usize>,
    elements: Vec<(Range<usize>, String)>,
    is_list: bool,
}

enum Rules {
    None,
    /// Each from its `[[rule]]` to the end of its last value.
    Tables(Vec<Range<usize>>),
    List(ListSpan),
}

impl<'t> Layout<'t> {
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        let mut layout = Self {
            text,
            values: BTreeMap::new(),
            rules: Rules::None,
            first_item: None,
        };
        for (key, value) in root.get_ref().iter() {
            let start = key.span().start.min(value.span().start);
            let first = layout.first_item.map_or(start, |first| first.min(start));
            layout.first_item = Some(first);
            let is_header = value.span().start < key.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("rule", DeValue::Array(array)) if is_header => {
                    let tables = array.iter().map(|rule| rule.span().start..end(rule));
                    layout.rules = Rules::Tables(tables.collect());
                }
                ("rule", DeValue::Array(array)) => {
                    layout.rules = Rules::List(ListSpan {
                        whole: value.span(),
                        elements: array.iter().map(|element| element.span()).collect(),
                    });
                }
                // Inline tables are values like others.
                (_, DeValue::Table(_)) if !text[value.span()].starts_with('{') => {}
                (name, content) => {
                    let elements = content.as_array().map(|array| {
                        let text =
                            |element: &DeValue<'_>| element.as_str().unwrap_or("").to_owned();
                        let elements = array.iter();
                        elements
                            .map(|one| (one.span(), text(one.get_ref())))
                            .collect()
                    });
                    let place = ArrayLayout {
                        span: value.span(),
                        is_list: elements.is_some(),
                        elements: elements.unwrap_or_else(|| {
                            content
                                .as_str()
                                .map(|text| (value.span(), text.to_owned()))
                                .into_iter()
                                .collect()
                        }),
                    };
                    layout.values.insert(name.to_owned(), place);
                }
            }
        }
        Some(layout)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The texts of a list, or the one text that stands for it.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let elements = self.values.get(key).map(|place| place.elements.iter());
        let elements = elements.into_iter().flatten();
        elements.map(|(_, text)| text.clone()).collect()
    }

    /// Sets a key at the top.
    pub(super) fn set(&self, key: &str, value: &str) -> Vec<Splice> {
        if let Some(place) = self.values.get(key) {
            return vec![Splice::replace(place.span.clone(), value)];
        }
        let last = self.values.values().map(|place| place.span.end).max();
        let splice = match (last, self.first_item) {
            (Some(last), _) => {
                let at = line_end(self.text, last);
                Splice::insert(at, format!("\n{key} = {value}"))
            }
            (None, Some(first)) => {
                let at = self.with_comment(line_start(self.text, first));
                Splice::insert(at, format!("{key} = {value}\n\n"))
            }
            (None, None) => {
                let gap = gap_at_end(self.text);
                Splice::insert(self.text.len(), format!("{gap}{key} = {value}\n"))
            }
        };
        vec![splice]
    }

    /// Adds an element, as TOML, to a list at the top.
    pub(super) fn push(&self, key: &str, element: &str) -> Option<Vec<Splice>> {
        let Some(place) = self.values.get(key) else {
            return Some(self.set(key, &format!("[{element}]")));
        };
        if !place.is_list {
            let old = &self.text[place.span.clone()];
            let list = format!("[{old}, {element}]");
            return Some(vec![Splice::replace(place.span.clone(), &list)]);
        }
        let list = place.list();
        Some(list.insert(self.text, list.elements.len(), element))
    }

    /// Removes elements of a list at the top.
    pub(super) fn pull(&self, key: &str, indices: &[usize]) -> Option<Vec<Splice>> {
        let place = self.values.get(key)?;
        if !place.is_list {
            return Some(vec![Splice::replace(place.span.clone(), "[]")]);
        }
        Some(place.list().remove(self.text, indices))
    }

    /// The text of the rule at `index`, with the comment lines right above it; with the fields of
    /// `rule` unless it is kept. `None` for a rule in a list.
    pub(super) fn rule_text(&self, index: usize, rule: &Rule, is_kept: bool) -> Option<String> {
        let Rules::Tables(tables) = &self.rules else {
            return None;
        };
        let table = tables.get(index)?;
        let header = line_start(self.text, table.start);
        let above = match self.with_comment(header) {
            0 => header,
            start => start,
        };
        if !is_kept {
            let comment = &self.text[above..header];
            return Some(format!("{comment}{}", toml_text::table(rule)));
        }
        let text = self.text[above..next_line(self.text, table.end)].trim_end();
        Some(format!("{text}\n").replace("\r\n", "\n"))
    }

    /// Puts a rule before the one at `index`, or after the last.
    pub(super) fn insert_rule(&self, index: usize, rule: &Rule) -> Option<Vec<Splice>> {
        self.insert_text(index, &toml_text::table(rule), rule)
    }

    /// The same with this text of the rule, where rules are tables.
    pub(super) fn insert_text(
        &self,
        index: usize,
        table: &str,
        rule: &Rule,
    ) -> Option<Vec<Splice>> {
        let splice = match &self.rules {
            Rules::List(list) => {
                return Some(list.insert(self.text, index, &toml_text::inline_table(rule)));
            }
            Rules::Tables(tables) => match (tables.get(index), tables.last()) {
                (Some(next), _) => {
                    let at = self.with_comment(line_start(self.text, next.start));
                    Splice::insert(at, format!("{table}\n"))
                }
                (None, Some(last)) => {
                    let at = line_end(self.text, last.end);
                    Splice::insert(at, format!("\n\n{}", table.trim_end()))
                }
                (None, None) => return None,
            },
            Rules::None => {
                let gap = gap_at_end(self.text);
                Splice::insert(self.text.len(), format!("{gap}{table}"))
            }
        };
        Some(vec![splice])
    }

    /// Removes a rule with the comment right above it.
    pub(super) fn remove_rule(&self, index: usize) -> Option<Vec<Splice>> {
        let tables = match &self.rules {
            Rules::None => return None,
            Rules::List(list) => {
                list.elements.get(index)?;
                return Some(list.remove(self.text, &[index]));
            }
            Rules::Tables(tables) => tables,
        };
        let table = tables.get(index)?;
        let header = line_start(self.text, table.start);
        // A comment that begins the file is about the file.
        let start = match self.with_comment(header) {
            0 => header,
            start => start,
        };
        let mut end = next_line(self.text, table.end);
        let is_blank = |line: &str| line.trim().is_empty();
        let follows_blank = start == 0 || is_blank(last_line(&self.text[..start]));
        let rest = &self.text[end..];
        if follows_blank && rest.lines().next().is_some_and(is_blank) {
            end = next_line(self.text, end);
        }
        let start = if rest.trim().is_empty() && follows_blank {
            self.text[..start].trim_end().len()
        } else {
            return Some(vec![Splice::replace(start..end, "")]);
        };
        let closing = if start == 0 { "" } else { "\n" };
        Some(vec![Splice::replace(start..self.text.len(), closing)])
    }

    /// Start of the comment lines right above `at`, which begins a line.
    fn with_comment(&self, at: usize) -> usize {
        let mut start = at;
        while start > 0 {
            let above = line_start(self.text, start - 1);
            if !self.text[above..start].trim_start().starts_with('#') {
                break;
            }
            start = above;
        }
        start
    }
}

impl ArrayLayout {
    fn list(&self) -> ListSpan {
        ListSpan {
            whole: self.span.clone(),
            elements: self.elements.iter().map(|(span, _)| span.clone()).collect(),
        }
    }
}

/// End of the last value of a table.
fn end(table: &serde_spanned::Spanned<DeValue<'_>>) -> usize {
    let values = table
        .get_ref()
        .as_table()
        .into_iter()
        .flat_map(DeTable::values);
    let ends = values.map(|value| value.span().end);
    ends.max().unwrap_or(0).max(table.span().end)
}

/// The last complete line.
fn last_line(text: &str) -> &str {
    text.lines().next_back().unwrap_or("")
}
