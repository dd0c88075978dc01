//! Questions with a default, to a person at a terminal. Where nobody is asked, the default is the answer.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::cli::options::Global;

/// Wrong answers before it gives up.
const PATIENCE: u32 = 5;

/// Who asks.
pub(super) struct Questions {
    is_asked: bool,
}

impl Questions {
    pub(super) fn new(global: &Global) -> Self {
        Self {
            is_asked: !global.yes && !global.json && !global.quiet && io::stdin().is_terminal(),
        }
    }

    /// Is somebody there?
    pub(super) const fn are_possible(&self) -> bool {
        self.is_asked
    }

    /// A line before a question.
    pub(super) fn say(&self, line: &str) {
        if self.is_asked {
            writeln!(io::stderr(), "{line}").unwrap_or_default();
        }
    }

    /// An answer that is understood; `None` when there is none.
    pub(super) fn ask<T>(
        &self,
        question: &str,
        default: &str,
        understand: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        if !self.is_asked {
            return understand(default).ok();
        }
        for _ in 0..PATIENCE {
            let mut error = io::stderr();
            let shown = if default.is_empty() {
                format!("{question}: ")
            } else {
                format!("{question} [{default}]: ")
            };
            write!(error, "{shown}").and_then(|()| error.flush()).ok()?;
            let mut answer = String::new();
            let bytes = io::stdin().lock().read_line(&mut answer).ok()?;
            // End of input: whoever was there has gone.
            if bytes == 0 {
                return None;
            }
            let answer = answer.trim();
            match understand(if answer.is_empty() { default } else { answer }) {
                Ok(value) => return Some(value),
                Err(expected) => writeln!(error, "  expected: {expected}").unwrap_or_default(),
            }
        }
        None
    }

    /// Yes or no; no, when nobody answers any more.
    pub(super) fn yes(&self, question: &str, default: bool) -> bool {
        let letters = if default { "Y/n" } else { "y/N" };
        let understand = |answer: &str| match answer.to_lowercase().as_str() {
            "" | "y/n" => Ok(default),
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("y or n"),
        };
        self.ask(question, letters, understand).unwrap_or(false)
    }
}
