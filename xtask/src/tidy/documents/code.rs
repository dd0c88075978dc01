//! Files and functions that documents name in `code` exist: `guard-user/src/layout.rs`, or with a word that
//! the file has, `guard-user/src/layout.rs::Layout`.

use std::{fs, path::Path};

use pulldown_cmark::{Event, Parser};

use super::{Finding, Source};

/// First folders of paths that are checked.
const CRATES: &[&str] = &[
    "fuzz/",
    "guard-common/",
    "guard-ebpf/",
    "guard-user/",
    "packaging/",
    "tests/",
    "xtask/",
];

pub(super) fn check(document: &Source, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (event, range) in Parser::new(&document.text).into_offset_iter() {
        let Event::Code(named) = event else { continue };
        let is_pattern = named.contains(['*', '{', '…', ' ']) || has_placeholder(&named);
        if is_pattern || !CRATES.iter().any(|first| named.starts_with(first)) {
            continue;
        }
        if let Some(what) = problem(&named, root) {
            findings.push(Finding {
                path: document.path.clone(),
                line: Some(document.text[..range.start].matches('\n').count() + 1),
                what,
                way_out: "name what there is: PATH, or PATH::NAME with a name that stands in the file",
            });
        }
    }
    findings
}

/// `fuzz/corpus/TARGET/NAME` stands for many.
fn has_placeholder(named: &str) -> bool {
    let parts = named.split("::").next().unwrap_or_default().split('/');
    let is_capital = |part: &str| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase());
    parts.into_iter().any(is_capital)
}

fn problem(named: &str, root: &Path) -> Option<String> {
    let (path, names) = named.split_once("::").unwrap_or((named, ""));
    let full = root.join(path);
    if !full.exists() {
        return Some(format!("{path} does not exist"));
    }
    let text = if names.is_empty() {
        return None;
    } else {
        fs::read_to_string(&full).unwrap_or_default()
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let missing = names
        .split("::")
        .find(|name| !text.split(|c| !is_word(c)).any(|word| word == *name))?;
    Some(format!("{path} has no {missing}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::source;
    use super::*;

    #[test]
    fn files_and_names_that_are_not_there_are_found() {
        let root = crate::workspace::root();
        let text = "`xtask/src/main.rs` `xtask/src/main.rs::main` `xtask/src/main.rs::Args::command`\n\
                    `xtask/src/gone.rs` `xtask/src/main.rs::mai`\n\
                    `fuzz/corpus/TARGET/NAME` `tests/**` `guard/gone.rs`";

        let findings = check(&source("ARCHITECTURE.md", text), &root);

        let whats: Vec<(Option<usize>, &str)> = findings
            .iter()
            .map(|finding| (finding.line, finding.what.as_str()))
            .collect();
        assert_eq!(
            whats,
            [
                (Some(2), "xtask/src/gone.rs does not exist"),
                (Some(2), "xtask/src/main.rs has no mai"),
            ]
        );
    }
}
