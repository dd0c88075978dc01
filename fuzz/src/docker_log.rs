//! Docker's `json-file`: lines of files, read by one decoder, that come out as lines of containers.

use std::path::Path;

use guard_user::logs::{MAX_LINE_BYTES, docker::Decoder};

pub(crate) fn run(input: &[u8]) {
    let mut decoder = Decoder::new();
    let mut handed_on = 0;
    let mut fed = 0;
    for line in input.split(|byte| *byte == b'\n') {
        fed += 1;
        // Two containers, by what the line ends with.
        let path = match line.last() {
            Some(b' ') => "/b-json.log",
            _ => "/a-json.log",
        };
        let mut lines = 0;
        decoder.line(Path::new(path), line, &mut |text, _| {
            assert!(!text.contains(&b'\n'), "{}", text.escape_ascii());
            assert!(text.len() <= MAX_LINE_BYTES, "{}", text.len());
            lines += 1;
        });
        assert!(lines <= 1, "{lines} lines of one entry");
        handed_on += lines;
    }
    let counts = decoder.take_counts();
    assert_eq!(counts.lines, handed_on);
    assert!(counts.lines + counts.unreadable <= fed, "{counts:?}");
}
