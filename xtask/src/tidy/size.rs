//! Files stay small and are named after what they hold.

use super::{Finding, Source};

/// From here on a file is mentioned.
const TARGET_LINES: usize = 400;
/// From here on it is refused.
const MOST_LINES: usize = 500;

/// Names that say nothing, and therefore collect everything.
const SHAPELESS: &[&str] = &["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        findings.push(Finding {
            path: source.path.clone(),
            line: None,
            what: format!("{lines} lines; {MOST_LINES} is the limit"),
            way_out: "split it by concept: one concept, one file",
        });
    }
    let name = source.path.rsplit('/').next().unwrap_or_default();
    if SHAPELESS.contains(&name) {
        findings.push(Finding {
            path: source.path.clone(),
            line: None,
            what: format!("{name} says nothing about what it holds"),
            way_out: "name the file after the noun of the domain that it is about",
        });
    }
    findings
}

/// Said, but no reason to fail.
pub(super) fn note(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (TARGET_LINES < lines && lines <= MOST_LINES)
        .then(|| format!("{}: {lines} lines; aim for {TARGET_LINES}", source.path))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    #[test]
    fn length_is_noted_and_then_refused() {
        let cases = [
            (400, 0, false),
            (401, 0, true),
            (500, 0, true),
            (501, 1, false),
        ];
        for (lines, findings, noted) in cases {
            let file = source("guard-user/src/lib.rs", &"x\n".repeat(lines));
            assert_eq!(check(&file).len(), findings, "{lines} lines");
            assert_eq!(note(&file).is_some(), noted, "{lines} lines");
        }
    }

    #[test]
    fn a_shapeless_name_is_refused_and_a_longer_one_is_not() {
        assert_eq!(check(&source("guard-user/src/utils.rs", "")).len(), 1);
        assert!(check(&source("guard-user/src/uncommon.rs", "")).is_empty());
    }
}
