//! Finds the date of a line by a filter's templates: those at the start of the line first, then the one
//! that begins first.

use std::{cell::RefCell, ops::Range, sync::OnceLock};

use jiff::tz::TimeZone;
use regex_automata::{
    Anchored, Input, Match, PatternID, meta, nfa::thompson::WhichCaptures, util::captures::Captures,
};

use super::{
    error::DateError,
    fields::{DateFields, Field},
    frequent,
    template::{self, Kind, Template},
};
use crate::filters::pattern::{Alphabet, Lines, PatternError, Text, linear, longest};

/// Where a date is in a line, and how to read it.
#[derive(Clone, Debug)]
pub(in crate::filters) struct Cut {
    /// What is cut out; empty if a line is known to have no date of its own.
    pub(in crate::filters) span: Range<usize>,
    list: List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Anchored,
    Free,
    Frequent,
}

/// The templates of one filter.
#[derive(Debug)]
pub(in crate::filters) struct Detector {
    anchored: Option<Several>,
    free: Option<Several>,
    /// May the two most common dates be found by [`frequent`], with the same result?
    is_frequent: bool,
    zone: TimeZone,
    last: RefCell<Option<(String, i64, Option<i64>)>>,
}

impl Detector {
    /// Compiles a filter's date patterns; none are the default ones.
    ///
    /// # Errors
    /// The pattern that is wrong, and why.
    pub(in crate::filters) fn new(patterns: &[String], zone: TimeZone) -> Result<Self, DateError> {
        let templates = template::templates(patterns)?;
        let (anchored, free): (Vec<Template>, Vec<Template>) = templates
            .into_iter()
            .partition(|template| template.is_anchored);
        let is_plain = |pattern: &String| {
            matches!(
                pattern.as_str(),
                "{^LN-BEG}" | "{DEFAULT}" | "{^LN-BEG}TAI64N"
            )
        };
        Ok(Self {
            anchored: Several::new(anchored)?,
            free: Several::new(free)?,
            is_frequent: patterns.iter().all(is_plain)
                && patterns
                    .iter()
                    .all(|pattern| pattern != "{^LN-BEG}TAI64N" || patterns.len() > 1),
            zone,
            last: RefCell::new(None),
        })
    }

    /// Where the line's date is.
    pub(in crate::filters) fn find(&self, line: Text<'_>) -> Option<Cut> {
        if self.is_frequent
            && let Some(end) = frequent::end_of_date(line.text.as_bytes())
        {
            return Some(Cut {
                span: 0..end,
                list: List::Frequent,
            });
        }
        let look = |several: &Option<Several>, list| {
            let span = several.as_ref()?.find(line)?;
            Some(Cut { span, list })
        };
        look(&self.anchored, List::Anchored).or_else(|| look(&self.free, List::Free))
    }

    /// The time that the date of a line means, in milliseconds since 1970. `None` if it means none.
    pub(in crate::filters) fn time(&self, line: Text<'_>, cut: &Cut, now_ms: i64) -> Option<i64> {
        let text = &line.text[cut.span.clone()];
        if text.is_empty() {
            return None;
        }
        // Lines come by the thousand in a second, and fractions of one are not counted. What the date leaves
        // out is filled in from today, so a time is not remembered for longer than a minute.
        let (head, tail) = match cut.list {
            List::Frequent => frequent::without_fraction(text),
            List::Anchored | List::Free => (text, ""),
        };
        let minute = now_ms / 60_000;
        if let Some((last, at, time)) = &*self.last.borrow()
            && last.strip_prefix(head) == Some(tail)
            && *at == minute
        {
            return *time;
        }
        let several = match cut.list {
            List::Anchored | List::Frequent => &self.anchored,
            List::Free => &self.free,
        };
        let time = several.as_ref()?.time(line, now_ms, &self.zone);
        *self.last.borrow_mut() = Some((format!("{head}{tail}"), minute, time));
        time
    }
}

/// Templates that are looked for at once; at the same place, the first counts.
#[derive(Debug)]
struct Several {
    templates: Vec<Template>,
    patterns: Vec<String>,
    ascii: Option<Compiled>,
    full: OnceLock<Option<Compiled>>,
}

/// All templates tell which of them matches and where, and that one alone where its groups are: an engine
/// that looks for the groups of all of them takes room for each group in each of its states, 200 MB for the
/// default templates in Unicode.
#[derive(Debug)]
struct Compiled {
    regex: meta::Regex,
    alphabet: Alphabet,
    /// How much of a line is looked at.
    longest: usize,
    each: Vec<OnceLock<Option<Groups>>>,
}

/// The groups of one template.
#[derive(Debug)]
struct Groups {
    regex: meta::Regex,
    found: RefCell<Captures>,
}

impl Compiled {
    fn new(patterns: &[String], alphabet: Alphabet) -> Result<Self, PatternError> {
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let config = meta::Config::new().which_captures(WhichCaptures::Implicit);
        let regex = linear(&texts, alphabet, Lines::One, config)?;
        let longest = longest(&texts, alphabet, Lines::One);
        Ok(Self {
            regex,
            alphabet,
            longest,
            each: patterns.iter().map(|_| OnceLock::new()).collect(),
        })
    }

    /// The line, as far as dates are looked for.
    fn input<'t>(&self, line: Text<'t>) -> Input<'t> {
        let end = line.text.floor_char_boundary(self.longest);
        Input::new(&line.text[..end])
    }

    /// The groups of the template of this number, whose pattern this is.
    fn groups(&self, number: PatternID, pattern: &str) -> Option<&Groups> {
        let compile = || {
            let regex = linear(&[pattern], self.alphabet, Lines::One, meta::Config::new()).ok()?;
            let found = RefCell::new(regex.create_captures());
            Some(Groups { regex, found })
        };
        self.each
            .get(number.as_usize())?
            .get_or_init(compile)
            .as_ref()
    }
}

impl Several {
    fn new(templates: Vec<Template>) -> Result<Option<Self>, PatternError> {
        if templates.is_empty() {
            return Ok(None);
        }
        let patterns: Vec<String> = templates
            .iter()
            .map(|template| template.pattern.clone())
            .collect();
        let ascii = Compiled::new(&patterns, Alphabet::Ascii).ok();
        let full = OnceLock::new();
        if ascii.is_none() {
            let compiled = Compiled::new(&patterns, Alphabet::Unicode)?;
            full.get_or_init(|| Some(compiled));
        }
        Ok(Some(Self {
            templates,
            patterns,
            ascii,
            full,
        }))
    }

    fn compiled(&self, line: Text<'_>) -> Option<&Compiled> {
        if line.is_ascii && self.ascii.is_some() {
            return self.ascii.as_ref();
        }
        let full = self
            .full
            .get_or_init(|| Compiled::new(&self.patterns, Alphabet::Unicode).ok());
        full.as_ref()
    }

    /// The template that matches, and where its groups are.
    fn search(&self, line: Text<'_>) -> Option<(PatternID, &Groups)> {
        let compiled = self.compiled(line)?;
        let matched: Match = compiled.regex.search(&compiled.input(line))?;
        let pattern = self.patterns.get(matched.pattern().as_usize())?;
        let groups = compiled.groups(matched.pattern(), pattern)?;
        let input = compiled.input(line).span(matched.span());
        let input = input.anchored(Anchored::Yes);
        let mut found = groups.found.borrow_mut();
        groups.regex.search_captures(&input, &mut found);
        found.is_match().then_some((matched.pattern(), groups))
    }

    fn find(&self, line: Text<'_>) -> Option<Range<usize>> {
        let (_, groups) = self.search(line)?;
        let found = groups.found.borrow();
        found.get_group(1).map(|span| span.range())
    }

    fn time(&self, line: Text<'_>, now_ms: i64, zone: &TimeZone) -> Option<i64> {
        let (pattern, groups) = self.search(line)?;
        let found = groups.found.borrow();
        let names = groups.regex.group_info().pattern_names(PatternID::ZERO);
        let group = |number: usize| found.get_group(number).map(|span| &line.text[span.range()]);
        match self.templates[pattern.as_usize()].kind {
            Kind::Calendar => {
                let mut date = DateFields::default();
                for (number, name) in names.enumerate() {
                    let Some(field) = name.and_then(Field::of_group) else {
                        continue;
                    };
                    if let Some(text) = group(number) {
                        date.note(field, text)?;
                    }
                }
                date.time(now_ms, zone)
            }
            Kind::Epoch => epoch(group(2)?),
            Kind::Tai64n => i64::from_str_radix(group(1)?.get(2..17)?, 16)
                .ok()?
                .checked_mul(1000),
        }
    }
}

/// Seconds, or milliseconds from 13 digits on, or microseconds from 16 digits on.
fn epoch(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    let seconds = if text.len() >= 16 && !text.contains('.') {
        value / 1e6
    } else if text.len() >= 13 && text.find('.').is_none_or(|at| at >= 13) {
        value / 1e3
    } else {
        value
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 11 digits of seconds"
    )]
    let milliseconds = (seconds * 1e3).round() as i64;
    Some(milliseconds)
}

#[cfg(test)]
mod tests;
