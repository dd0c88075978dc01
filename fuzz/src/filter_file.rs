//! fail2ban's filter files: what compiles takes any line, in bounded time.

use std::fs;

use guard_user::filters::{Definition, Filter, Given, LineTime};
use jiff::tz::TimeZone;

use crate::scratch;

/// 2026-11-21 10:00:00 UTC.
const NOW_MS: i64 = 1_795_255_200_000;
/// Lines that a filter is given.
const MOST_LINES: usize = 8;

/// What stands before the first NUL is the file; behind it are lines.
pub(crate) fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (text, lines) = input.split_at(end.unwrap_or(input.len()));
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    // Files of this machine are no matter of the input.
    if text.contains("before") || text.contains("after") {
        return;
    }
    scratch::with(|folder| {
        let file = folder.join("x.conf");
        fs::write(&file, text).expect("a file");
        let Ok(definition) = Definition::read(&file, &Given::new()) else {
            return;
        };
        let Ok(mut filter) = Filter::new(definition, TimeZone::UTC) else {
            return;
        };
        for line in lines.split(|byte| *byte == b'\n').take(MOST_LINES) {
            let _ = filter.line(line, LineTime::InText, NOW_MS);
            let _ = filter.line(line, LineTime::Known(NOW_MS), NOW_MS);
        }
    });
}
