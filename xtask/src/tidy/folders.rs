//! Which folder of guard-user may know which: each only those that stand before it in its list, so that there is no
//! circle.

use super::{Finding, Source};

/// A folder, and the modules in it, from the ground up.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "guard-user/src",
        &[
            "failure",
            "layout",
            "state_file",
            "text",
            "database",
            "control",
            "logs",
            "host",
            "bans",
            "ruleset",
            "filters",
            "jails",
            "explain",
            "dataplane",
            "controller",
            "detect",
            "daemon",
            "output",
            "cli",
        ],
    ),
    (
        "guard-user/src/controller",
        &["state", "transaction", "query", "bans", "boot", "upkeep"],
    ),
];

const ROOT: &str = "guard-user/src/";
const WAY_OUT: &str =
    "see the layers in ARCHITECTURE.md; what both need belongs into the lower of them, or below";

/// Imports that point up.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    // Tests may build what they need of everything.
    let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    if is_test || !source.path.starts_with(ROOT) {
        return Vec::new();
    }
    let text = match source.text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => &source.text[..at],
        None => &source.text,
    };
    let mut findings = Vec::new();
    for (folder, order) in ORDERS {
        let Some(own) = source.path.strip_prefix(folder).and_then(module) else {
            continue;
        };
        let Some(height) = order.iter().position(|name| *name == own) else {
            continue;
        };
        let prefix: Vec<&str> = folder.strip_prefix(ROOT).into_iter().collect();
        for (line, path) in imports(text) {
            let name = path
                .strip_prefix(prefix.as_slice())
                .and_then(|rest| rest.first());
            let other = name.and_then(|name| order.iter().position(|known| known == name));
            if other.is_some_and(|other| other > height) {
                findings.push(Finding {
                    path: source.path.clone(),
                    line: Some(line),
                    what: format!(
                        "`{own}` is below `{}` and must not know it",
                        path[prefix.len()]
                    ),
                    way_out: WAY_OUT,
                });
            }
        }
    }
    findings
}

/// `/bans/store.rs` and `/bans.rs` are of `bans`.
fn module(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('/')?;
    let name = rest.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name))
}

/// Line and names of each path that begins at `crate::`, its groups taken apart.
fn imports(text: &str) -> Vec<(usize, Vec<&str>)> {
    const BEGIN: &str = "crate::";
    let mut found = Vec::new();
    for (at, _) in text.match_indices(BEGIN) {
        let before = &text[..at];
        let line_begin = before.rfind('\n').map_or(0, |end| end + 1);
        let in_comment = text[line_begin..at].trim_start().starts_with("//");
        if in_comment || before.ends_with(|c: char| c.is_alphanumeric() || "_$".contains(c)) {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let mut paths = Vec::new();
        take_apart(&text[at + BEGIN.len()..], &mut Vec::new(), &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads a path or a group; returns how many bytes it takes.
fn take_apart<'t>(
    text: &'t str,
    prefix: &mut Vec<&'t str>,
    paths: &mut Vec<Vec<&'t str>>,
) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let name_len = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if name_len > 0 {
            prefix.push(&rest[..name_len]);
            at += name_len;
            if text[at..].starts_with("::") {
                at += 2;
                continue;
            }
            paths.push(prefix.clone());
        } else if rest.starts_with('{') {
            at += 1;
            while let Some(next) =
                text[at..].find(|c: char| c == '}' || c == '{' || c.is_alphanumeric())
            {
                at += next;
                if text[at..].starts_with('}') {
                    at += 1;
                    break;
                }
                at += take_apart(&text[at..], prefix, paths);
            }
        }
        prefix.truncate(depth);
        return at.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Option<usize>> {
        let findings = check(&source(path, text));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn paths_and_groups_are_taken_apart() {
        let text = "use crate::{\n    bans::{self, store::{Now, Row}},\n    text,\n};\nfn f() { crate::host::own() }";
        let paths: Vec<String> = imports(text)
            .into_iter()
            .map(|(line, path)| format!("{line} {}", path.join("::")))
            .collect();
        assert_eq!(
            paths,
            [
                "1 bans::self",
                "1 bans::store::Now",
                "1 bans::store::Row",
                "1 text",
                "5 host::own"
            ]
        );
    }

    #[test]
    fn a_folder_may_know_those_below_it_and_no_other() {
        let bans = "guard-user/src/bans/store.rs";
        assert!(found(bans, "use crate::text::value;").is_empty());
        assert!(found(bans, "use crate::bans::Prefix;").is_empty());
        assert_eq!(
            found(bans, "\nuse crate::{text, ruleset::model};"),
            [Some(2)]
        );
        assert_eq!(
            found("guard-user/src/failure.rs", "crate::cli::run()"),
            [Some(1)]
        );
        assert!(found(bans, "// crate::cli is above").is_empty());
        assert!(found("guard-user/src/main.rs", "crate::cli::run()").is_empty());
        assert!(found("guard-user/src/bans/tests.rs", "use crate::cli;").is_empty());
        let tested = "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}";
        assert!(found(bans, tested).is_empty());
    }

    #[test]
    fn inside_the_controller_it_is_the_same() {
        let state = "guard-user/src/controller/state/lock.rs";
        assert_eq!(
            found(state, "use crate::controller::{boot::load, Lock};"),
            [Some(1)]
        );
        assert!(found(state, "use crate::{controller::Controller, host};").is_empty());
        let boot = "guard-user/src/controller/boot/load.rs";
        assert!(found(boot, "use crate::controller::state::lock;").is_empty());
    }
}
