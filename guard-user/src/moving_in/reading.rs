//! What a reader has found out about another firewall.

use super::chains::{Firewall, Remark};

/// Its rules, and what is to be said of them.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The other firewall's name.
    pub name: &'static str,
    /// Where its rules stand.
    pub from: String,
    /// Its rules for packets for this host.
    pub firewall: Firewall,
    /// What guard has no words for.
    pub left: Vec<Remark>,
    /// What is different, and nothing to worry about.
    pub notes: Vec<String>,
}

impl Reading {
    /// An empty one.
    #[must_use]
    pub fn new(name: &'static str, from: impl Into<String>) -> Self {
        Self {
            name,
            from: from.into(),
            ..Self::default()
        }
    }
}
