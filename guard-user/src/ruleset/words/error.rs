//! Words that are no rule: which one is wrong, and how to show it.

use std::fmt;

use crate::text::value::quoted;

/// Words that are no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WordsError {
    /// Index of the word that is wrong, from 0; one past the end when a word is missing.
    pub word: usize,
    /// What is wrong, with the value.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl WordsError {
    /// A way out.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The words with a mark below the wrong one, two lines.
    #[must_use]
    pub fn underline<S: AsRef<str>>(&self, words: &[S]) -> String {
        let texts: Vec<String> = words
            .iter()
            .map(|word| quoted(word.as_ref()).trim_matches('"').to_owned())
            .collect();
        let before: usize = texts
            .iter()
            .take(self.word)
            .map(|text| text.chars().count() + 1)
            .sum();
        let width = texts.get(self.word).map_or(1, |text| text.chars().count());
        format!(
            "{}\n{}{}",
            texts.join(" "),
            " ".repeat(before),
            "^".repeat(width.max(1))
        )
    }
}
