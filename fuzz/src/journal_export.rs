//! journald's export format: however the bytes come in, the same lines come out, and one entry is one line.

use guard_user::logs::{MAX_LINE_BYTES, testing::read_export};

pub(crate) fn run(input: &[u8]) {
    let whole = read_export(input, input.len());
    for read in &whole.lines {
        assert!(!read.line.contains(&b'\n'), "{}", read.line.escape_ascii());
        assert!(read.line.len() <= MAX_LINE_BYTES, "{}", read.line.len());
    }
    for size in [1, 7] {
        assert_eq!(read_export(input, size), whole, "in pieces of {size}");
    }
}
