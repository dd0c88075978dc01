//! Entries, whole, in parts and broken.

use super::*;

const AT: &str = "2026-11-21T10:00:00.123456789Z";
const AT_MS: i64 = 1_795_255_200_123;

/// One entry as Docker writes it.
fn entry(log: &str, stream: &str, time: &str) -> String {
    let log = serde_json::to_string(log).unwrap();
    format!(r#"{{"log":{log},"stream":"{stream}","time":"{time}"}}"#)
}

fn fed(lines: &[(&str, &str)]) -> (Vec<String>, DockerCounts) {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for (path, line) in lines {
        decoder.line(Path::new(path), line.as_bytes(), &mut |text, _| {
            found.push(String::from_utf8(text.to_vec()).unwrap());
        });
    }
    (found, decoder.take_counts())
}

/// What comes of the entries of one file.
fn lines(entries: &[String]) -> (Vec<String>, DockerCounts) {
    let entries: Vec<_> = entries
        .iter()
        .map(|line| ("/x.log", line.as_str()))
        .collect();
    fed(&entries)
}

fn part(letter: &str) -> String {
    letter.repeat(PART_BYTES)
}

#[test]
fn an_entry_is_a_line_with_its_time() {
    for (json, text, time) in [
        (entry("a b\n", "stdout", AT), &b"a b"[..], Some(AT_MS)),
        (entry("\n", "stderr", AT), b"", Some(AT_MS)),
        (entry("tty\r\n", "stdout", AT), b"tty\r", Some(AT_MS)),
        (
            entry("\"q\" \\ \0\u{1b}[1m ü \u{fffd}\n", "stdout", AT),
            "\"q\" \\ \0\u{1b}[1m ü \u{fffd}".as_bytes(),
            Some(AT_MS),
        ),
        (entry("one\ntwo\n", "stdout", AT), b"one\\ntwo", Some(AT_MS)),
        (
            entry("x\n", "stdout", "2026-11-21T11:00:00.1234+01:00"),
            b"x",
            Some(AT_MS),
        ),
        (entry("x\n", "stdout", "yesterday"), b"x", None),
        (
            format!(r#"{{"log":"x\n","stream":"stdout","attrs":{{"tag":"a"}},"time":"{AT}"}}"#),
            b"x",
            Some(AT_MS),
        ),
        (r#"{"log":"x\n"}"#.to_owned(), b"x", None),
    ] {
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        decoder.line(Path::new("/x.log"), json.as_bytes(), &mut |text, time| {
            found.push((text.to_vec(), time));
        });
        assert_eq!(found, [(text.to_vec(), time)], "{json}");
        assert_eq!(decoder.take_counts().lines, 1);
    }
}

#[test]
fn parts_are_joined_by_file_and_stream() {
    let other = "2026-11-21T10:00:01Z";
    let (found, counts) = fed(&[
        ("/a", &entry(&part("a"), "stdout", AT)),
        ("/b", &entry(&part("b"), "stdout", AT)),
        ("/a", &entry("error\n", "stderr", AT)),
        ("/a", &entry(&part("c"), "stdout", AT)),
        ("/b", &entry("!\n", "stdout", AT)),
        // An engine before 18.03: each part has a time of its own.
        ("/a", &entry("?\n", "stdout", other)),
        ("/a", &entry("next\n", "stdout", other)),
    ]);

    let whole = [
        "error".to_owned(),
        part("b") + "!",
        part("a") + &part("c") + "?",
        "next".to_owned(),
    ];
    assert_eq!(found, whole);
    assert_eq!((counts.lines, counts.unfinished), (4, 0));
}

#[test]
fn what_a_container_left_unfinished_is_not_joined_with_its_next_line() {
    let (found, counts) = lines(&[
        entry("Failed from 203.0.113.1", "stdout", AT),
        entry(
            "7 is what the next container says\n",
            "stdout",
            "2026-11-21T10:00:09Z",
        ),
    ]);

    assert_eq!(found, ["7 is what the next container says"]);
    assert_eq!((counts.lines, counts.unfinished), (1, 1));
}

#[test]
fn a_long_line_is_cut_behind_a_whole_word() {
    let begin = "a ".repeat(PART_BYTES / 2);
    let mut entries = vec![entry(&begin, "stdout", AT); 3];
    let words = "a ".repeat(PART_BYTES / 2 - 4) + "203.0.113.77";
    entries.push(entry(&words, "stdout", AT));
    entries.extend(vec![entry(&part("x"), "stdout", AT); 100]);
    entries.push(entry(" from 198.51.100.1\n", "stdout", AT));
    entries.push(entry("next\n", "stdout", AT));

    let (found, counts) = lines(&entries);

    assert_eq!(found.len(), 2);
    assert!(found[0].len() <= MAX_LINE_BYTES && found[0].ends_with(" a"));
    assert_eq!(found[1], "next");
    assert_eq!((counts.lines, counts.cut), (2, 1));
}

#[test]
fn what_is_no_entry_is_counted_and_skipped() {
    let (found, counts) = lines(&[
        String::new(),
        "\0\0\0\0".to_owned(),
        "Failed password for root from 203.0.113.7 port 22 ssh2".to_owned(),
        "[]".to_owned(),
        r#"{"log":7}"#.to_owned(),
        r#"{"stream":"stdout"}"#.to_owned(),
    ]);
    assert_eq!(found, [""; 0]);
    assert_eq!(counts.unreadable, 6);
}

#[test]
fn the_rest_of_a_line_with_an_unreadable_part_is_no_line_of_its_own() {
    let cut = &entry(&part("\u{1}"), "stdout", AT)[..MAX_LINE_BYTES];
    let (found, counts) = lines(&[
        cut.to_owned(),
        entry(&part("x"), "stdout", AT),
        entry("Failed password for root from 203.0.113.7\n", "stdout", AT),
        entry("next\n", "stdout", AT),
    ]);
    assert_eq!(found, ["next"]);
    assert_eq!((counts.unreadable, counts.unfinished), (1, 1));
    assert!(entry(&part("\u{1}"), "stdout", AT).len() < MAX_ENTRY_BYTES);
}

#[test]
fn files_with_begun_lines_are_bounded() {
    let mut decoder = Decoder::new();
    let mut found = 0;
    let mut feed = |decoder: &mut Decoder, file: usize, log: &str| {
        let path = PathBuf::from(format!("/{file}"));
        let line = entry(log, "stdout", AT);
        decoder.line(&path, line.as_bytes(), &mut |text, _| found += text.len());
    };
    for file in 0..MOST_FILES + 10 {
        feed(&mut decoder, file, "begun, ");
    }
    assert_eq!(decoder.begun.len(), MOST_FILES);
    assert_eq!(decoder.take_counts().unfinished, 10);
    feed(&mut decoder, MOST_FILES + 9, "ended\n");
    assert_eq!(decoder.begun.len(), MOST_FILES - 1);
    assert_eq!(found, "begun, ended".len());
}
