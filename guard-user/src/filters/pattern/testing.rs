//! For tests and the fuzzer: what each engine makes of a pattern.

use regex_automata::{Input, meta, util::primitives::NonMaxUsize};

use super::{
    Alphabet, Lines, linear,
    quick::{Quick, Trail},
    syntax, tags, write,
};
use crate::filters::{Definition, Given, builtin};

/// Where groups are, start and end by number; `None` without a match.
pub type Found = Option<Vec<Option<NonMaxUsize>>>;

/// One pattern in both engines.
#[derive(Debug)]
pub struct Both {
    quick: Quick,
    regex: meta::Regex,
}

impl Both {
    /// Compiles a pattern, if both engines take it.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Self> {
        let regex = linear(&[pattern], Alphabet::Ascii, Lines::One, meta::Config::new()).ok()?;
        let quick = Quick::new(pattern)?;
        Some(Self { quick, regex })
    }

    /// What the quick engine finds in an ASCII text; `None` if it gives up.
    #[must_use]
    pub fn quick(&self, text: &str) -> Option<Found> {
        let mut slots = vec![None; self.regex.create_captures().slots().len()];
        let mut trail = Trail::default();
        let is_found = self.quick.find(text.as_bytes(), &mut slots, &mut trail)?;
        Some(is_found.then_some(slots))
    }

    /// Can the text begin a match, as the quick engine has it?
    #[must_use]
    pub fn may_begin(&self, text: &str) -> bool {
        self.quick.may_begin(text.as_bytes())
    }

    /// What the library finds.
    #[must_use]
    pub fn library(&self, text: &str) -> Found {
        let mut slots = vec![None; self.regex.create_captures().slots().len()];
        self.regex.search_slots(&Input::new(text), &mut slots)?;
        Some(slots)
    }
}

/// The patterns of the built-in filters, as the engines get them.
///
/// # Panics
/// When one of these filters is wrong.
#[must_use]
pub fn builtin_patterns() -> Vec<String> {
    let definitions = builtin::names().map(|name| {
        let file = builtin::file(name).expect("it is built in");
        Definition::read(&file, &Given::new()).expect("it is right")
    });
    let texts = definitions.flat_map(|definition| {
        let expressions = definition.prefix.into_iter().chain(definition.failures);
        expressions.map(|expression| {
            let node = syntax::parse(&tags::resolve(&expression.text)).expect("it is right");
            write::exact(&node).0
        })
    });
    texts.collect()
}
