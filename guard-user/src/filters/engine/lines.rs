//! The last lines of a log, for patterns that span several.

use std::{collections::VecDeque, sync::Arc};

use crate::filters::pattern::Spans;

/// Lines, oldest first, without their dates.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    lines: VecDeque<String>,
    size: usize,
    text: String,
}

impl Buffer {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// Do the patterns look at more than one line?
    pub(super) fn spans_lines(&self) -> bool {
        self.size > 1
    }

    /// Adds a line, and gives all that are kept, each with a line feed.
    pub(super) fn push(&mut self, line: &str) -> &str {
        self.lines.push_back(line.to_owned());
        while self.lines.len() > self.size {
            self.lines.pop_front();
        }
        self.text.clear();
        for line in &self.lines {
            self.text.push_str(line);
            self.text.push('\n');
        }
        &self.text
    }

    /// Takes out the lines that a pattern matched, but not those that its `<SKIPLINES>` skipped. Gives
    /// them and their number.
    pub(super) fn take(&mut self, spans: &Spans, names: &[Option<Arc<str>>]) -> (String, u32) {
        let Some((start, end)) = spans.get(0) else {
            return (String::new(), 0);
        };
        let feeds = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
        let first_end = (start + 1).min(self.text.len());
        let from = self.text.as_bytes()[..first_end]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let from = from.map_or(0, |at| at + 1);
        let last = end.saturating_sub(1);
        let to = self.text.as_bytes()[last..]
            .iter()
            .position(|byte| *byte == b'\n');
        let to = to.map_or(self.text.len(), |at| last + at + 1);
        let (first, behind) = (feeds(&self.text[..from]), feeds(&self.text[..to]));
        let mut skipped: Vec<String> = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let is_skip = name
                .as_deref()
                .is_some_and(|name| name.starts_with("skiplines"));
            if is_skip && let Some((start, end)) = spans.get(number) {
                skipped.extend(self.text[start..end].lines().map(str::to_owned));
            }
        }
        let mut matched = String::new();
        let mut count = 0;
        let mut kept = VecDeque::new();
        let mut skipped = skipped.into_iter().peekable();
        for (number, line) in self.lines.drain(..).enumerate() {
            let is_matched = (first..behind).contains(&number);
            if is_matched && skipped.peek() != Some(&line) {
                matched.push_str(&line);
                matched.push('\n');
                count += 1;
            } else {
                if is_matched {
                    skipped.next();
                }
                kept.push_back(line);
            }
        }
        self.lines = kept;
        (matched, count)
    }
}
