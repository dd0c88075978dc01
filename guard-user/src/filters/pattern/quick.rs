//! A quick way to match: for ASCII lines and patterns that begin at the start of a line. Tries one
//! possibility after the other, which is several times faster than the engines of linear time on lines
//! that match, and gives up after so many steps; then one of those decides. The result is the same.

mod ahead;
mod parts;

use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::Look;

/// Steps for a line: some for each byte, and some for the pattern. A byte that is looked at is a step.
const STEPS_PER_BYTE: usize = 16;
const STEPS: usize = 500;

/// A pattern as a list of parts that come one after the other.
#[derive(Debug)]
pub(super) struct Quick {
    parts: Vec<Part>,
    sets: Vec<[bool; 256]>,
    /// The byte that a set has not, if that is but one.
    only_others: Vec<Option<u8>>,
    /// Bytes that a match can begin with.
    first: [bool; 256],
    /// What every match begins with.
    lead: Box<[u8]>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<[u8]>),
    Set(usize),
    /// Bytes of a set, as many or as few as possible.
    Run {
        set: usize,
        min: usize,
        max: usize,
        is_greedy: bool,
        follow: Follow,
    },
    /// Go on at the first; if that fails, at the second. What each can begin with is worked out later.
    Split {
        ways: [usize; 2],
        begins: [Follow; 2],
    },
    Jump(usize),
    Save(usize),
    Position(Look),
    Found,
}

/// What can come behind a run, or what a way can begin with.
#[derive(Clone, Copy, Debug, Default)]
struct Follow {
    /// Bytes.
    set: usize,
    /// Nothing at all.
    may_end: bool,
    /// No byte that could be of the run itself: it ends where it must, or nowhere.
    is_other: bool,
    /// The part behind, if that is a literal.
    literal: Option<usize>,
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
            only_others: Vec::new(),
            first: [false; 256],
            lead: Box::default(),
        };
        quick.add(&hir)?;
        quick.parts.push(Part::Save(1));
        quick.parts.push(Part::Found);
        quick.look_ahead();
        Some(quick)
    }

    /// How long the run of bytes of this set is at the beginning of a text.
    fn run(&self, set: usize, text: &[u8]) -> usize {
        let end = match self.only_others[set] {
            Some(other) => memchr::memchr(other, text),
            None => {
                let set = &self.sets[set];
                text.iter().position(|byte| !set[usize::from(*byte)])
            }
        };
        end.unwrap_or(text.len())
    }

    /// Can a match begin as the text does?
    #[inline]
    pub(super) fn may_begin(&self, text: &[u8]) -> bool {
        let may = text
            .first()
            .is_none_or(|byte| self.first[usize::from(*byte)]);
        may && text.starts_with(&self.lead)
    }

    /// Can a match begin with this byte?
    pub(super) fn may_begin_with(&self, byte: u8) -> bool {
        self.first[usize::from(byte)]
    }

    /// Finds the match that begins where the text does. `None` if it takes too long to tell.
    pub(super) fn find(
        &self,
        text: &[u8],
        slots: &mut [Option<NonMaxUsize>],
        trail: &mut Trail,
    ) -> Option<bool> {
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
                    follow,
                } => {
                    let most = text.len().min(at.saturating_add(*max));
                    let high = at + self.run(*set, &text[at..most]);
                    let low = at + min;
                    steps = steps.saturating_sub(high - at);
                    if low > high {
                        false
                    } else if follow.is_other {
                        at = high;
                        self.may_go_on(follow, text, high)
                    } else if *is_greedy {
                        self.shorten(part, follow, text, (low, high), trail, &mut steps)
                            .is_some_and(|found| {
                                at = found;
                                true
                            })
                    } else {
                        self.lengthen(part, follow, text, (low, high), trail, &mut steps)
                            .is_some_and(|found| {
                                at = found;
                                true
                            })
                    }
                }
                Part::Split { ways, begins } => {
                    let [first, second] = ways;
                    if self.may_go_on(&begins[0], text, at) {
                        if self.may_go_on(&begins[1], text, at) {
                            trail.push(Back::To { part: *second, at });
                        }
                        part = *first;
                    } else {
                        part = *second;
                    }
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
                        let follow = self.follow(run);
                        let found =
                            self.shorten(run, &follow, text, (low, high), trail, &mut steps);
                        let Some(found) = found else { continue };
                        (part, at) = (run + 1, found);
                        break;
                    }
                    Some(Back::Longer {
                        part: run,
                        at: low,
                        high,
                    }) => {
                        let follow = self.follow(run);
                        let found =
                            self.lengthen(run, &follow, text, (low, high), trail, &mut steps);
                        let Some(found) = found else { continue };
                        (part, at) = (run + 1, found);
                        break;
                    }
                }
            }
        }
    }

    fn follow(&self, run: usize) -> Follow {
        match &self.parts[run] {
            Part::Run { follow, .. } => *follow,
            Part::Literal(_)
            | Part::Set(_)
            | Part::Split { .. }
            | Part::Jump(_)
            | Part::Save(_)
            | Part::Position(_)
            | Part::Found => Follow::default(),
        }
    }

    /// Can what comes behind a run begin here?
    fn fits(&self, follow: &Follow, text: &[u8], at: usize) -> bool {
        if !self.may_go_on(follow, text, at) {
            return false;
        }
        match follow.literal.map(|part| &self.parts[part]) {
            Some(Part::Literal(literal)) => text[at..].starts_with(literal),
            Some(_) | None => true,
        }
    }

    /// The same by the first byte alone.
    fn may_go_on(&self, follow: &Follow, text: &[u8], at: usize) -> bool {
        match text.get(at) {
            Some(byte) => self.sets[follow.set][usize::from(*byte)],
            None => follow.may_end,
        }
    }

    /// The last place of a range at which a run can end; the ones before it are kept in mind.
    fn shorten(
        &self,
        part: usize,
        follow: &Follow,
        text: &[u8],
        (low, high): (usize, usize),
        trail: &mut Vec<Back>,
        steps: &mut usize,
    ) -> Option<usize> {
        let found = (low..=high).rev().find(|at| self.fits(follow, text, *at));
        *steps = steps.saturating_sub(high - found.unwrap_or(low));
        let found = found?;
        if found > low {
            let at = found - 1;
            trail.push(Back::Shorter { part, low, at });
        }
        Some(found)
    }

    /// The first place of a range at which a run can end; the ones behind it are kept in mind.
    fn lengthen(
        &self,
        part: usize,
        follow: &Follow,
        text: &[u8],
        (low, high): (usize, usize),
        trail: &mut Vec<Back>,
        steps: &mut usize,
    ) -> Option<usize> {
        let found = (low..=high).find(|at| self.fits(follow, text, *at));
        *steps = steps.saturating_sub(found.unwrap_or(high) - low);
        let found = found?;
        if found < high {
            let at = found + 1;
            trail.push(Back::Longer { part, at, high });
        }
        Some(found)
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
