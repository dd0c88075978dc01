//! One pattern, compiled: finds the first match and where its groups are.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use regex_automata::{Input, meta, util::primitives::NonMaxUsize};

use super::{
    Text, cost,
    error::PatternError,
    linear::{Alphabet, Lines, SIZE_LIMIT_BYTES, linear},
    quick::{Quick, Trail},
    syntax::Node,
    write::{self, Groups},
};

/// Steps that a backtracking engine may take for one line, some milliseconds.
const BACKTRACK_LIMIT: usize = 100_000;
/// Where groups were found: start and end of each by number, reused from line to line.
#[derive(Debug, Default)]
pub(in crate::filters) struct Spans {
    slots: Vec<Option<NonMaxUsize>>,
    trail: Trail,
}

impl Spans {
    /// The group's place in the text.
    pub(in crate::filters) fn get(&self, group: usize) -> Option<(usize, usize)> {
        let start = self.slots.get(2 * group).copied().flatten()?;
        let end = self.slots.get(2 * group + 1).copied().flatten()?;
        Some((start.get(), end.get()))
    }
}

/// Steps would be too many: never a match, but worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filters) struct TooLong;

/// A compiled pattern.
#[derive(Debug)]
pub(in crate::filters) struct Matcher {
    engine: Engine,
    /// Asked first, where it can be.
    quick: Option<Quick>,
    names: Vec<Option<Arc<str>>>,
    numbers: BTreeMap<Arc<str>, usize>,
    /// The group that takes the rest of the text from where the match ends, less one character.
    rest: Option<usize>,
}

#[derive(Debug)]
enum Engine {
    /// For ASCII lines with ASCII classes, which is the same and much smaller; the full one is
    /// made when the first other line comes.
    Linear {
        ascii: Option<Bounded>,
        full: OnceLock<Option<Bounded>>,
        text: String,
        lines: Lines,
    },
    Backtracking {
        regex: Box<fancy_regex::Regex>,
        longest: usize,
    },
}

/// An engine, and the longest text that it is tried on.
#[derive(Debug)]
struct Bounded {
    regex: meta::Regex,
    longest: usize,
}

impl Bounded {
    fn new(text: &str, alphabet: Alphabet, lines: Lines) -> Result<Self, PatternError> {
        Ok(Self {
            regex: linear(&[text], alphabet, lines, meta::Config::new())?,
            longest: cost::longest(&[text], alphabet, lines),
        })
    }
}

impl Matcher {
    pub(super) fn new(node: &Node, lines: Lines) -> Result<Self, PatternError> {
        let (text, groups) = write::exact(node);
        let engine = if write::needs_backtracking(node) {
            let regex = fancy_regex::RegexBuilder::new(&text)
                .backtrack_limit(BACKTRACK_LIMIT)
                .delegate_size_limit(SIZE_LIMIT_BYTES)
                .multi_line(lines == Lines::Several)
                .build()
                .map_err(|error| PatternError::of_engine(&error.to_string()))?;
            let outline = write::outline(node, write::Positions::Kept);
            Engine::Backtracking {
                regex: Box::new(regex),
                longest: cost::longest_backtracked(&outline, lines),
            }
        } else {
            let ascii = Bounded::new(&text, Alphabet::Ascii, lines).ok();
            let full = OnceLock::new();
            // What is wrong is said in the words of the full engine.
            if ascii.is_none() {
                let built = Bounded::new(&text, Alphabet::Unicode, lines)?;
                full.get_or_init(|| Some(built));
            }
            Engine::Linear {
                ascii,
                full,
                text,
                lines,
            }
        };
        let quick = match &engine {
            Engine::Linear {
                ascii: Some(_),
                text,
                lines: Lines::One,
                ..
            } => Quick::new(text),
            Engine::Linear { .. } | Engine::Backtracking { .. } => None,
        };
        Self::with_groups(engine, quick, groups)
    }

    /// The same for a prefix pattern. One that ends with the content, whatever that is, need not look
    /// at it.
    pub(super) fn prefix(node: &Node, lines: Lines) -> Result<Self, PatternError> {
        let Some(head) = write::head_of_rest(node, "content")
            .filter(|_| lines == Lines::One && !write::needs_backtracking(node))
        else {
            return Self::new(node, lines);
        };
        let mut matcher = Self::new(&head, lines)?;
        let rest = matcher.names.len();
        let name: Arc<str> = Arc::from("content");
        matcher.names.push(Some(Arc::clone(&name)));
        if matcher.numbers.insert(name, rest).is_some() {
            return Err(PatternError::DuplicateGroup("content".to_owned()));
        }
        matcher.rest = Some(rest);
        Ok(matcher)
    }

    fn add_rest(&self, text: Text<'_>, spans: &mut Spans) {
        let (Some(group), Some((_, end))) = (self.rest, spans.get(0)) else {
            return;
        };
        let last = text.text[..end]
            .chars()
            .next_back()
            .map_or(0, char::len_utf8);
        spans.slots[2 * group] = NonMaxUsize::new(end - last);
        spans.slots[2 * group + 1] = NonMaxUsize::new(text.text.len());
    }

    fn with_groups(
        engine: Engine,
        quick: Option<Quick>,
        groups: Groups,
    ) -> Result<Self, PatternError> {
        let names: Vec<Option<Arc<str>>> =
            groups.into_iter().map(|name| name.map(Arc::from)).collect();
        let mut numbers = BTreeMap::new();
        for (number, name) in names.iter().enumerate() {
            if let Some(name) = name
                && numbers.insert(Arc::clone(name), number).is_some()
            {
                return Err(PatternError::DuplicateGroup(name.to_string()));
            }
        }
        Ok(Self {
            engine,
            quick,
            names,
            numbers,
            rest: None,
        })
    }

    /// The number of a named group.
    pub(in crate::filters) fn group(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// Names of the groups by number.
    pub(in crate::filters) fn names(&self) -> &[Option<Arc<str>>] {
        &self.names
    }

    /// Is trying it as cheap as asking whether it could match?
    pub(in crate::filters) fn is_quick(&self, text: Text<'_>) -> bool {
        text.is_ascii && self.quick.is_some()
    }

    /// Can it match an ASCII text that begins with this byte?
    pub(in crate::filters) fn may_begin_with(&self, byte: u8) -> bool {
        let quick = self.quick.as_ref();
        quick.is_none_or(|quick| quick.may_begin_with(byte))
    }

    /// Does it need the engine that backtracks?
    pub(in crate::filters) fn is_backtracking(&self) -> bool {
        matches!(self.engine, Engine::Backtracking { .. })
    }

    /// The longest ASCII text in bytes that it is tried on, as far as that is limited.
    pub(in crate::filters) fn longest(&self) -> usize {
        match &self.engine {
            // The quick engine counts its own steps, but may give up.
            Engine::Linear { ascii, full, .. } => {
                let full = full.get().and_then(Option::as_ref);
                let bounded = ascii.as_ref().or(full);
                bounded.map_or(usize::MAX, |bounded| bounded.longest)
            }
            Engine::Backtracking { longest, .. } => *longest,
        }
    }

    /// The engine for a text, unless that is too long for it.
    fn linear_for(&self, text: Text<'_>) -> Option<&meta::Regex> {
        let bounded = self.bounded_for(text)?;
        (text.text.len() <= bounded.longest).then_some(&bounded.regex)
    }

    fn bounded_for(&self, text: Text<'_>) -> Option<&Bounded> {
        match &self.engine {
            Engine::Linear {
                ascii: Some(ascii), ..
            } if text.is_ascii => Some(ascii),
            Engine::Linear {
                full,
                text: source,
                lines,
                ..
            } => {
                let build = || Bounded::new(source, Alphabet::Unicode, *lines).ok();
                full.get_or_init(build).as_ref()
            }
            Engine::Backtracking { .. } => None,
        }
    }

    /// Is there a match?
    pub(in crate::filters) fn is_match(&self, text: Text<'_>) -> Result<bool, TooLong> {
        match &self.engine {
            Engine::Linear { .. } => {
                let regex = self.linear_for(text).ok_or(TooLong)?;
                Ok(regex.is_match(Input::new(text.text)))
            }
            Engine::Backtracking { longest, .. } if text.text.len() > *longest => Err(TooLong),
            Engine::Backtracking { regex, .. } => regex.is_match(text.text).map_err(|_| TooLong),
        }
    }

    /// Finds the first match.
    #[inline]
    pub(in crate::filters) fn find(
        &self,
        text: Text<'_>,
        spans: &mut Spans,
    ) -> Result<bool, TooLong> {
        let quick = self.quick.as_ref().filter(|_| text.is_ascii);
        if quick.is_some_and(|quick| !quick.may_begin(text.text.as_bytes())) {
            return Ok(false);
        }
        self.find_whole(text, spans)
    }

    fn find_whole(&self, text: Text<'_>, spans: &mut Spans) -> Result<bool, TooLong> {
        let quick = self.quick.as_ref().filter(|_| text.is_ascii);
        spans.slots.clear();
        spans.slots.resize(2 * self.names.len(), None);
        if let Some(quick) = quick {
            let found = quick.find(text.text.as_bytes(), &mut spans.slots, &mut spans.trail);
            if found == Some(true) && self.rest.is_some() {
                self.add_rest(text, spans);
            }
            match found {
                Some(found) => return Ok(found),
                None => spans.slots.fill(None),
            }
        }
        match &self.engine {
            Engine::Linear { .. } => {
                let regex = self.linear_for(text).ok_or(TooLong)?;
                let found = regex.search_slots(&Input::new(text.text), &mut spans.slots);
                if found.is_some() && self.rest.is_some() {
                    self.add_rest(text, spans);
                }
                Ok(found.is_some())
            }
            Engine::Backtracking { longest, .. } if text.text.len() > *longest => Err(TooLong),
            Engine::Backtracking { regex, .. } => match regex.captures(text.text) {
                Ok(Some(captures)) => {
                    for group in 0..self.names.len() {
                        if let Some(found) = captures.get(group) {
                            spans.slots[2 * group] = NonMaxUsize::new(found.start());
                            spans.slots[2 * group + 1] = NonMaxUsize::new(found.end());
                        }
                    }
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(_) => Err(TooLong),
            },
        }
    }
}
