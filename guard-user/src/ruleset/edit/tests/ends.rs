//! Rules that end, in edits: a new end takes the place of the old one, and nothing that stays becomes shorter.

use super::*;
use crate::ruleset::until::Until;

const FILE: &str = "\
[[rule]]
action = \"allow\"
port = 22
until = 2026-12-01T13:00:00+01:00   # for the move
comment = \"support\"

[[rule]]
action = \"allow\"
port = 80
";
const EARLIER: &str = "2026-11-30T00:00:00Z";
const LATER: &str = "2026-12-02T00:00:00Z";

#[test]
fn an_end_in_a_file_is_read_with_and_without_quotes() {
    let folder = folder(FILE);
    let (_, loaded) = load(&folder);
    let rules = &loaded.policy.rules;
    let until = rules[0].until.as_ref().map(Until::to_string);
    assert_eq!(until.as_deref(), Some("2026-12-01T12:00:00Z"));
    assert_eq!(rules[1].until, None);
    let quoted =
        super::folder(&FILE.replace("2026-12-01T13:00:00+01:00", "\"2026-12-01T13:00:00+01:00\""));
    assert_eq!(load(&quoted).1.policy.rules[0].until, rules[0].until);
}

#[test]
fn the_same_rule_with_another_end_changes_its_end() {
    for end in [EARLIER, LATER] {
        let typed = format!("allow 22 --until {end}");
        let (number, text) = add_to(FILE, &typed, InsertAt::End);
        assert_eq!(number, 1);
        assert!(text.contains(&format!("until = \"{end}\"\n")), "{text}");
        assert!(text.contains("comment = \"support\"\n"), "{text}");
        assert_eq!(text.matches("[[rule]]").count(), 2, "{text}");
    }
}

#[test]
fn the_same_rule_without_an_end_stays_for_good() {
    let (number, text) = add_to(FILE, "allow 22", InsertAt::End);
    assert_eq!(number, 1);
    assert!(!text.contains("until"), "{text}");
}

#[test]
fn a_rule_that_stays_is_not_made_to_end() {
    let folder = folder(FILE);
    let (source, loaded) = load(&folder);
    let add = |typed: &str, place| add(&source, &loaded, &rule(typed), place);
    let until = format!("--until {LATER}");
    let covered = add(&format!("allow 80 {until}"), InsertAt::End).expect("covered");
    assert!(matches!(covered, EditOutcome::Covered { by: 2 }));
    for typed in ["limit 80/tcp", "deny 80"] {
        let refused = add(&format!("{typed} {until}"), InsertAt::End).expect_err("refused");
        assert!(
            matches!(refused, EditError::Contradicted { by: 2, .. }),
            "{typed}"
        );
    }
    // In front of it both have their time.
    let (number, text) = add_to(FILE, &format!("deny 80 {until}"), InsertAt::Number(1));
    assert_eq!((number, text.matches("[[rule]]").count()), (1, 3));
}

#[test]
fn a_rule_is_deleted_by_its_words_with_or_without_its_end() {
    let folder = folder(FILE);
    let (source, loaded) = load(&folder);
    for typed in ["allow 22", "allow 22 --until 2026-12-01T12:00:00Z"] {
        let edited = delete_rule(&source, &loaded, &rule(typed)).expect(typed);
        assert_eq!(edited.number, Some(1));
    }
    let other = rule(&format!("allow 22 --until {LATER}"));
    let refused = delete_rule(&source, &loaded, &other).expect_err("another end");
    assert!(matches!(refused, EditError::NoSuchRule { .. }));
}

#[test]
fn a_rule_that_ends_covers_only_what_ends_no_later() {
    let text = |first: &str, second: &str| {
        format!(
            "[[rule]]\naction = \"allow\"\nport = 22\n{first}\n[[rule]]\naction = \"deny\"\nport = 22\n{second}"
        )
    };
    let end = |end: &str| format!("until = \"{end}\"\n");
    for (first, second, is_valid) in [
        (end(EARLIER), String::new(), true),
        (end(EARLIER), end(LATER), true),
        (end(LATER), end(EARLIER), false),
        (end(LATER), end(LATER), false),
        (String::new(), end(LATER), false),
    ] {
        let folder = folder(&text(&first, &second));
        let loaded = Source::new(folder.path()).load();
        assert_eq!(loaded.is_ok(), is_valid, "{first:?} before {second:?}");
    }
}
