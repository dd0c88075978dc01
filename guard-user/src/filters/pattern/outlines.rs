//! Which patterns of a filter could match a line at all: one look for all of them, so that the patterns
//! themselves are only tried on lines that they most likely match.

use std::sync::OnceLock;

use regex_automata::{Input, MatchKind, PatternSet, meta, nfa::thompson::WhichCaptures};

use super::{
    Pattern, Text, cost,
    linear::{Alphabet, Lines, linear},
    write::{self, Positions},
};

/// Memory of the states that one set keeps at a time; states are made as lines need them.
const CACHE_BYTES: usize = 4 << 20;

/// Characters of an outline with which few lines begin that are no match.
const TELLING: usize = 6;

/// The outlines of several patterns.
#[derive(Debug)]
pub(in crate::filters) struct Outlines {
    texts: Vec<String>,
    lines: Lines,
    kind: MatchKind,
    ascii: Option<Bounded>,
    full: OnceLock<Option<Bounded>>,
}

/// An engine, and the longest text that it is asked about.
#[derive(Debug)]
struct Bounded {
    regex: meta::Regex,
    longest: usize,
}

impl Outlines {
    /// One outline per pattern, each matched against the same text as its pattern.
    pub(in crate::filters) fn of(patterns: &[Pattern], lines: Lines) -> Self {
        let texts = patterns
            .iter()
            .map(|pattern| write::outline(&pattern.node, Positions::Kept))
            .collect();
        Self::new(texts, lines, MatchKind::All)
    }

    /// One outline of a line: what comes in front of the prefix pattern's `<F-CONTENT>`, then any of the
    /// patterns. None if the content's place in the prefix is not certain.
    pub(in crate::filters) fn behind(prefix: &Pattern, patterns: &[Pattern]) -> Option<Self> {
        let before = write::outline_before(&prefix.node, "content")?;
        let branches: Vec<String> = patterns
            .iter()
            .map(|pattern| {
                if write::is_anchored(&pattern.node) {
                    // How it begins says enough, unless that is next to nothing.
                    let start = write::outline_start(&pattern.node);
                    if start.len() >= TELLING {
                        return start;
                    }
                }
                let skipped = if write::is_anchored(&pattern.node) {
                    ""
                } else {
                    "(?s:.*)"
                };
                let outline = write::outline(&pattern.node, Positions::Dropped);
                format!("{skipped}(?:{outline})")
            })
            .collect();
        let text = format!("{before}(?:{})", branches.join("|"));
        Some(Self::new(vec![text], Lines::One, MatchKind::LeftmostFirst))
    }

    fn new(texts: Vec<String>, lines: Lines, kind: MatchKind) -> Self {
        let ascii = Self::build(&texts, Alphabet::Ascii, lines, kind);
        Self {
            texts,
            lines,
            kind,
            ascii,
            full: OnceLock::new(),
        }
    }

    fn build(
        texts: &[String],
        alphabet: Alphabet,
        lines: Lines,
        kind: MatchKind,
    ) -> Option<Bounded> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let config = meta::Config::new()
            .match_kind(kind)
            .which_captures(WhichCaptures::Implicit)
            .hybrid_cache_capacity(CACHE_BYTES);
        Some(Bounded {
            regex: linear(&texts, alphabet, lines, config).ok()?,
            longest: cost::longest(&texts, alphabet, lines),
        })
    }

    fn regex(&self, text: Text<'_>) -> Option<&meta::Regex> {
        let full = || {
            let build = || Self::build(&self.texts, Alphabet::Unicode, self.lines, self.kind);
            self.full.get_or_init(build).as_ref()
        };
        let bounded = match &self.ascii {
            Some(ascii) if text.is_ascii => ascii,
            Some(_) | None => full()?,
        };
        // Where it cannot tell, each pattern is asked, which has a bound of its own.
        (text.text.len() <= bounded.longest).then_some(&bounded.regex)
    }

    /// A set that [`Self::candidates`] can fill.
    pub(in crate::filters) fn empty(&self) -> PatternSet {
        PatternSet::new(self.texts.len())
    }

    /// Could any pattern match? Says yes where it cannot tell.
    pub(in crate::filters) fn may_match(&self, text: Text<'_>) -> bool {
        match self.regex(text) {
            Some(regex) => regex.is_match(Input::new(text.text)),
            None => true,
        }
    }

    /// The patterns that could match; all of them where it cannot tell.
    pub(in crate::filters) fn candidates(&self, text: Text<'_>, set: &mut PatternSet) {
        set.clear();
        match self.regex(text) {
            Some(regex) => regex.which_overlapping_matches(&Input::new(text.text), set),
            None => {
                for number in 0..self.texts.len() {
                    let Ok(number) = regex_automata::PatternID::new(number) else {
                        continue;
                    };
                    set.insert(number);
                }
            }
        }
    }
}
