//! The quick engine against the library's: where it does not give up, it finds the same, group by group.

use std::cell::OnceCell;

use guard_user::filters::testing::{Both, builtin_patterns};

/// Longest pattern: what an engine makes of a long one takes seconds.
const MOST_PATTERN_BYTES: usize = 160;

thread_local! {
    static BUILTIN: OnceCell<Vec<Both>> = const { OnceCell::new() };
}

/// The first byte says how long the pattern is that follows, or which of the built-in ones is meant; the
/// rest is the text.
pub(crate) fn run(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let first = usize::from(*first);
    if first <= MOST_PATTERN_BYTES {
        let Some((pattern, text)) = rest.split_at_checked(first) else {
            return;
        };
        let pattern = std::str::from_utf8(pattern).ok();
        if let Some(both) = pattern.and_then(Both::new) {
            compare(&both, text);
        }
        return;
    }
    BUILTIN.with(|builtin| {
        let patterns = builtin.get_or_init(|| {
            let patterns = builtin_patterns();
            patterns.iter().filter_map(|text| Both::new(text)).collect()
        });
        if let Some((which, text)) = rest.split_first() {
            compare(&patterns[usize::from(*which) % patterns.len()], text);
        }
    });
}

fn compare(both: &Both, text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if !text.is_ascii() {
        return;
    }
    let library = both.library(text);
    if let Some(found) = both.quick(text) {
        assert_eq!(found, library, "{both:?}\n{text:?}");
    }
    assert!(
        library.is_none() || both.may_begin(text),
        "{both:?}\n{text:?}"
    );
}
