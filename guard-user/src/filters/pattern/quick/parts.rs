//! Takes an expression apart into parts that come one after the other.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::{Follow, Part, Quick};

/// Patterns of more parts are left to the other engines.
const MAX_PARTS: usize = 4000;
fn split(first: usize, second: usize) -> Part {
    Part::Split {
        ways: [first, second],
        begins: [Follow::default(); 2],
    }
}

impl Quick {
    fn push(&mut self, part: Part) -> Option<usize> {
        self.parts.push(part);
        (self.parts.len() < MAX_PARTS).then_some(self.parts.len() - 1)
    }

    /// Appends the parts of an expression; `None` for what is left to the other engines.
    pub(super) fn add(&mut self, hir: &Hir) -> Option<()> {
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
                    let at = self.push(split(0, 0))?;
                    self.add(branch)?;
                    ends.push(self.push(Part::Jump(0))?);
                    self.parts[at] = split(at + 1, self.parts.len());
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
                follow: Follow::default(),
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
                split(inside, outside)
            } else {
                split(outside, inside)
            }
        };
        if max == usize::MAX {
            let at = self.push(split(0, 0))?;
            self.add(inner)?;
            self.push(Part::Jump(at))?;
            self.parts[at] = order(at + 1, self.parts.len());
            return Some(());
        }
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(split(0, 0))?);
            self.add(inner)?;
        }
        for at in splits {
            self.parts[at] = order(at + 1, self.parts.len());
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

    pub(super) fn set_of(&mut self, holds: impl Fn(u8) -> bool) -> usize {
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
}
