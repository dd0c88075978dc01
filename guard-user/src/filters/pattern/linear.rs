//! What a pattern means to the engines that take linear time, and their compilers' bound.

use regex_automata::{meta, util::syntax as options};

use super::error::PatternError;

/// Memory of one compiled pattern.
pub(super) const SIZE_LIMIT_BYTES: usize = 10 << 20;

/// How many lines the text has that a pattern is matched against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filters) enum Lines {
    /// One, without a line feed.
    One,
    /// Several: `^` and `$` are the bounds of each.
    Several,
}

/// What `\w`, `\d`, `\s` and `\b` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filters) enum Alphabet {
    /// ASCII only: right for lines that hold nothing else.
    Ascii,
    /// Unicode, as Python has it.
    Unicode,
}

/// Compiles patterns for the engines that take linear time.
pub(in crate::filters) fn linear(
    patterns: &[&str],
    alphabet: Alphabet,
    lines: Lines,
    config: meta::Config,
) -> Result<meta::Regex, PatternError> {
    meta::Builder::new()
        .configure(config.nfa_size_limit(Some(SIZE_LIMIT_BYTES)))
        .syntax(syntax(alphabet, lines))
        .build_many(patterns)
        .map_err(|error| match error.size_limit() {
            Some(limit) => PatternError::TooLarge(limit),
            None => PatternError::of_engine(&match error.syntax_error() {
                Some(error) => error.to_string(),
                None => error.to_string(),
            }),
        })
}

/// What patterns mean.
pub(super) fn syntax(alphabet: Alphabet, lines: Lines) -> options::Config {
    let is_full = alphabet == Alphabet::Unicode;
    options::Config::new()
        .unicode(is_full)
        .utf8(is_full)
        .multi_line(lines == Lines::Several)
}
