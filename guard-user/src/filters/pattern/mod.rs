//! Patterns: fail2ban's expressions as matchers of Rust. Linear engines wherever a pattern allows it,
//! bounded backtracking where it does not.

mod cost;
mod error;
mod linear;
mod matcher;
mod outlines;
mod quick;
mod syntax;
mod tags;
#[cfg(feature = "testing")]
pub mod testing;
mod write;

use crate::filters::config::{definition::Expression, problem::Problem};
pub(super) use cost::longest;
pub(super) use error::PatternError;
pub(super) use linear::{Alphabet, Lines, linear};
pub(super) use matcher::{Matcher, Spans};
pub(super) use outlines::Outlines;
use syntax::Node;

/// One expression of a filter.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) matcher: Matcher,
    node: Node,
}

impl Pattern {
    /// Reads and compiles an expression.
    ///
    /// # Errors
    /// Where it is wrong, or why no engine takes it.
    pub(super) fn new(expression: &Expression, lines: Lines) -> Result<Self, Problem> {
        Self::compiled(expression, lines, Matcher::new)
    }

    /// The same for a prefregex.
    pub(super) fn prefix(expression: &Expression, lines: Lines) -> Result<Self, Problem> {
        Self::compiled(expression, lines, Matcher::prefix)
    }

    fn compiled(
        expression: &Expression,
        lines: Lines,
        compile: fn(&Node, Lines) -> Result<Matcher, PatternError>,
    ) -> Result<Self, Problem> {
        let node = syntax::parse(&tags::resolve(&expression.text))
            .map_err(|wrong| expression.problem(wrong.to_string()))?;
        if write::needs_backtracking(&node) && repeats_repetition(&node) {
            let problem = expression.problem(
                "a repetition of nothing but a repetition, beside look-around or a back-reference: \
                 a line could be made that takes forever",
            );
            return Err(problem.help("write `x+` for `(x+)+`, or take the look-around out"));
        }
        let matcher =
            compile(&node, lines).map_err(|wrong| expression.problem(wrong.to_string()))?;
        Ok(Self { matcher, node })
    }

    /// Does it have a group that says who failed, or on which connection?
    pub(super) fn names_somebody(&self) -> bool {
        ["fid", "ip4", "ip6", "dns", "mlfid"]
            .iter()
            .any(|name| self.matcher.group(name).is_some())
    }
}

/// `(x+)+`, in whatever groups.
fn repeats_repetition(node: &Node) -> bool {
    let is_unbounded =
        |count: &str| count.starts_with(['*', '+']) || count.trim_end_matches('?').ends_with(",}");
    match node {
        Node::Repeat { inner, count, .. } => {
            let mut core = &**inner;
            while let Node::Capture { inner, .. } | Node::Group { inner, .. } = core {
                core = inner;
            }
            let is_nested = matches!(
                core,
                Node::Repeat { count: inside, .. } if is_unbounded(count) && is_unbounded(inside)
            );
            is_nested || repeats_repetition(inner)
        }
        Node::Row(nodes) | Node::Choice(nodes) => nodes.iter().any(repeats_repetition),
        Node::Capture { inner, .. }
        | Node::Group { inner, .. }
        | Node::Look { inner, .. }
        | Node::Atomic(inner) => repeats_repetition(inner),
        Node::If { yes, no, .. } => repeats_repetition(yes) || repeats_repetition(no),
        Node::Plain(_) | Node::Position(_) | Node::Host(_) | Node::Flags(_) | Node::Again(_) => {
            false
        }
    }
}

/// Text to look into: valid UTF-8, and whether it is nothing but ASCII, which is several times faster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    pub(super) is_ascii: bool,
}

impl<'t> Text<'t> {
    #[cfg(test)]
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            is_ascii: text.is_ascii(),
        }
    }

    pub(super) fn part(self, text: &'t str) -> Self {
        Self { text, ..self }
    }
}

#[cfg(test)]
mod tests;
