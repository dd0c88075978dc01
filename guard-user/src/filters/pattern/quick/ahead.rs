//! What a pattern's parts can be followed by and begin with, worked out once.

use std::collections::HashSet;

use regex_syntax::hir::Look;

use super::{Follow, Part, Quick};

impl Quick {
    /// Tells runs what can come behind them, and splits what their ways can begin with.
    pub(super) fn look_ahead(&mut self) {
        for number in 0..self.parts.len() {
            match self.parts[number] {
                Part::Run { set, .. } => {
                    let ahead = self.ahead(number + 1, Some(set));
                    if let Part::Run { follow, .. } = &mut self.parts[number] {
                        *follow = ahead;
                    }
                }
                Part::Split { ways, .. } => {
                    let ahead = ways.map(|way| self.ahead(way, None));
                    if let Part::Split { begins, .. } = &mut self.parts[number] {
                        *begins = ahead;
                    }
                }
                Part::Literal(_)
                | Part::Set(_)
                | Part::Jump(_)
                | Part::Save(_)
                | Part::Position(_)
                | Part::Found => {}
            }
        }
        let mut begin = Begin::default();
        self.note_begin(0, &mut begin);
        self.first = begin.bytes;
        let start = self.behind_marks(0);
        if let Part::Literal(literal) = &self.parts[start] {
            self.lead = literal.clone();
        }
        let only_other = |set: &[bool; 256]| {
            let mut others = (0..=u8::MAX).filter(|byte| !set[usize::from(*byte)]);
            others.next().filter(|_| others.next().is_none())
        };
        self.only_others = self.sets.iter().map(only_other).collect();
    }

    /// What can come from this part on, behind a run of a set.
    fn ahead(&mut self, part: usize, run: Option<usize>) -> Follow {
        let mut begin = Begin::default();
        self.note_begin(part, &mut begin);
        let is_other = run.is_some_and(|run| {
            let mut both = self.sets[run].iter().zip(begin.bytes);
            both.all(|(is_run, is_behind)| !(*is_run && is_behind))
        });
        let behind = self.behind_marks(part);
        // The set says as much of a single byte.
        let is_literal = matches!(&self.parts[behind], Part::Literal(literal) if literal.len() > 1);
        Follow {
            set: self.set_of(|byte| begin.bytes[usize::from(byte)]),
            may_end: begin.may_end,
            is_other,
            literal: is_literal.then_some(behind),
        }
    }

    /// The first part from here on that is more than a mark of where something begins or ends.
    fn behind_marks(&self, mut part: usize) -> usize {
        while matches!(
            self.parts[part],
            Part::Save(_) | Part::Position(Look::Start)
        ) {
            part += 1;
        }
        part
    }

    /// Notes what a match can go on with from a part on.
    fn note_begin(&self, part: usize, begin: &mut Begin) {
        if !begin.seen.insert(part) {
            return;
        }
        match &self.parts[part] {
            Part::Literal(literal) => begin.bytes[usize::from(literal[0])] = true,
            Part::Set(set) | Part::Run { set, min: 1.., .. } => begin.add(&self.sets[*set]),
            Part::Run { set, .. } => {
                begin.add(&self.sets[*set]);
                self.note_begin(part + 1, begin);
            }
            Part::Split { ways, .. } => {
                for way in ways {
                    self.note_begin(*way, begin);
                }
            }
            Part::Jump(to) => self.note_begin(*to, begin),
            Part::Save(_) | Part::Position(Look::Start) => self.note_begin(part + 1, begin),
            Part::Position(Look::End) => begin.may_end = true,
            Part::Position(_) | Part::Found => {
                begin.bytes = [true; 256];
                begin.may_end = true;
            }
        }
    }
}

/// What a match can go on with.
struct Begin {
    bytes: [bool; 256],
    may_end: bool,
    seen: HashSet<usize>,
}

impl Default for Begin {
    fn default() -> Self {
        Self {
            bytes: [false; 256],
            may_end: false,
            seen: HashSet::new(),
        }
    }
}

impl Begin {
    fn add(&mut self, set: &[bool; 256]) {
        for (byte, is_in) in self.bytes.iter_mut().zip(set) {
            *byte |= is_in;
        }
    }
}
