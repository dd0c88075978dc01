//! What the built-in filters take of memory. Alone in its program, so that nobody else takes any.

use std::fs;

use guard_user::filters::{Definition, Filter, Given, LineTime, builtin};
use jiff::tz::TimeZone;

/// Of all filters together. One line used to cost 200 MB.
const MOST_KB: u64 = 120 << 10;
const NOW_MS: i64 = 1_795_255_200_000;

fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|kb| kb.parse().ok()).expect("a size")
}

#[test]
fn lines_that_are_not_ascii_take_no_more_memory_than_filters_are_worth() {
    let lines = [
        "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET /wp-login.phpä HTTP/1.1\" 404 162",
        "2026/11/21 10:00:00 [error] 1#1: *3 user \"ä\" was not found, client: 203.0.113.8, server: _",
        "Nov 21 10:00:00 srv sshd[1]: Invalid user ä from 203.0.113.7 port 1",
        "Nov 21 10:00:00 srv dovecot: auth: passwd-file(ä,2001:db8::9): unknown user",
        "[Sat Nov 21 10:00:00 2026] [auth_basic:error] [client 203.0.113.9:4000] AH01617: user ä: x",
    ];
    let before = resident_kb();
    let mut filters: Vec<Filter> = builtin::names()
        .map(|name| {
            let file = builtin::file(name).expect("it is built in");
            let definition = Definition::read(&file, &Given::new()).expect("it is right");
            Filter::new(definition, TimeZone::UTC).expect("it compiles")
        })
        .collect();
    for filter in &mut filters {
        for line in lines {
            let _ = filter.line(line.as_bytes(), LineTime::InText, NOW_MS);
        }
    }
    let taken = resident_kb() - before;
    println!("{taken} KB");
    assert!(taken < MOST_KB, "{taken} KB");
}
