//! Code that postpones, hides or silences something.

use super::{Finding, Source};

/// In two pieces, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    (
        concat!("todo", "!("),
        "unfinished code",
        "write it, or return an error that says what is missing",
    ),
    (
        concat!("unimplemented", "!("),
        "unfinished code",
        "write it, or return an error that says what is missing",
    ),
    (
        concat!("#[ig", "nore"),
        "a test that nobody runs",
        "skip at run time with a printed reason that fails under GUARD_TESTS_STRICT=1",
    ),
];

const ALLOW: [&str; 2] = [concat!("#[al", "low("), concat!("#![al", "low(")];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut offset = 0;
    for (index, line) in source.text.split_inclusive('\n').enumerate() {
        let rest = &source.text[offset..];
        offset += line.len();
        if line.trim_start().starts_with("//") {
            continue;
        }
        let mut report = |what: &str, way_out| {
            findings.push(Finding {
                path: source.path.clone(),
                line: Some(index + 1),
                what: what.to_owned(),
                way_out,
            });
        };
        for (pattern, what, way_out) in FORBIDDEN {
            if line.contains(pattern) {
                report(what, way_out);
            }
        }
        if ALLOW.iter().any(|allow| line.contains(allow)) && !has_reason(rest) {
            report(
                "a lint silenced without a reason",
                "#[expect(lint, reason = \"…\")], or mend what the lint found",
            );
        }
    }
    findings
}

/// Whether the attribute that begins on the first line of `text` gives a reason.
fn has_reason(text: &str) -> bool {
    text.split(")]")
        .next()
        .is_some_and(|attribute| attribute.contains("reason"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn lines(text: &str) -> Vec<Option<usize>> {
        let findings = check(&source("guard-user/src/lib.rs", text));
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn postponed_code_is_found_where_it_stands() {
        let text = format!(
            "fn a() {{\n    {}) }}\n\n{}]\nfn b() {{}}",
            FORBIDDEN[0].0, FORBIDDEN[2].0
        );

        assert_eq!(lines(&text), [Some(2), Some(4)]);
    }

    #[test]
    fn comments_may_speak_of_it() {
        assert!(lines(&format!("    // {}) is refused", FORBIDDEN[1].0)).is_empty());
    }

    #[test]
    fn a_silenced_lint_needs_a_reason_even_on_the_next_line() {
        let [outer, inner] = ALLOW;
        let cases = [
            (format!("{outer}dead_code)]\nfn a() {{}}"), 1),
            (format!("{inner}dead_code)]"), 1),
            (
                format!("{outer}\n    dead_code,\n    reason = \"kept\"\n)]"),
                0,
            ),
            (format!("{outer}dead_code)]\nfn reason() {{}}"), 1),
        ];
        for (text, expected) in cases {
            assert_eq!(lines(&text).len(), expected, "{text}");
        }
    }
}
