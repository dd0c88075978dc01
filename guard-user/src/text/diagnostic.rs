//! What is wrong with a policy, and where. Problems are collected, never thrown one by one: a file
//! set is reported whole.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used; its author should look at this.
    Warning,
}

/// A place in a text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file as it was opened.
    pub file: Arc<PathBuf>,
    /// Where in the file; `None` when the problem is the file itself.
    pub position: Option<Position>,
    /// What is wrong, with the value.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

/// Every problem of a set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    error_count: usize,
}

impl Diagnostic {
    /// An error without a way out yet; see [`Diagnostic::with_help`].
    #[must_use]
    pub fn error(file: Arc<PathBuf>, position: Option<Position>, message: String) -> Self {
        Self {
            severity: Severity::Error,
            file,
            position,
            message,
            help: None,
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(file: Arc<PathBuf>, position: Option<Position>, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            file,
            position,
            message,
            help: None,
        }
    }

    /// The same problem with a way out.
    #[must_use]
    pub fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        match self.severity {
            Severity::Error => write!(f, " {}", self.message)?,
            Severity::Warning => write!(f, " warning: {}", self.message)?,
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl Diagnostics {
    /// Adds one problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.error_count += usize::from(diagnostic.severity == Severity::Error);
        self.items.push(diagnostic);
    }

    /// Is there anything that makes the policy unusable?
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// How many of the problems are errors.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.error_count
    }

    /// No problem at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many problems there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Every problem, in the order of [`Diagnostics::sort`].
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Only the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Error)
    }

    /// Only the warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Warning)
    }

    /// Orders by place: files in the order given, then line and column.
    pub(crate) fn sort(&mut self, files: &[PathBuf]) {
        let rank = |path: &Path| files.iter().position(|file| file == path);
        self.items
            .sort_by_cached_key(|item| (rank(&item.file), item.position, item.severity));
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(move |item| item.severity == severity)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Finds lines and columns of byte offsets.
#[derive(Debug)]
pub(crate) struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { text, starts }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self
            .starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..offset.min(self.text.len()));
        Position {
            line: line + 1,
            column: before.map_or(0, |text| text.chars().count()) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_as_place_message_and_help() {
        let file = Arc::new(PathBuf::from("guard.toml"));
        let position = Position {
            line: 14,
            column: 9,
        };
        let problem = Diagnostic::error(
            file,
            Some(position),
            "port 70000 is out of range (1-65535)".to_owned(),
        )
        .with_help(Some("write a port".to_owned()));

        assert_eq!(
            problem.to_string(),
            "guard.toml:14:9: port 70000 is out of range (1-65535)\n  help: write a port"
        );
    }

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let index = LineIndex::new("é = 1\nb = 2");

        assert_eq!(index.position(0), Position { line: 1, column: 1 });
        assert_eq!(index.position(5), Position { line: 1, column: 5 });
        assert_eq!(index.position(7), Position { line: 2, column: 1 });
        assert_eq!(index.position(999).line, 2);
    }
}
