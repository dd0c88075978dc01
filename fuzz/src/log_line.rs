//! Lines through every built-in filter: no line does harm, and whoever is named stands in one of them.

use std::{cell::RefCell, net::IpAddr};

use guard_user::filters::{Definition, Filter, Given, Host, LineOutcome, LineTime, builtin};
use jiff::tz::TimeZone;

/// Lines of one input.
const MOST_LINES: usize = 6;
/// 2026-11-21 10:00:00 UTC.
const NOW_MS: i64 = 1_795_255_200_000;

thread_local! {
    static FILTERS: RefCell<Vec<Filter>> = RefCell::new(filters());
}

fn filters() -> Vec<Filter> {
    let filters = builtin::names().map(|name| {
        let file = builtin::file(name).expect("it is built in");
        let definition = Definition::read(&file, &Given::new()).expect("it is right");
        Filter::new(definition, TimeZone::UTC).expect("it compiles")
    });
    filters.collect()
}

pub(crate) fn run(input: &[u8]) {
    let lines: Vec<&[u8]> = input
        .split(|byte| *byte == b'\n')
        .take(MOST_LINES)
        .collect();
    FILTERS.with_borrow_mut(|filters| {
        for filter in filters {
            for stamp in [LineTime::InText, LineTime::Known(NOW_MS)] {
                filter.forget();
                evaluate(filter, &lines, stamp);
            }
        }
    });
}

fn evaluate(filter: &mut Filter, lines: &[&[u8]], stamp: LineTime) {
    for (number, line) in lines.iter().enumerate() {
        let LineOutcome::Failure(failure) = filter.line(line, stamp, NOW_MS) else {
            continue;
        };
        let (Host::Address(address) | Host::Network(address, _)) = failure.host else {
            continue;
        };
        // A connection's address may stand in a line before.
        let stands = |line: &&[u8]| names(&String::from_utf8_lossy(line), address);
        assert!(
            lines[..=number].iter().any(stands),
            "{address} stands in none of {}",
            lines[..=number].join(&b"\n"[..]).escape_ascii()
        );
    }
}

/// Does this address stand in the text, whole: not the beginning or the end of a longer one?
fn names(text: &str, address: IpAddr) -> bool {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || letter == ':' || letter == '.';
    let mut runs = text.split(|letter| !is_part(letter));
    runs.any(|run| {
        let starts = (0..run.len()).filter(|start| is_bound(run, *start));
        let mut parts = starts.flat_map(|start| {
            let ends = (start + 1..=run.len()).filter(|end| is_bound(run, *end));
            ends.map(move |end| &run[start..end])
        });
        parts.any(|part| {
            let parsed: Option<IpAddr> = part.parse().ok();
            parsed.is_some_and(|parsed| parsed.to_canonical() == address)
        })
    })
}

/// Can an address begin or end here? Not between two digits.
fn is_bound(run: &str, at: usize) -> bool {
    let bytes = run.as_bytes();
    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
    let digits = [before, bytes.get(at)];
    !digits
        .iter()
        .all(|byte| byte.is_some_and(u8::is_ascii_hexdigit))
}
