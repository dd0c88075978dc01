//! What is wrong with an expression.

use thiserror::Error;

/// Why an expression is none, or no engine takes it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::filters) enum PatternError {
    /// It cannot be read; characters are counted from 1.
    #[error("{what}, at character {at}")]
    Syntax { what: SyntaxError, at: usize },
    #[error("the group `{0}` is there twice")]
    DuplicateGroup(String),
    /// Compiled, it is larger than this many bytes.
    #[error("it needs more than {0} bytes when compiled")]
    TooLarge(usize),
    /// In the words of the engine.
    #[error("{0}")]
    Engine(String),
}

impl PatternError {
    /// Of an engine's message, the last line says what is wrong.
    pub(super) fn of_engine(message: &str) -> Self {
        let last = message.lines().last().unwrap_or(message);
        Self::Engine(last.trim_start_matches("error: ").trim().to_owned())
    }
}

/// What stands where it cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::filters) enum SyntaxError {
    #[error("a `)` that closes nothing")]
    StrayParenthesis,
    #[error("a `(` that is not closed")]
    OpenParenthesis,
    #[error("a `[` that is not closed")]
    OpenBracket,
    #[error("`{0}` is missing")]
    Missing(char),
    #[error("nothing to repeat")]
    NothingToRepeat,
    #[error("a repetition of a repetition")]
    RepeatedRepetition,
    #[error("the pattern ends too early")]
    Unfinished,
    #[error("groups are nested too deeply")]
    TooDeep,
    #[error("`{0}` is not a name for a group")]
    GroupName(String),
    #[error("a condition with more than two branches")]
    ThreeBranches,
    #[error("an unknown kind of group")]
    GroupKind,
    #[error("a `\\` at the end")]
    LoneBackslash,
    #[error("`\\{0}` means nothing")]
    Escape(char),
    #[error("`{0}` is not the number of a character")]
    CharacterNumber(String),
    #[error("a tag such as <HOST> inside brackets")]
    TagInBrackets,
}
