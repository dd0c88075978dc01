//! The changes of the policy that commands ask for.

use crate::ruleset::{labels::Which, model::DefaultAction};

/// A change that a command asks for.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Add the rule of these words, its action first.
    Add {
        /// The words.
        words: Vec<String>,
        /// Before which rule; `None` for after the last.
        before: Option<Which>,
    },
    /// Delete a rule.
    Delete(Delete),
    /// Take a rule out of force where it stands.
    Disable(Which),
    /// Put it back into force.
    Enable(Which),
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
    /// By number or name.
    Which(Which),
    /// By its words.
    Words(Vec<String>),
}
