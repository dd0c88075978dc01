//! What a pattern may cost at most. An engine that does not backtrack takes, for each byte of a text, no more steps than
//! its pattern has states; so a text is tried up to the length at which both together are a second of work. Whoever
//! writes the pattern is told where that is short, for whoever writes the log may choose how long its lines are.

use regex_automata::nfa::thompson::{self, State, WhichCaptures};

use super::linear::{Alphabet, Lines, SIZE_LIMIT_BYTES, syntax};

/// Steps that one pattern may take for one text. A step takes 10 to 25 ns where a line leaves all states possible, and
/// hardly any where it does not.
const MOST_STEPS: usize = 48_000_000;
/// The same for a pattern that may be tried at each place of a text, as often as the engine that backtracks may: it looks
/// ahead as far as the text goes.
const LONGEST_BACKTRACKED: usize = 16 << 10;

/// The longest text in bytes that these patterns are tried on together.
pub(in crate::filters) fn longest(patterns: &[&str], alphabet: Alphabet, lines: Lines) -> usize {
    let built = thompson::Compiler::new()
        .syntax(syntax(alphabet, lines))
        .configure(
            thompson::Config::new()
                .nfa_size_limit(Some(SIZE_LIMIT_BYTES))
                .which_captures(WhichCaptures::Implicit),
        )
        .build_many(patterns);
    // What is too large for this is too large for the engine, which says so.
    let Ok(nfa) = built else {
        return usize::MAX;
    };
    let steps = nfa.states().iter().map(|state| match state {
        State::Union { alternates } => alternates.len(),
        State::BinaryUnion { .. } => 2,
        State::ByteRange { .. }
        | State::Sparse(_)
        | State::Dense(_)
        | State::Look { .. }
        | State::Capture { .. }
        | State::Fail
        | State::Match { .. } => 1,
    });
    MOST_STEPS / steps.sum::<usize>().max(1)
}

/// The same for a pattern of the engine that backtracks, whose linear outline this is.
pub(super) fn longest_backtracked(outline: &str, lines: Lines) -> usize {
    longest(&[outline], Alphabet::Unicode, lines).min(LONGEST_BACKTRACKED)
}
