//! Names that only this project would understand: what the field has a word for is called by that word.

use super::{Finding, Source};

/// Words that are no name by themselves, and what to say instead. As a part of a longer name, or in the
/// sentence that a test is called by, they are plain English.
const PRIVATE: &[(&[&str], &str)] = &[
    (
        &["glance", "Glance", "shortcut", "at_once"],
        "fast_path, and full_path for what it leaves",
    ),
    (
        &[
            "weigh",
            "judge",
            "judged",
            "judgement",
            "Judgement",
            "Judged",
        ],
        "evaluate; what comes of it is a Decision, a Verdict, an …Outcome",
    ),
    (
        &["told", "tell", "Told"],
        "what it is: message, warning, known, log, report",
    ),
    (
        &["opening", "openings", "Opening", "Openings"],
        "admission, or new_connection",
    ),
    (&["newcomer", "Newcomer"], "new_connection"),
    (&["Front", "FrontBucket", "ask_front"], "fingerprint filter"),
    (&["Held"], "exempt sources"),
    (
        &["Spent", "is_spent"],
        "exceeded, for ceilings; used, or a cost",
    ),
    (
        &["Place", "Outcome", "Asked", "Said"],
        "whose it is: RuleLookup, EditOutcome, ServiceRequest",
    ),
    (
        &["Desk", "Door", "Board", "Books", "bell"],
        "what it does: handler, server, state, records, waker",
    ),
];

/// Files of sources that must not be called so, and what to call them.
const STEMS: &[(&[&str], &str)] = &[
    (&["glance", "shortcut"], "fast_path"),
    (&["opening", "openings"], "admission"),
    (&["front"], "fingerprints"),
    (&["held", "spent"], "exempt, exceeded"),
    (
        &["force", "whole", "power"],
        "activate, replace_policy, enable",
    ),
    (&["unified"], "diff"),
    (&["texts", "papers"], "policy_files, man_pages"),
    (&["sentence"], "ban_executor"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stem = source
        .path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".rs"));
    if let Some(stem) = stem
        && source.path.contains("/src/")
        && let Some(instead) = instead_of(STEMS, stem)
    {
        findings.push(Finding {
            path: source.path.clone(),
            line: None,
            what: format!("{stem}.rs is named in a private word"),
            way_out: instead,
        });
    }
    for (line, name) in identifiers(&source.text) {
        if let Some(instead) = instead_of(PRIVATE, name) {
            findings.push(Finding {
                path: source.path.clone(),
                line: Some(line),
                what: format!("`{name}` is a private word"),
                way_out: instead,
            });
        }
    }
    findings
}

fn instead_of(
    list: &[(&'static [&'static str], &'static str)],
    name: &str,
) -> Option<&'static str> {
    let (_, instead) = list.iter().find(|(words, _)| words.contains(&name))?;
    Some(instead)
}

/// The identifiers of Rust source with their lines, from 1: what stands in comments and literals is prose.
fn identifiers(text: &str) -> Vec<(usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(len) = literal(rest) {
            len
        } else if is_part(next) {
            let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let line = text[..at].matches('\n').count() + 1;
            found.push((line, &rest[..len]));
            len
        } else {
            next.len_utf8()
        };
        at += len;
    }
    found
}

/// Length of the string or character that `rest` begins with.
fn literal(rest: &str) -> Option<usize> {
    let raw = rest.strip_prefix('b').unwrap_or(rest);
    if let Some(raw) = raw.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(content) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = rest.len() - content.len();
            return Some(
                content
                    .find(&end)
                    .map_or(rest.len(), |len| begin + len + end.len()),
            );
        }
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            // A lifetime, or a label.
            '\n' if quote == '\'' => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at + 1),
            // Nothing but an escape is longer than one character.
            _ if quote == '\'' && at > 1 && !rest[1..].starts_with('\\') && at > c.len_utf8() => {
                return None;
            }
            _ => {}
        }
    }
    (quote == '"').then_some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<(Option<usize>, &'static str)> {
        let found = check(&source(path, text));
        found
            .into_iter()
            .map(|finding| (finding.line, finding.way_out))
            .collect()
    }

    #[test]
    fn a_private_word_is_found_with_its_line_and_what_to_say_instead() {
        let text = "fn a() {\n    let told = weigh(b);\n}\nstruct Door<'a>(&'a str);\n";

        let found = findings("guard-user/src/lib.rs", text);

        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [Some(2), Some(2), Some(4)]);
        assert!(found[1].1.contains("evaluate") && found[2].1.contains("server"));
    }

    #[test]
    fn prose_and_longer_names_may_have_it() {
        let text = concat!(
            "// a glance is told\n",
            "fn a_stray_is_told_once() { say(\"told\", 'd', b\"judge\") }\n",
            "const A: &str = r#\"a \" told\n tell\"#;\n",
            "const B: &str = \"told \\\" \\\n tell\";\n",
            "fn b<'a>(c: &'a str) -> char { '\\'' }\n",
            "fn c(deque: &D) { deque.pop_front().front() }\n",
        );

        assert_eq!(findings("guard-user/src/lib.rs", text), []);
    }

    #[test]
    fn what_stands_behind_a_literal_is_read_again() {
        for before in ["'\\''", "'x'", "\"a\"", "r\"a\\\"", "&'a ()", "'ä'"] {
            let text = format!("let a = {before}; let told = 1;");
            assert_eq!(findings("xtask/src/main.rs", &text).len(), 1, "{before}");
        }
    }

    #[test]
    fn a_file_is_called_by_the_fields_word() {
        let found = findings("guard-user/src/controller/force.rs", "");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, None);
        for path in [
            "guard-user/src/controller/transaction/activate.rs",
            // The option is called so.
            "tests/tests/bans/force.rs",
        ] {
            assert_eq!(findings(path, ""), [], "{path}");
        }
    }
}
