//! Wrong files: each is refused at its place, with the value and a way out.

use std::os::unix::fs::symlink;

use super::*;
use crate::text::schema_check::{POLICY, Schema};

mod rules;
mod settings;

use rules::RULES;
use settings::SETTINGS;

/// A guard.toml, the place of its first problem, and a part of the message.
type Wrong = (&'static str, (usize, usize), &'static str);

#[test]
fn wrong_files_are_refused_at_their_place() {
    let mut surprises = Vec::new();
    for (text, (line, column), part) in RULES.iter().chain(SETTINGS) {
        let folder = Folder::new();
        folder.write("guard.d/.keep", "");
        folder.write("guard.toml", text);
        let Err(problems) = source(&folder).load() else {
            surprises.push(format!("{text:?}: accepted"));
            continue;
        };
        let shown = problems.to_string();
        let place = format!("guard.toml:{line}:{column}: ");
        let is_there = problems.errors().any(|problem| {
            let shown = problem.to_string();
            shown.contains(&place) && shown.contains(part)
        });
        if !is_there {
            surprises.push(format!("{text:?}: {shown}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert!(RULES.len() + SETTINGS.len() >= 50);
}

/// What a schema can know of: names of keys, types, and words of which there are few.
#[test]
fn the_schema_for_editors_refuses_wrong_keys_types_and_words() {
    const KNOWN: [&str; 4] = [
        "unknown key",
        "expected ",
        "is unknown",
        "belongs to a rule",
    ];
    let schema = Schema::read(POLICY);
    let mut taken = Vec::new();
    let mut refused = 0;
    for (text, _, part) in RULES.iter().chain(SETTINGS) {
        let is_known = KNOWN.iter().any(|known| part.contains(known));
        let is_toml = toml::from_str::<toml::Table>(text).is_ok();
        if !is_known || !is_toml {
            continue;
        }
        match schema.problem(text) {
            Some(_) => refused += 1,
            None => taken.push(format!("{text:?}: {part}")),
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert!(refused > 20, "only {refused} of them");
}

#[test]
fn settings_and_sets_are_given_once_in_all_files() {
    let folder = Folder::new();
    folder.write(
        "guard.toml",
        "default = \"deny\"\ninterfaces = [\"a\"]\n[sets]\nx = []\n",
    );
    folder.write(
        "guard.d/1.toml",
        "interfaces = [\"b\"]\ndefault = \"deny\"\n[sets]\nx = []\n",
    );

    let text = source(&folder).load().expect_err("twice").to_string();

    for (place, what) in [
        (
            "1.toml:1:14: interfaces is set already, at ",
            "guard.toml:2:14",
        ),
        (
            "1.toml:2:11: default is set already, at ",
            "guard.toml:1:11",
        ),
        (
            "1.toml:4:1: set \"x\" is defined already, at ",
            "guard.toml:4:1",
        ),
    ] {
        let line = text.lines().find(|line| line.contains(place));
        assert!(
            line.is_some_and(|line| line.ends_with(what)),
            "{place}: {text}"
        );
    }
}

#[test]
fn rules_are_numbered_over_all_files_even_when_some_are_wrong() {
    let folder = Folder::new();
    folder.write(
        "guard.toml",
        format!("{}[[rule]]\naction = 1\n", super::rule("allow", 22)),
    );
    folder.write("guard.d/1.toml", super::rule("allow", 22));

    let text = source(&folder).load().expect_err("wrong").to_string();

    assert!(
        text.contains("rule 3 \"allow 22\" can never match: rule 1 at "),
        "{text}"
    );
    assert!(text.contains("guard.toml:1 covers it"), "{text}");
}

#[test]
fn a_wrong_line_of_a_set_file_is_named() {
    let folder = Folder::new();
    folder.write("feed.txt", b"192.0.2.1\nnonsense\n\xff\xfe\n");
    folder.write("guard.toml", "sets.a = { file = \"feed.txt\" }\n");

    let text = source(&folder).load().expect_err("wrong").to_string();

    assert!(
        text.contains("feed.txt:2:1: \"nonsense\" is not an address"),
        "{text}"
    );
    assert!(
        text.contains("feed.txt:3:1: the line is not UTF-8 text"),
        "{text}"
    );
}

#[test]
fn files_that_are_no_text_are_refused_without_waiting() {
    type Prepare = fn(&Folder);
    let broken: [(&str, Prepare); 6] = [
        ("guard.toml: is a directory", |folder| {
            std::fs::create_dir(folder.path().join("guard.toml")).expect("folder");
        }),
        ("guard.toml:2:2: the file is not UTF-8 text", |folder| {
            folder.write("guard.toml", b"# a\n#\xff\n");
        }),
        (
            "guard.toml:2:1: the line is longer than 65536 bytes",
            |folder| {
                let long = "x".repeat(1 << 20);
                folder.write("guard.toml", format!("# a\ndefault = \"{long}\"\n"));
            },
        ),
        ("guard.toml: is a symbolic link to nothing", |folder| {
            symlink("gone", folder.path().join("guard.toml")).expect("link");
        }),
        ("guard.toml: is not a regular file", |folder| {
            symlink("/dev/zero", folder.path().join("guard.toml")).expect("link");
        }),
        ("guard.d: cannot be listed", |folder| {
            folder.write("guard.d", "");
        }),
    ];
    for (expected, prepare) in broken {
        let folder = Folder::new();
        prepare(&folder);
        let text = source(&folder).load().expect_err(expected).to_string();
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.len() < 1000, "{expected}");
    }
}

#[test]
fn sets_of_a_file_that_cannot_be_read_are_not_called_unknown() {
    let folder = Folder::new();
    folder.write("guard.toml", "[sets\noffice = []\n");
    folder.write(
        "guard.d/1.toml",
        "[[rule]]\naction = \"allow\"\nfrom = \"@office\"\n",
    );

    let text = source(&folder).load().expect_err("wrong").to_string();

    assert!(text.contains("guard.toml:1:"), "{text}");
    assert!(!text.contains("unknown set"), "{text}");
}
