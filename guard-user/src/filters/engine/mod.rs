//! A filter at work: one line in, at most one failure out.

mod connections;
mod found;
mod lines;
mod port;
mod starts;
mod verdict;

use std::{path::Path, sync::Arc};

use jiff::tz::TimeZone;
use regex_automata::PatternSet;

use super::{
    config::{Definition, Given, definition::Expression, problem::Problem},
    dates::{Cut, Detector},
    pattern::{Lines, Outlines, Pattern, Spans, Text},
};
use connections::{Connections, Matched};
pub use found::Groups;
use found::{Named, Names};
use lines::Buffer;
use starts::Starts;
pub use verdict::{Failure, Host, LineOutcome};

/// Lines of services are seldom longer.
const USUAL_BYTES: usize = 16 << 10;

/// A line without a date belongs to the date before it for this long.
const SAME_EVENT_MS: i64 = 60_000;

/// When a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTime {
    /// The line says it, and the patterns want it cut out.
    InText,
    /// The journal says it, in milliseconds since 1970; the line has no date.
    Known(i64),
}

/// What happened to the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterCounts {
    /// Lines that were evaluated.
    pub lines: u64,
    /// Lines that gave a failure.
    pub failures: u64,
    /// Failures of a host name: names are never looked up, so nobody can be banned for them.
    pub names: u64,
    /// Times that a pattern took too many steps for a line; such a line is no match.
    pub too_long: u64,
}

/// A compiled filter and what it remembers of the lines before.
#[derive(Debug)]
pub struct Filter {
    definition: Definition,
    dates: Detector,
    prefix: Option<(Pattern, Named)>,
    /// Tells in one look whether prefix and any failure could match.
    gate: Option<Outlines>,
    failures: Vec<(Pattern, Named)>,
    /// Which of them can match a text that begins so.
    starts: Starts,
    outlines: Outlines,
    candidates: PatternSet,
    ignored: Vec<Pattern>,
    connections: Connections,
    buffer: Buffer,
    last_ms: Option<i64>,
    /// What the last line that matched was matched with.
    groups: Groups,
    spans: Spans,
    prefix_spans: Spans,
    lossy: String,
    joined: String,
    counts: FilterCounts,
}

/// What the patterns made of a text.
enum Evaluated {
    Nothing,
    Ignored,
    /// The groups are in `Filter::groups`.
    Matched {
        pattern: usize,
        lines: u32,
    },
}

impl Filter {
    /// Reads and compiles a filter; times without a zone are in the zone of this host.
    ///
    /// # Errors
    /// Whatever is wrong in its files first: where, what, the value, and a way out.
    pub fn load(file: &Path, given: &Given) -> Result<Self, Problem> {
        Self::new(Definition::read(file, given)?, TimeZone::system())
    }

    /// Compiles a filter for logs whose times are in this zone, unless they say one.
    ///
    /// # Errors
    /// The pattern that is wrong or that no engine takes.
    pub fn new(definition: Definition, zone: TimeZone) -> Result<Self, Problem> {
        let lines = if definition.max_lines > 1 {
            Lines::Several
        } else {
            Lines::One
        };
        let dates = Detector::new(&definition.dates, zone).map_err(|wrong| {
            let message = format!("datepattern: {wrong}");
            match &definition.dates_place {
                Some(place) => Problem::at(place, message),
                None => Problem::new(message),
            }
            .help(
                "`man jail.conf` lists the fields of a datepattern; look-around is not among them",
            )
        })?;
        let compile = |expressions: &[_]| -> Result<Vec<Pattern>, Problem> {
            expressions
                .iter()
                .map(|expression| Pattern::new(expression, lines))
                .collect()
        };
        let prefix = match &definition.prefix {
            Some(expression) => Some(Pattern::prefix(expression, lines)?),
            None => None,
        };
        let failures = compile(&definition.failures)?;
        let prefix_names = prefix.as_ref().is_some_and(Pattern::names_somebody);
        for (pattern, expression) in failures.iter().zip(&definition.failures) {
            if !prefix_names && !pattern.names_somebody() {
                let problem = expression.problem("it does not say who failed");
                return Err(problem.help("put <HOST> or <ADDR> where the address stands"));
            }
        }
        let ignored = compile(&definition.ignored)?;
        let outlines = Outlines::of(&failures, lines);
        let gate = match (&prefix, lines) {
            (Some(prefix), Lines::One) => Outlines::behind(prefix, &failures),
            (Some(_), Lines::Several) | (None, _) => None,
        };
        let mut names = Names::default();
        let mut named = |(pattern, expression): (Pattern, &Expression)| {
            let named = Named::of(&pattern.matcher, &expression.text, &mut names);
            (pattern, named)
        };
        let prefix = prefix.zip(definition.prefix.as_ref()).map(&mut named);
        let failures = failures.into_iter().zip(&definition.failures);
        let failures: Vec<_> = failures.map(&mut named).collect();
        Ok(Self {
            dates,
            groups: Groups::new(&Arc::new(names)),
            starts: Starts::of(&failures),
            candidates: outlines.empty(),
            outlines,
            gate,
            prefix,
            failures,
            ignored,
            connections: Connections::default(),
            buffer: Buffer::new(definition.max_lines),
            definition,
            last_ms: None,
            spans: Spans::default(),
            prefix_spans: Spans::default(),
            lossy: String::new(),
            joined: String::new(),
            counts: FilterCounts::default(),
        })
    }

    /// What it was made from.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Was it made for lines of the journal, which have no date (`logtype=journal`)?
    #[must_use]
    pub fn is_for_journal(&self) -> bool {
        self.definition.is_for_journal
    }

    /// Forgets all lines, as if it were compiled anew.
    #[cfg(feature = "testing")]
    pub fn forget(&mut self) {
        self.connections = Connections::default();
        self.buffer = Buffer::new(self.definition.max_lines);
        self.last_ms = None;
        self.counts = FilterCounts::default();
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> FilterCounts {
        self.counts
    }

    /// How many of its patterns need the engine that backtracks, which is several times slower.
    #[must_use]
    pub fn backtracking(&self) -> usize {
        let named = self.failures.iter().chain(&self.prefix);
        let all = named.map(|(pattern, _)| pattern).chain(&self.ignored);
        all.filter(|pattern| pattern.matcher.is_backtracking())
            .count()
    }

    /// What whoever wrote it should know: patterns that are not tried on every line that a log may have.
    #[must_use]
    pub fn remarks(&self) -> Vec<Problem> {
        let definition = &self.definition;
        let prefix = self.prefix.iter().map(|(pattern, _)| pattern);
        let failures = self.failures.iter().map(|(pattern, _)| pattern);
        let patterns = prefix.chain(failures).chain(&self.ignored);
        let expressions = definition.prefix.iter().chain(&definition.failures);
        let expressions = expressions.chain(&definition.ignored);
        let narrow = patterns.zip(expressions).filter_map(|(pattern, expression)| {
            let longest = pattern.matcher.longest();
            (longest < USUAL_BYTES).then(|| {
                let problem = expression.problem(format!(
                    "it is so large that it is not tried on lines longer than {longest} bytes, and whoever writes the \
                     log may make them longer"
                ));
                problem.help("take repetitions with large counts out, e.g. write `x*` for `x{0,5000}`")
            })
        });
        narrow.collect()
    }

    /// Evaluates one line, with or without its line feed. Whatever its bytes are, it does no harm; how
    /// long lines may be is up to the caller. `now_ms` is the time in milliseconds since 1970.
    pub fn line(&mut self, bytes: &[u8], stamp: LineTime, now_ms: i64) -> LineOutcome {
        self.counts.lines += 1;
        let end = bytes
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        let bytes = &bytes[..end.map_or(0, |end| end + 1)];
        let is_ascii = bytes.is_ascii();
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(Text { text, is_ascii }, stamp, now_ms),
            Err(_) => {
                let mut lossy = std::mem::take(&mut self.lossy);
                lossy.clear();
                for chunk in bytes.utf8_chunks() {
                    lossy.push_str(chunk.valid());
                    if !chunk.invalid().is_empty() {
                        lossy.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                let outcome = self.text(
                    Text {
                        text: &lossy,
                        is_ascii,
                    },
                    stamp,
                    now_ms,
                );
                self.lossy = lossy;
                outcome
            }
        }
    }

    /// Does an ignoreregex match the line? For reports; `line` asks by itself where it matters.
    pub fn ignores(&mut self, bytes: &[u8], stamp: LineTime) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        let line = Text {
            text,
            is_ascii: text.is_ascii(),
        };
        let cut = match stamp {
            LineTime::InText => self.dates.find(line),
            LineTime::Known(_) => None,
        };
        let rest = match cut {
            Some(cut) => format!("{}{}", &text[..cut.span.start], &text[cut.span.end..]),
            None => text.to_owned(),
        };
        self.is_ignored(line.part(&rest))
    }

    fn text(&mut self, line: Text<'_>, stamp: LineTime, now_ms: i64) -> LineOutcome {
        let cut = match stamp {
            LineTime::InText => self.dates.find(line),
            LineTime::Known(_) => None,
        };
        let evaluated = match &cut {
            None => self.message(line),
            Some(cut) if cut.span.is_empty() => self.message(line),
            Some(cut) if cut.span.start == 0 => self.message(line.part(&line.text[cut.span.end..])),
            Some(cut) => {
                let mut joined = std::mem::take(&mut self.joined);
                joined.clear();
                joined.push_str(&line.text[..cut.span.start]);
                joined.push_str(&line.text[cut.span.end..]);
                let evaluated = self.message(line.part(&joined));
                self.joined = joined;
                evaluated
            }
        };
        let has_buffer = self.buffer.spans_lines();
        let (pattern, lines) = match evaluated {
            Evaluated::Nothing | Evaluated::Ignored if has_buffer => {
                self.time(line, stamp, cut.as_ref(), now_ms);
                return verdict::without_failure(&evaluated);
            }
            Evaluated::Nothing | Evaluated::Ignored => return verdict::without_failure(&evaluated),
            Evaluated::Matched { pattern, lines } => (pattern, lines),
        };
        let time_ms = self.time(line, stamp, cut.as_ref(), now_ms);
        let line = Matched {
            pattern,
            lines,
            time_ms,
            now_ms,
        };
        let outcome = self.connections.settle(&mut self.groups, line);
        match &outcome {
            LineOutcome::Failure(failure) => {
                self.counts.failures += 1;
                self.counts.names += u64::from(matches!(failure.host, Host::Name(_)));
            }
            LineOutcome::None | LineOutcome::Ignored | LineOutcome::Pending => {}
        }
        outcome
    }

    fn time(
        &mut self,
        line: Text<'_>,
        stamp: LineTime,
        cut: Option<&Cut>,
        now_ms: i64,
    ) -> Option<i64> {
        let said = match stamp {
            LineTime::Known(time) => Some(time),
            LineTime::InText => cut.and_then(|cut| self.dates.time(line, cut, now_ms)),
        };
        let is_recent = |last: &i64| *last > now_ms - SAME_EVENT_MS;
        match said {
            Some(_) => self.last_ms = said,
            None => return self.last_ms.filter(is_recent),
        }
        said
    }

    /// Evaluates a line whose date is cut out.
    fn message(&mut self, message: Text<'_>) -> Evaluated {
        if !self.buffer.spans_lines() {
            return self.evaluate(message);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let text = buffer.push(message.text);
        let evaluated = self.evaluate(Text {
            text,
            is_ascii: text.is_ascii(),
        });
        let evaluated = match evaluated {
            Evaluated::Matched { pattern, .. } => {
                let (matched, lines) =
                    buffer.take(&self.spans, self.failures[pattern].0.matcher.names());
                let text = Text {
                    text: &matched,
                    is_ascii: matched.is_ascii(),
                };
                if self.is_ignored(text) {
                    Evaluated::Ignored
                } else {
                    Evaluated::Matched { pattern, lines }
                }
            }
            Evaluated::Nothing | Evaluated::Ignored => evaluated,
        };
        self.buffer = buffer;
        evaluated
    }

    fn evaluate(&mut self, message: Text<'_>) -> Evaluated {
        if let Some(gate) = &self.gate
            && !gate.may_match(message)
        {
            return Evaluated::Nothing;
        }
        // With few of them it is cheaper to ask them first, thinks fail2ban; what they see differs.
        // Of several lines only those that a failure is made of are asked: others are of other clients.
        let is_alone = self.definition.max_lines == 1;
        let is_early = is_alone && self.ignored.len() + 2 < self.failures.len();
        if is_early && !self.ignored.is_empty() && self.is_ignored(message) {
            return Evaluated::Ignored;
        }
        let mut content = message;
        if let Some((prefix, _)) = &self.prefix {
            match prefix.matcher.find(message, &mut self.prefix_spans) {
                Ok(true) => {}
                Ok(false) => return Evaluated::Nothing,
                Err(_) => {
                    self.counts.too_long += 1;
                    return Evaluated::Nothing;
                }
            }
            let span = prefix
                .matcher
                .group("content")
                .and_then(|group| self.prefix_spans.get(group));
            if let Some((start, end)) = span
                && start < end
            {
                content = message.part(&message.text[start..end]);
            }
        }
        let mut has_candidates = false;
        for number in self.starts.of_text(content) {
            let number = usize::from(*number);
            // Behind the gate most patterns fail at their first letters.
            let is_quick = self.gate.is_some() && self.failures[number].0.matcher.is_quick(content);
            if !is_quick {
                if !has_candidates {
                    self.outlines.candidates(content, &mut self.candidates);
                    has_candidates = true;
                }
                let is_candidate = regex_automata::PatternID::new(number)
                    .is_ok_and(|number| self.candidates.contains(number));
                if !is_candidate {
                    continue;
                }
            }
            match self.failures[number]
                .0
                .matcher
                .find(content, &mut self.spans)
            {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => {
                    self.counts.too_long += 1;
                    continue;
                }
            }
            self.note_groups(number, message, content);
            if is_alone && !self.ignored.is_empty() && self.is_ignored(content) {
                return Evaluated::Ignored;
            }
            return Evaluated::Matched {
                pattern: number,
                lines: 1,
            };
        }
        Evaluated::Nothing
    }

    /// Keeps the named groups of prefix and failure; the latter's count where both have one.
    fn note_groups(&mut self, failure: usize, message: Text<'_>, content: Text<'_>) {
        self.groups.clear();
        if let Some((_, named)) = &self.prefix {
            self.groups.add(named, &self.prefix_spans, message.text);
        }
        self.groups
            .add(&self.failures[failure].1, &self.spans, content.text);
    }

    fn is_ignored(&mut self, text: Text<'_>) -> bool {
        for pattern in &self.ignored {
            match pattern.matcher.is_match(text) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => self.counts.too_long += 1,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
