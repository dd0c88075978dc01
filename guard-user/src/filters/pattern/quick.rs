//! A quick way to match: for ASCII lines and patterns that begin at the start of a line. Tries one
//! possibility after the other, which is several times faster than the engines of linear time on lines
//! that match, and gives up after so many steps; then one of those decides. The result is the same.

use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Patterns of more parts are left to the other engines.
const MAX_PARTS: usize = 4000;
/// Steps for a line: some for each byte, and some for the pattern.
const STEPS_PER_BYTE: usize = 8;
const STEPS: usize = 500;

/// A pattern as a list of parts that come one after the other.
#[derive(Debug)]
pub(super) struct Quick {
    parts: Vec<Part>,
    sets: Vec<[bool; 256]>,
    /// Bytes that a match can begin with.
    first: [bool; 256],
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<[u8]>),
    Set(usize),
    /// Bytes of a set, as many or as few as possible; what must come next, if that is one byte.
    Run {
        set: usize,
        min: usize,
        max: usize,
        is_greedy: bool,
        next: Option<u8>,
    },
    /// Go on at the first; if that fails, at the second.
    Split(usize, usize),
    Jump(usize),
    Save(usize),
    Position(Look),
    Found,
}

/// What to do when a possibility fails.
#[derive(Clone, Copy, Debug)]
enum Back {
    To {
        part: usize,
        at: usize,
    },
    /// Give a byte back, down to `low`.
    Shorter {
        part: usize,
        low: usize,
        at: usize,
    },
    /// Take a byte more, up to `high`.
    Longer {
        part: usize,
        at: usize,
        high: usize,
    },
    Slot {
        slot: usize,
        before: Option<NonMaxUsize>,
    },
}

/// Memory that is used again from line to line.
#[derive(Debug, Default)]
pub(super) struct Trail(Vec<Back>);

impl Quick {
    /// The pattern, if it can be done so.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern)
            .ok()?;
        if !hir.properties().look_set_prefix().contains(Look::Start) {
            return None;
        }
        let mut quick = Self {
            parts: vec![Part::Save(0)],
            sets: Vec::new(),
            first: [false; 256],
        };
        quick.add(&hir)?;
        quick.parts.push(Part::Save(1));
        quick.parts.push(Part::Found);
        quick.look_ahead();
        quick.note_first(0);
        Some(quick)
    }

    fn push(&mut self, part: Part) -> Option<usize> {
        self.parts.push(part);
        (self.parts.len() < MAX_PARTS).then_some(self.parts.len() - 1)
    }

    fn add(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => {
                self.push(Part::Literal(literal.0.clone()))?;
            }
            HirKind::Class(class) => {
                let set = self.set(class)?;
                self.push(Part::Set(set))?;
            }
            HirKind::Look(look) => {
                let is_known = matches!(
                    look,
                    Look::Start | Look::End | Look::WordAscii | Look::WordAsciiNegate
                );
                if !is_known {
                    return None;
                }
                self.push(Part::Position(*look))?;
            }
            HirKind::Repetition(repetition) => self.repeat(repetition)?,
            HirKind::Capture(capture) => {
                let group = usize::try_from(capture.index).ok()?;
                self.push(Part::Save(2 * group))?;
                self.add(&capture.sub)?;
                self.push(Part::Save(2 * group + 1))?;
            }
            HirKind::Concat(parts) => {
                for part in parts {
                    self.add(part)?;
                }
            }
            HirKind::Alternation(branches) => {
                let (last, others) = branches.split_last()?;
                let mut ends = Vec::new();
                for branch in others {
                    let split = self.push(Part::Split(0, 0))?;
                    self.add(branch)?;
                    ends.push(self.push(Part::Jump(0))?);
                    self.parts[split] = Part::Split(split + 1, self.parts.len());
                }
                self.add(last)?;
                for end in ends {
                    self.parts[end] = Part::Jump(self.parts.len());
                }
            }
        }
        Some(())
    }

    fn repeat(&mut self, repetition: &Repetition) -> Option<()> {
        let min = usize::try_from(repetition.min).ok()?;
        let max = match repetition.max {
            Some(max) => usize::try_from(max).ok()?,
            None => usize::MAX,
        };
        let is_greedy = repetition.greedy;
        let inner = &repetition.sub;
        let set = match inner.kind() {
            HirKind::Class(class) => Some(self.set(class)?),
            HirKind::Literal(literal) if literal.0.len() == 1 => {
                let byte = literal.0[0];
                Some(self.set_of(|other| other == byte))
            }
            HirKind::Empty
            | HirKind::Literal(_)
            | HirKind::Look(_)
            | HirKind::Repetition(_)
            | HirKind::Capture(_)
            | HirKind::Concat(_)
            | HirKind::Alternation(_) => None,
        };
        if let Some(set) = set {
            self.push(Part::Run {
                set,
                min,
                max,
                is_greedy,
                next: None,
            })?;
            return Some(());
        }
        // A loop that takes nothing would never end.
        if inner
            .properties()
            .minimum_len()
            .is_none_or(|length| length == 0)
        {
            return None;
        }
        for _ in 0..min {
            self.add(inner)?;
        }
        let order = |inside: usize, outside: usize| {
            if is_greedy {
                Part::Split(inside, outside)
            } else {
                Part::Split(outside, inside)
            }
        };
        if max == usize::MAX {
            let split = self.push(Part::Split(0, 0))?;
            self.add(inner)?;
            self.push(Part::Jump(split))?;
            self.parts[split] = order(split + 1, self.parts.len());
            return Some(());
        }
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Part::Split(0, 0))?);
            self.add(inner)?;
        }
        for split in splits {
            self.parts[split] = order(split + 1, self.parts.len());
        }
        Some(())
    }

    fn set(&mut self, class: &Class) -> Option<usize> {
        match class {
            Class::Bytes(class) => {
                let ranges: Vec<_> = class.ranges().to_vec();
                Some(self.set_of(|byte| {
                    let holds = |range: &regex_syntax::hir::ClassBytesRange| {
                        (range.start()..=range.end()).contains(&byte)
                    };
                    ranges.iter().any(holds)
                }))
            }
            Class::Unicode(_) => None,
        }
    }

    fn set_of(&mut self, holds: impl Fn(u8) -> bool) -> usize {
        let mut set = [false; 256];
        for (byte, is_in) in (0..=u8::MAX).zip(&mut set) {
            *is_in = holds(byte);
        }
        match self.sets.iter().position(|known| *known == set) {
            Some(known) => known,
            None => {
                self.sets.push(set);
                self.sets.len() - 1
            }
        }
    }

    /// Tells runs what byte comes behind them, where only one can.
    fn look_ahead(&mut self) {
        for number in 0..self.parts.len() {
            let mut behind = number + 1;
            while let Some(Part::Save(_)) = self.parts.get(behind) {
                behind += 1;
            }
            let byte = match self.parts.get(behind) {
                Some(Part::Literal(literal)) => literal.first().copied(),
                Some(
                    Part::Set(_)
                    | Part::Run { .. }
                    | Part::Split(..)
                    | Part::Jump(_)
                    | Part::Save(_)
                    | Part::Position(_)
                    | Part::Found,
                )
                | None => None,
            };
            if let Part::Run { next, .. } = &mut self.parts[number] {
                *next = byte;
            }
        }
    }

    /// Notes what a match can begin with, from a part on.
    fn note_first(&mut self, part: usize) {
        match self.parts[part].clone() {
            Part::Literal(literal) => self.first[usize::from(literal[0])] = true,
            Part::Set(set) | Part::Run { set, min: 1.., .. } => {
                let set = self.sets[set];
                for (first, is_in) in self.first.iter_mut().zip(set) {
                    *first |= is_in;
                }
            }
            Part::Split(one, other) => {
                self.note_first(one);
                self.note_first(other);
            }
            Part::Jump(to) => self.note_first(to),
            Part::Save(_) | Part::Position(Look::Start) => self.note_first(part + 1),
            Part::Run { .. } | Part::Position(_) | Part::Found => self.first = [true; 256],
        }
    }

    /// Finds the match that begins where the text does. `None` if it takes too long to tell.
    pub(super) fn find(
        &self,
        text: &[u8],
        slots: &mut [Option<NonMaxUsize>],
        trail: &mut Trail,
    ) -> Option<bool> {
        if text
            .first()
            .is_some_and(|byte| !self.first[usize::from(*byte)])
        {
            return Some(false);
        }
        let trail = &mut trail.0;
        trail.clear();
        let mut steps = STEPS_PER_BYTE * text.len() + STEPS;
        let (mut part, mut at) = (0, 0);
        loop {
            steps = steps.checked_sub(1)?;
            let goes_on = match &self.parts[part] {
                Part::Literal(literal) => {
                    // Most fail at the first byte.
                    let fits = text.get(at) == literal.first() && text[at..].starts_with(literal);
                    at += if fits { literal.len() } else { 0 };
                    fits
                }
                Part::Set(set) => {
                    let fits = text
                        .get(at)
                        .is_some_and(|byte| self.sets[*set][usize::from(*byte)]);
                    at += usize::from(fits);
                    fits
                }
                Part::Run {
                    set,
                    min,
                    max,
                    is_greedy,
                    ..
                } => {
                    let set = &self.sets[*set];
                    let most = text.len().min(at.saturating_add(*max));
                    let run = &text[at..most];
                    let length = run.iter().position(|byte| !set[usize::from(*byte)]);
                    let high = at + length.unwrap_or(run.len());
                    let low = at + min;
                    if low > high {
                        false
                    } else {
                        trail.push(if *is_greedy {
                            Back::Shorter {
                                part,
                                low,
                                at: high,
                            }
                        } else {
                            Back::Longer {
                                part,
                                at: low,
                                high,
                            }
                        });
                        // The trail takes it from here, so that there is one place that chooses.
                        false
                    }
                }
                Part::Split(first, second) => {
                    trail.push(Back::To { part: *second, at });
                    part = *first;
                    continue;
                }
                Part::Jump(to) => {
                    part = *to;
                    continue;
                }
                Part::Save(slot) => {
                    trail.push(Back::Slot {
                        slot: *slot,
                        before: slots[*slot],
                    });
                    slots[*slot] = NonMaxUsize::new(at);
                    true
                }
                Part::Position(look) => is_at(*look, text, at),
                Part::Found => return Some(true),
            };
            if goes_on {
                part += 1;
                continue;
            }
            // Back to the last possibility that is left.
            loop {
                match trail.pop() {
                    None => return Some(false),
                    Some(Back::Slot { slot, before }) => slots[slot] = before,
                    Some(Back::To { part: to, at: from }) => {
                        (part, at) = (to, from);
                        break;
                    }
                    Some(Back::Shorter {
                        part: run,
                        low,
                        at: high,
                    }) => {
                        let Some(found) = self.last_fit(run, text, low, high) else {
                            continue;
                        };
                        if found > low {
                            trail.push(Back::Shorter {
                                part: run,
                                low,
                                at: found - 1,
                            });
                        }
                        (part, at) = (run + 1, found);
                        break;
                    }
                    Some(Back::Longer {
                        part: run,
                        at: low,
                        high,
                    }) => {
                        let Some(found) = self.first_fit(run, text, low, high) else {
                            continue;
                        };
                        if found < high {
                            trail.push(Back::Longer {
                                part: run,
                                at: found + 1,
                                high,
                            });
                        }
                        (part, at) = (run + 1, found);
                        break;
                    }
                }
            }
        }
    }

    fn next_of(&self, run: usize) -> Option<u8> {
        match &self.parts[run] {
            Part::Run { next, .. } => *next,
            Part::Literal(_)
            | Part::Set(_)
            | Part::Split(..)
            | Part::Jump(_)
            | Part::Save(_)
            | Part::Position(_)
            | Part::Found => None,
        }
    }

    /// The last place from `low` to `high` at which what comes next could begin.
    fn last_fit(&self, run: usize, text: &[u8], low: usize, high: usize) -> Option<usize> {
        let Some(next) = self.next_of(run) else {
            return Some(high);
        };
        let end = text.len().min(high + 1);
        let found = text.get(low..end)?.iter().rposition(|byte| *byte == next)?;
        Some(low + found)
    }

    /// The first place from `low` to `high` at which what comes next could begin.
    fn first_fit(&self, run: usize, text: &[u8], low: usize, high: usize) -> Option<usize> {
        let Some(next) = self.next_of(run) else {
            return Some(low);
        };
        let end = text.len().min(high + 1);
        let found = text.get(low..end)?.iter().position(|byte| *byte == next)?;
        Some(low + found)
    }
}

fn is_at(look: Look, text: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let before = || at.checked_sub(1).and_then(|before| text.get(before));
    match look {
        Look::Start => at == 0,
        Look::End => at == text.len(),
        Look::WordAscii => is_word(before()) != is_word(text.get(at)),
        Look::WordAsciiNegate => is_word(before()) == is_word(text.get(at)),
        // None of these is ever put into a list.
        Look::StartLF
        | Look::EndLF
        | Look::StartCRLF
        | Look::EndCRLF
        | Look::WordUnicode
        | Look::WordUnicodeNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => false,
    }
}

#[cfg(test)]
mod tests;
