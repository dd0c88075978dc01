//! Which patterns can match a text at all that begins with this byte. Most of a filter's cannot, and asking each
//! of them costs more than the one that matches.

use super::found::Named;
use crate::filters::pattern::{Pattern, Text};

/// Patterns by number, in their order.
#[derive(Debug)]
pub(super) struct Starts {
    all: Vec<u16>,
    by_byte: Vec<Vec<u16>>,
}

impl Starts {
    pub(super) fn of(patterns: &[(Pattern, Named)]) -> Self {
        // A filter of so many patterns would not have compiled.
        let all: Vec<u16> = (0..=u16::MAX).take(patterns.len()).collect();
        let begun_by = |byte: u8| {
            let may = |number: &&u16| {
                let (pattern, _) = &patterns[usize::from(**number)];
                pattern.matcher.may_begin_with(byte)
            };
            all.iter().filter(may).copied().collect()
        };
        Self {
            by_byte: (0..=u8::MAX).map(begun_by).collect(),
            all,
        }
    }

    /// The patterns to try on this text.
    pub(super) fn of_text(&self, text: Text<'_>) -> &[u16] {
        match text.text.as_bytes().first() {
            Some(byte) if text.is_ascii => &self.by_byte[usize::from(*byte)],
            Some(_) | None => &self.all,
        }
    }
}
