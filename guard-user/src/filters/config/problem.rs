//! What is wrong with a filter: where, what, and a way out.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::failure::{Exit, Failure};

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigLine {
    /// The file; `builtin:NAME` for those inside guard.
    pub path: Arc<PathBuf>,
    /// Counted from 1.
    pub line: usize,
}

impl ConfigLine {
    pub(crate) fn new(path: &Arc<PathBuf>, line: usize) -> Self {
        Self {
            path: Arc::clone(path),
            line,
        }
    }
}

impl fmt::Display for ConfigLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Why a filter is refused, or what is odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; none if it is no matter of a line.
    pub place: Option<ConfigLine>,
    /// What, with the value.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The filter does not exist, rather than being wrong.
    pub is_missing: bool,
}

impl Problem {
    /// Without a place or a way out.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            help: None,
            is_missing: false,
        }
    }

    pub(crate) fn at(place: &ConfigLine, message: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            ..Self::new(message)
        }
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self {
            is_missing: true,
            ..Self::new(message)
        }
    }

    /// The failure of a command that wanted the filter.
    #[must_use]
    pub fn failure(self) -> Failure {
        let exit = if self.is_missing {
            Exit::NotFound
        } else {
            Exit::BadConfiguration
        };
        let failure = Failure::new(exit, self.to_string());
        match self.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}
