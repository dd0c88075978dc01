//! What is wrong with the form of a date.

use thiserror::Error;

use crate::filters::pattern::PatternError;

/// Why a form of a date is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::filters) enum DateError {
    #[error("`%{field}` in `{pattern}` is not a field of a date")]
    UnknownField { field: String, pattern: String },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}
