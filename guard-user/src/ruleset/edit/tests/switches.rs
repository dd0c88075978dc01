//! Names, tags and `enabled` in edits.

use super::*;
use crate::ruleset::labels::Which;

const NAMED: &str = "\
# ours
[[rule]]
action = \"allow\"
port = 22
name = \"ssh\"
tags = [\"office\"]

[[rule]]
action = \"deny\"
from = \"203.0.113.0/24\" # a scanner
";

fn switched(text: &str, number: usize, is_enabled: bool) -> String {
    changed(text, |source, loaded| {
        set_enabled(source, loaded, number, is_enabled)
    })
}

#[test]
fn a_rule_is_disabled_where_it_stands_and_comes_back_as_it_was() {
    let list =
        "rule = [\n    { action = \"allow\", port = 22 }, # ssh\n    { action = \"deny\" },\n]\n";
    for (text, number, expected) in [
        (
            NAMED,
            1,
            NAMED.replace("[\"office\"]\n", "[\"office\"]\nenabled = false\n"),
        ),
        (
            NAMED,
            2,
            NAMED.replace("# a scanner\n", "# a scanner\nenabled = false\n"),
        ),
        (
            list,
            1,
            list.replace("port = 22 }", "port = 22, enabled = false }"),
        ),
    ] {
        let off = switched(text, number, false);
        assert_eq!(off, expected);
        let on = switched(&off, number, true);
        let kept = text.replace("port = 22 }", "port = 22, enabled = true }");
        assert_eq!(on, if text == list { kept } else { text.to_owned() });
    }
    let said = "[[rule]]\naction = \"deny\"\nenabled = false # until May\n";
    assert_eq!(switched(said, 1, true), said.replace("false", "true"));
    let crlf = NAMED.replace('\n', "\r\n");
    let off = switched(&crlf, 1, false);
    assert_eq!(off.matches('\n').count(), off.matches("\r\n").count());
    assert_eq!(switched(&off, 1, true), crlf);
}

#[test]
fn a_rule_that_would_match_nothing_is_not_enabled() {
    let text =
        "[[rule]]\naction = \"deny\"\n\n[[rule]]\naction = \"allow\"\nport = 22\nenabled = false\n";
    let folder = folder(text);
    let (source, loaded) = load(&folder);
    let refused = set_enabled(&source, &loaded, 2, true).expect_err("covered");
    assert_eq!(
        refused.to_string(),
        "rule 2 could never match: rule 1 `deny from any` covers it"
    );
    let free = switched(text, 1, false);
    assert!(switched(&free, 2, true).ends_with("port = 22\n"));
    for number in [0, 3, usize::MAX] {
        let refused = set_enabled(&source, &loaded, number, true);
        assert!(matches!(refused, Err(EditError::NoSuchNumber { .. })));
    }
    let same = set_enabled(&source, &loaded, 2, false);
    assert!(matches!(same, Ok(EditOutcome::Unchanged)));
}

#[test]
fn a_disabled_rule_stands_in_nobodys_way_and_is_not_added_twice() {
    let text = "[[rule]]\naction = \"deny\"\nport = 22\nenabled = false\n";
    let (number, after) = add_to(text, "allow 22", InsertAt::End);
    assert_eq!(number, 2);
    assert!(after.starts_with(text));
    let folder = folder(text);
    let (source, loaded) = load(&folder);
    for place in [InsertAt::End, InsertAt::Number(1)] {
        let refused = add(&source, &loaded, &rule("deny 22"), place);
        let Err(error @ EditError::Disabled { by: 1 }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(error.help().as_deref(), Some("`guardctl rule enable 1`"));
    }
}

#[test]
fn a_name_means_its_rule_and_no_other() {
    let folder = folder(NAMED);
    let (source, loaded) = load(&folder);
    let rules = &loaded.policy.rules;
    let number = |name: &str| number_of(rules, &Which::Name(name.to_owned()));
    assert_eq!(number("ssh").expect("found"), 1);
    assert_eq!(
        number("shs").expect_err("unknown").to_string(),
        "no rule is called \"shs\"; did you mean \"ssh\""
    );
    assert_eq!(number_of(rules, &Which::Number(9)).expect("as it is"), 9);
    let taken = add(
        &source,
        &loaded,
        &rule("allow 80 --name ssh"),
        InsertAt::End,
    );
    assert_eq!(
        taken.expect_err("taken").to_string(),
        "rule 1 is called \"ssh\" already: `allow 22 --name ssh --tag office`"
    );
    let other = delete_rule(&source, &loaded, &rule("allow 22 --name web"));
    assert!(matches!(other, Err(EditError::NoSuchRule { .. })));
    assert!(delete_rule(&source, &loaded, &rule("allow 22 --name ssh")).is_ok());
}

#[test]
fn names_and_tags_are_written_and_stay_when_a_rule_changes_or_moves() {
    let (_, added) = add_to("", "allow 80/tcp --name web --tag a --tag b", InsertAt::End);
    assert_eq!(
        added,
        "[[rule]]\naction = \"allow\"\nport = 80\nproto = \"tcp\"\nname = \"web\"\ntags = [\"a\", \"b\"]\n"
    );
    let (_, limited) = add_to(NAMED, "limit 22", InsertAt::End);
    assert!(
        limited.contains("name = \"ssh\"\ntags = [\"office\"]\n"),
        "{limited}"
    );
    let text = NAMED.replace(
        "action = \"allow\"\nport = 22",
        "action = \"deny\"\nfrom = \"192.0.2.1\"",
    );
    let (number, moved) = add_to(
        &text,
        "deny from 203.0.113.0/24 --name bad",
        InsertAt::Number(1),
    );
    assert_eq!(number, 1);
    assert!(
        moved.contains("from = \"203.0.113.0/24\"\nname = \"bad\"\n"),
        "{moved}"
    );
}
