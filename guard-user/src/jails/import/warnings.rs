//! What could not be carried over: the same thing is reported once, with the first of its places.

use crate::filters::Problem;

#[derive(Default)]
pub(super) struct Warnings {
    problems: Vec<(Problem, usize)>,
}

impl Warnings {
    pub(super) fn add(&mut self, problem: Problem) {
        let known = self
            .problems
            .iter_mut()
            .find(|(known, _)| known.message == problem.message);
        match known {
            // A default that several jails have is one place.
            Some((known, _)) if known.place == problem.place => {}
            Some((_, more)) => *more += 1,
            None => self.problems.push((problem, 0)),
        }
    }

    /// A jail that cannot be carried over at all.
    pub(super) fn left_out(&mut self, jail: &str, mut problem: Problem) {
        problem.message = format!("the jail {jail} is left out: {}", problem.message);
        self.add(problem);
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        let problem = |(mut problem, more): (Problem, usize)| {
            match more {
                0 => {}
                1 => problem.message.push_str(" (and in one more place)"),
                _ => problem
                    .message
                    .push_str(&format!(" (and in {more} more places)")),
            }
            problem
        };
        self.problems.into_iter().map(problem).collect()
    }
}
