//! Another firewall's rules as chains, in the way that netfilter goes through them. Whatever is imported is made into
//! these first, and both the policy and the question "what would it do with this packet" come out of them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::condition::Condition;
use crate::{ruleset::limit::Limit, text::value::quoted};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLine {
    /// The file, or what was asked.
    pub file: Arc<str>,
    /// From 1; 0 = nowhere in particular.
    pub line: usize,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What a rule does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is let in, as far as these chains are concerned.
    Accept,
    /// It is dropped, or refused with an answer.
    Drop,
    /// It is let in, but only so many new connections of each source.
    Limit(Limit),
    /// Another chain says, and if that says nothing, the next rule.
    Jump(String),
    /// Another chain says instead of the rest of this one.
    Goto(String),
    /// The chain says nothing.
    Return,
    /// Something else happens to it, and the next rule says.
    Continue,
    /// Nobody here knows what happens to it.
    Unclear,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRule {
    /// Where it is written.
    pub place: SourceLine,
    /// As it is written.
    pub text: String,
    /// What a packet must be.
    pub when: Condition,
    /// What a packet must not be.
    pub unless: Vec<Condition>,
    /// What else it asks for that guard cannot ask for.
    pub unclear: Vec<String>,
    /// What happens then.
    pub target: Target,
    /// Free text of the operator.
    pub comment: Option<String>,
    /// Did the other firewall bring it along? Then nobody misses it but in what is said of the whole.
    pub is_stock: bool,
}

impl ChainRule {
    /// A rule that asks nothing.
    #[must_use]
    pub fn new(place: SourceLine, text: impl Into<String>, target: Target) -> Self {
        Self {
            place,
            text: text.into(),
            when: Condition::default(),
            unless: Vec::new(),
            unclear: Vec::new(),
            target,
            comment: None,
            is_stock: false,
        }
    }

    /// The same for packets that meet this.
    #[must_use]
    pub fn when(mut self, when: Condition) -> Self {
        self.when = when;
        self
    }
}

/// A chain that packets of new conversations enter, and what becomes of those that it says nothing about. What all
/// stages accept is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Name of the chain.
    pub chain: String,
    /// Are those let in?
    pub accepts: bool,
    /// The packets that enter it.
    pub when: Condition,
}

/// A whole firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// In the order in which packets go through them.
    pub stages: Vec<Stage>,
    /// Chains by name.
    pub chains: BTreeMap<String, Vec<ChainRule>>,
}

impl Firewall {
    /// The rules of a chain; one that is not there has none.
    #[must_use]
    pub fn rules(&self, chain: &str) -> &[ChainRule] {
        self.chains.get(chain).map_or(&[], Vec::as_slice)
    }

    /// Every rule, with its chain.
    pub fn all_rules(&self) -> impl Iterator<Item = &ChainRule> {
        self.chains.values().flatten()
    }
}

/// Something that the operator should know, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where the cause is written.
    pub place: SourceLine,
    /// What there is to know.
    pub what: String,
    /// What to do instead.
    pub help: Option<String>,
}

impl Remark {
    /// A remark without help.
    #[must_use]
    pub fn new(place: &SourceLine, what: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            what: what.into(),
            help: None,
        }
    }

    /// The same about a rule.
    #[must_use]
    pub fn about(rule: &ChainRule, what: impl fmt::Display) -> Self {
        Self::new(&rule.place, format!("{}: {what}", quoted(&rule.text)))
    }

    /// The same with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}
