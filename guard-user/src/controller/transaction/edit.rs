//! The changes of the policy that commands ask for.

use crate::ruleset::{edit::InsertAt, model::DefaultAction};

/// A change that a command asks for.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Add the rule of these words, its action first.
    Add {
        /// The words.
        words: Vec<String>,
        /// Where.
        place: InsertAt,
    },
    /// Delete a rule.
    Delete(Delete),
    /// Set the default.
    Default(DefaultAction),
    /// Put on the never list.
    NeverAdd(String),
    /// Take off the never list.
    NeverRemove(String),
}

/// Which rule to delete.
#[derive(Clone, Debug)]
pub enum Delete {
    /// By number, from 1.
    Number(usize),
    /// By its words.
    Words(Vec<String>),
}
