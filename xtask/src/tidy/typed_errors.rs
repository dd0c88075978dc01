//! An error of the product is a type: a text cannot be told apart from another one by who gets it.

use super::{Finding, Source, crate_of, imports};

/// The crates that are shipped.
const PRODUCT: [&str; 3] = ["guard-common", "guard-ebpf", "guard-user"];

/// Functions and fields whose error is a text.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let is_shipped = PRODUCT.contains(&crate_of(&source.path)) && source.path.contains("/src/");
    if !is_shipped || imports::is_test(&source.path) {
        return Vec::new();
    }
    let text = imports::without_tests(&source.text);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| {
            line.match_indices(BEGIN)
                .any(|(at, _)| is_text(&line[at..]))
        })
        .map(|(index, _)| Finding {
            path: source.path.clone(),
            line: Some(index + 1),
            what: "the error is a String".to_owned(),
            way_out: "give it a type (thiserror), whose Display is this text",
        })
        .collect()
}

const BEGIN: &str = "Result<";

/// Is the last argument of this `Result<…>` a `String`?
fn is_text(text: &str) -> bool {
    let mut depth = 0;
    let mut last = None;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            // Of `->`.
            '>' if text[..at].ends_with('-') => {}
            '>' if depth == 1 => return last.is_some_and(|last| text[last..at].trim() == "String"),
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => last = Some(at + 1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<Option<usize>> {
        let findings = check(&source(path, text));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_error_that_is_a_text_is_found() {
        let text = "fn f() -> Result<(), String> {\n\
                    field: io::Result<Vec<(u8, String)>>,\n\
                    fn g() -> Result<BTreeMap<u32, String>, Failure> {\n\
                    h: Result<Result<u8, String>, Failure>,\n\
                    i: Result<fn(u8) -> u8, String>,\n\
                    j: io::Result<String>,\n\
                    // Result<(), String>\n";
        assert_eq!(
            lines("guard-user/src/text/value.rs", text),
            [Some(1), Some(4), Some(5)]
        );
    }

    #[test]
    fn tests_and_what_is_not_shipped_may_have_texts() {
        let text = "fn f() -> Result<(), String> {}";
        for path in [
            "guard-user/src/text/tests.rs",
            "guard-user/tests/oracle/main.rs",
            "xtask/src/fuzz/mod.rs",
        ] {
            assert!(lines(path, text).is_empty(), "{path}");
        }
        let tested = format!("#[cfg(test)]\nmod tests {{\n    {text}\n}}");
        assert!(lines("guard-user/src/text/value.rs", &tested).is_empty());
    }
}
