//! Adding and removing an element of a TOML list in its text, whatever its line breaks, commas and
//! comments.

use std::ops::Range;

use crate::text::splice::{Splice, line_end, line_start};

/// A list in a text: `[` to `]`, and its elements.
pub(super) struct ListSpan {
    pub(super) whole: Range<usize>,
    pub(super) elements: Vec<Range<usize>>,
}

impl ListSpan {
    /// Puts `element` at `index`.
    pub(super) fn insert(&self, text: &str, index: usize, element: &str) -> Vec<Splice> {
        let Some(first) = self.elements.first() else {
            let inner = self.whole.start + 1..self.whole.end - 1;
            return if text[inner.clone()].trim().is_empty() {
                vec![Splice::replace(inner, element)]
            } else {
                vec![Splice::insert(inner.start, format!("\n    {element},"))]
            };
        };
        let indent = own_line_indent(text, first.start);
        if let Some(next) = self.elements.get(index) {
            let separator = indent.map_or(", ".to_owned(), |indent| format!(",\n{indent}"));
            return vec![Splice::insert(next.start, format!("{element}{separator}"))];
        }
        let last = self.elements.last().unwrap_or(first);
        let comma = comma_after(text, last.end);
        let line_end = line_end(text, comma.map_or(last.end, |at| at + 1));
        let is_broken = line_end < self.whole.end;
        match (indent, comma) {
            (Some(indent), Some(_)) if is_broken => {
                vec![Splice::insert(line_end, format!("\n{indent}{element},"))]
            }
            (Some(indent), None) if is_broken => vec![
                Splice::insert(last.end, ",".to_owned()),
                Splice::insert(line_end, format!("\n{indent}{element}")),
            ],
            (_, Some(comma)) => vec![Splice::insert(comma + 1, format!(" {element}"))],
            (_, None) => vec![Splice::insert(last.end, format!(", {element}"))],
        }
    }

    /// Removes the elements at `indices`, which are in order.
    pub(super) fn remove(&self, text: &str, indices: &[usize]) -> Vec<Splice> {
        let kept = self.elements.len() - indices.len();
        if kept == 0 && own_line_indent(text, self.elements[0].start).is_none() {
            let inner = self.whole.start + 1..self.whole.end - 1;
            return vec![Splice::replace(inner, "")];
        }
        indices
            .iter()
            .map(|at| self.remove_one(text, *at))
            .collect()
    }

    fn remove_one(&self, text: &str, index: usize) -> Splice {
        let element = &self.elements[index];
        let after = comma_after(text, element.end).map_or(element.end, |comma| comma + 1);
        let end = line_end(text, after);
        let is_alone = own_line_indent(text, element.start).is_some()
            && end < self.whole.end
            && self
                .elements
                .get(index + 1)
                .is_none_or(|next| next.start > end);
        if is_alone {
            return Splice::replace(line_start(text, element.start)..end + 1, "");
        }
        match (self.elements.get(index + 1), index.checked_sub(1)) {
            (Some(next), _) => Splice::replace(element.start..next.start, ""),
            (None, Some(previous)) => Splice::replace(self.elements[previous].end..element.end, ""),
            (None, None) => Splice::replace(element.start..after, ""),
        }
    }
}

/// Offset of the comma that follows, over spaces, line ends and comments.
fn comma_after(text: &str, mut at: usize) -> Option<usize> {
    loop {
        match text.as_bytes().get(at)? {
            b',' => return Some(at),
            b'#' => at = line_end(text, at),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
}

/// The white space before `at`, if nothing else stands before it on its line.
fn own_line_indent(text: &str, at: usize) -> Option<&str> {
    let before = &text[line_start(text, at)..at];
    before.trim().is_empty().then_some(before)
}
