//! The quick way finds what the library's engine finds, group by group.

use proptest::prelude::*;
use regex_automata::{Input, meta};

use super::*;
use crate::filters::pattern::linear::{Alphabet, Lines, linear};

/// Slots that the library's engine fills; `None` without a match.
fn expected(pattern: &str, text: &str) -> Option<Vec<Option<NonMaxUsize>>> {
    let regex = linear(&[pattern], Alphabet::Ascii, Lines::One, meta::Config::new()).unwrap();
    let mut slots = vec![None; regex.create_captures().slots().len()];
    regex.search_slots(&Input::new(text), &mut slots)?;
    Some(slots)
}

fn quick(pattern: &str, text: &str, slots: usize) -> Option<Option<Vec<Option<NonMaxUsize>>>> {
    let quick = Quick::new(pattern).unwrap_or_else(|| panic!("{pattern} is not quick"));
    let mut found = vec![None; slots];
    let is_found = quick.find(text.as_bytes(), &mut found, &mut Trail::default())?;
    Some(is_found.then_some(found))
}

/// Pieces from which patterns are put together, with every kind of part.
fn piece() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("a"),
        Just("b"),
        Just(" "),
        Just("ab"),
        Just("."),
        Just("[ab]"),
        Just("[^ ]"),
        Just(r"\d"),
        Just(r"\S"),
        Just(r"\b"),
        Just("1"),
        Just(r"(?:::f{4}:)?"),
    ];
    let count = prop_oneof![
        4 => Just(""), 1 => Just("*"), 1 => Just("+"), 1 => Just("?"), 1 => Just("{1,3}"),
        1 => Just("*?"), 1 => Just("+?"), 1 => Just("{2}"),
    ];
    (atom, count).prop_map(|(atom, count)| match atom {
        r"\b" => atom.to_owned(),
        _ if atom.ends_with('?') => atom.to_owned(),
        _ => format!("(?:{atom}){count}"),
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let row = || proptest::collection::vec(piece(), 1..5).prop_map(|pieces| pieces.concat());
    (row(), row(), row(), 0..4_u8).prop_map(|(one, two, three, shape)| match shape {
        0 => format!("^{one}({two}){three}"),
        1 => format!("^{one}({two}|{three})$"),
        2 => format!("^(?:{one}(x{two})?|{three})"),
        _ => format!("^{one}(?:x({two}))*{three}$"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn it_finds_what_the_library_finds(pattern in pattern(), text in "[ab1x ]{0,14}") {
        prop_assume!(Quick::new(&pattern).is_some());
        let slots = linear(&[&pattern], Alphabet::Ascii, Lines::One, meta::Config::new())
            .unwrap().create_captures().slots().len();
        if let Some(found) = quick(&pattern, &text, slots) {
            prop_assert_eq!(found, expected(&pattern, &text));
        }
    }
}

#[test]
fn it_gives_up_where_it_would_take_forever() {
    let text = "a".repeat(60);
    assert_eq!(quick("^(?:a*a*)(?:a|aa)+a*b$", &text, 2), None);
}

#[test]
fn long_lines_take_time_in_proportion() {
    // Every blank could end the first run, and every one leads to a look at all that follows.
    let text = format!("{}!", "a ".repeat(500_000));
    let begin = std::time::Instant::now();

    assert_eq!(quick("^(.*) (.*) (.*) x(.*)y$", &text, 10), None);
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
fn what_it_cannot_do_it_leaves_to_others() {
    for pattern in ["a", "^(?:a*)*b", r"^(?u:\w)", "^(?:(?:ab){100}){100}"] {
        assert!(Quick::new(pattern).is_none(), "{pattern}");
    }
}
