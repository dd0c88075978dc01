//! Lines of documents stay short, with one sentence on each, so that a change is a change of few lines.

use super::{Finding, Source};

/// Longest line, in characters.
const MOST_CHARACTERS: usize = 120;

/// A full stop behind these ends no sentence.
const ABBREVIATIONS: &[&str] = &["e.g.", "i.e.", "etc.", "vs.", "al."];

pub(super) fn check(document: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_code = false;
    for (index, line) in document.text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            is_code = !is_code;
        }
        // A row of a table cannot be broken.
        let is_row = trimmed.starts_with('|');
        let mut report = |what: String, way_out| {
            findings.push(Finding {
                path: document.path.clone(),
                line: Some(index + 1),
                what,
                way_out,
            });
        };
        let characters = line.chars().count();
        let can_be_broken = trimmed.contains(' ') && !is_row;
        if characters > MOST_CHARACTERS && can_be_broken {
            report(
                format!("{characters} characters; {MOST_CHARACTERS} is the limit"),
                "break the line, or say it in fewer words",
            );
        }
        if !is_code && !is_row && has_two_sentences(trimmed) {
            report(
                "two sentences on one line".to_owned(),
                "begin each sentence on a line of its own",
            );
        }
    }
    findings
}

/// Whether a sentence ends before the end of the line and another one begins.
fn has_two_sentences(line: &str) -> bool {
    // What stands in `code` is no sentence.
    let prose: String = line
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part } else { "x" })
        .collect();
    let words: Vec<&str> = prose.split(' ').collect();
    words.windows(2).any(|pair| {
        let ends = pair[0].ends_with(['.', '!', '?'])
            && pair[0].chars().filter(|c| c.is_alphabetic()).count() > 1
            && !ABBREVIATIONS.contains(&pair[0]);
        ends && pair[1].starts_with(char::is_uppercase)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::source;
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let findings = check(&source("README.md", text));
        findings.iter().filter_map(|finding| finding.line).collect()
    }

    #[test]
    fn a_line_has_at_most_120_characters_but_for_rows_and_long_words() {
        let word = "x".repeat(121);
        let words = format!("{} y", "ä".repeat(118));
        assert!(lines(&words).is_empty());
        assert_eq!(lines(&format!("ok\n{words}z")), [2]);
        assert!(lines(&word).is_empty());
        assert!(lines(&format!("| {word} |")).is_empty());
        assert_eq!(lines(&format!("```\n{words}z\n```")), [2]);
    }

    #[test]
    fn a_line_has_one_sentence() {
        let cases = [
            ("It is on. It stays on.", true),
            ("It is on, e.g. Debian's. ", false),
            ("Run `guardctl x. Y z`, then wait.", false),
            ("1. First of all.", false),
            ("Is it on? Yes.", true),
            ("| It is on. It stays on. |", false),
            ("```\nA line. Another.\n```", false),
        ];
        for (text, expected) in cases {
            assert_eq!(!lines(text).is_empty(), expected, "{text}");
        }
    }
}
