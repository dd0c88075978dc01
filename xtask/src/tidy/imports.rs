//! Which paths a file names, read from its text alone: `crate::…`, `super::…`, `self::…` and what it exports again.

use super::Source;

/// A path that a file names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import<'t> {
    /// From 1.
    pub(super) line: usize,
    /// From `crate`, `super` or `self` on; what is exported again may also begin at a child of the file's own.
    pub(super) path: Vec<&'t str>,
    /// The name under which others find it here, when it is exported again.
    pub(super) exported: Option<&'t str>,
}

/// The text of a file without the module of its tests, which may know everything.
pub(super) fn without_tests(text: &str) -> &str {
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => &text[..at],
        None => text,
    }
}

/// Is this a file of tests?
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The crate and the module that a file below a `src` folder is: `["controller", "boot"]`.
pub(super) fn module(source: &Source) -> Option<(&str, Vec<&str>)> {
    let (owner, inside) = source.path.split_once("/src/")?;
    let mut names: Vec<&str> = inside.strip_suffix(".rs")?.split('/').collect();
    if names.last() == Some(&"mod") || matches!(names.as_slice(), ["lib" | "main"]) {
        names.pop();
    }
    Some((owner, names))
}

/// A path from the root of the crate, as the file of this module means it.
pub(super) fn absolute<'t>(module: &[&'t str], path: &[&'t str]) -> Option<Vec<&'t str>> {
    let (base, rest) = match path {
        ["crate", rest @ ..] => (0, rest),
        ["super", ..] => {
            let ups = path.iter().take_while(|name| **name == "super").count();
            (module.len().checked_sub(ups)?, &path[ups..])
        }
        ["self", rest @ ..] => (module.len(), rest),
        rest => (module.len(), rest),
    };
    Some([&module[..base], rest].concat())
}

/// Every path of this text.
pub(super) fn of(text: &str) -> Vec<Import<'_>> {
    const ROOTS: [&str; 3] = ["crate::", "super::", "self::"];
    let mut found = Vec::new();
    let mut begin = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let (at, number) = (begin, index + 1);
        begin += line.len();
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        if let Some(exported) = exported(code) {
            let at = at + (line.len() - exported.len());
            let mut names = Vec::new();
            take_apart(&text[at..], &mut Vec::new(), &mut names);
            found.extend(names.into_iter().map(|(path, name)| Import {
                line: number,
                path,
                exported: Some(name),
            }));
            continue;
        }
        for root in ROOTS {
            for (column, _) in line.match_indices(root) {
                let is_inside =
                    line[..column].ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c));
                if is_inside {
                    continue;
                }
                let mut names = Vec::new();
                take_apart(&text[at + column..], &mut Vec::new(), &mut names);
                found.extend(names.into_iter().map(|(path, _)| Import {
                    line: number,
                    path,
                    exported: None,
                }));
            }
        }
    }
    found
}

/// What stands behind `pub use` or `pub(…) use`.
fn exported(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')')?.1,
        None => rest,
    };
    rest.strip_prefix(" use ")
}

/// Reads a path or a group of them, each with the name it gets; returns how many bytes it takes.
fn take_apart<'t>(
    text: &'t str,
    prefix: &mut Vec<&'t str>,
    found: &mut Vec<(Vec<&'t str>, &'t str)>,
) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let name = word(rest);
        if !name.is_empty() {
            prefix.push(name);
            at += name.len();
            if text[at..].starts_with("::") {
                at += 2;
                continue;
            }
            let alias = text[at..].strip_prefix(" as ").map(word);
            let path = match prefix.split_last() {
                Some((&"self", group)) if !group.is_empty() => group.to_vec(),
                Some(_) | None => prefix.clone(),
            };
            let own = path.last().copied().unwrap_or(name);
            at += alias.map_or(0, |alias| " as ".len() + alias.len());
            found.push((path, alias.unwrap_or(own)));
        } else if rest.starts_with('*') {
            at += 1;
            found.push((prefix.clone(), "*"));
        } else if rest.starts_with('{') {
            at += 1;
            let begins = |c: char| matches!(c, '{' | '}' | '*' | '_') || c.is_alphanumeric();
            while let Some(next) = text[at..].find(begins) {
                at += next;
                if text[at..].starts_with('}') {
                    at += 1;
                    break;
                }
                at += take_apart(&text[at..], prefix, found);
            }
        }
        prefix.truncate(depth);
        return at.max(1);
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let show = |import: Import<'_>| {
            let exported = import.exported.map(|name| format!(" as {name}"));
            let (line, path) = (import.line, import.path.join("::"));
            format!("{line} {path}{}", exported.unwrap_or_default())
        };
        of(text).into_iter().map(show).collect()
    }

    #[test]
    fn paths_and_groups_are_taken_apart() {
        let text = "use crate::{\n    bans::{self, store::{Now as Moment, Row}},\n    text::*,\n};\n\
                    use super::super::pins;\nfn f() { crate::host::own(self::at) }\n// crate::comment";
        assert_eq!(
            read(text),
            [
                "1 crate::bans",
                "1 crate::bans::store::Now",
                "1 crate::bans::store::Row",
                "1 crate::text",
                "5 super::super::pins",
                "6 crate::host::own",
                "6 self::at",
            ]
        );
    }

    #[test]
    fn what_is_exported_again_has_a_name() {
        let text = "pub use link::{LinkPin, links as all};\npub(in crate::a) use super::Text;\nuse own::Thing;";
        assert_eq!(
            read(text),
            [
                "1 link::LinkPin as LinkPin",
                "1 link::links as all",
                "2 super::Text as Text"
            ]
        );
    }

    #[test]
    fn a_path_is_relative_to_the_module_that_the_file_is() {
        let file = source("guard-user/src/dataplane/pins/link.rs", "");
        let (owner, own) = module(&file).unwrap();
        assert_eq!(owner, "guard-user");
        for (path, expected) in [
            (&["crate", "host"][..], Some("host")),
            (&["super", "files"], Some("dataplane::pins::files")),
            (&["super", "super", "object"], Some("dataplane::object")),
            (&["self", "Kind"], Some("dataplane::pins::link::Kind")),
            (&["super", "super", "super", "super", "x"], None),
        ] {
            let found = absolute(&own, path).map(|path| path.join("::"));
            assert_eq!(found.as_deref(), expected, "{path:?}");
        }
        for (path, expected) in [
            ("a/src/lib.rs", ""),
            ("a/src/b/mod.rs", "b"),
            ("a/src/b.rs", "b"),
        ] {
            let file = source(path, "");
            let (_, names) = module(&file).unwrap();
            assert_eq!(names.join("::"), expected, "{path}");
        }
    }
}
