//! Edits: the result, and that everything else stays.

use super::*;
use crate::ruleset::{
    names::Names,
    sets::SetTable,
    testing::Folder,
    words::{self, Scope},
};

mod ends;
mod source_ports;
mod switches;

const FILE: &str = r#"# My firewall

default = "deny"   # as it should be
never = [
    "198.51.100.10",  # home
    "@office",        # work
]

[sets]
office = ["203.0.113.0/24"]

# ssh only for us
[[rule]]
action  =  "allow"   # odd spacing
port = 22
from = "@office"

# web
[[rule]]
action = "allow"
port = "80,443"
proto = "tcp"
# the end
"#;

#[test]
fn a_rule_is_appended_after_the_last_one() {
    let edited = add_to(
        FILE,
        "allow 1.1.1.1 9000/tcp comment 'say \"hi\"'",
        InsertAt::End,
    );

    let new = "\n\n[[rule]]\naction = \"allow\"\nport = 9000\nproto = \"tcp\"\nfrom = \"1.1.1.1\"\ncomment = \"say \\\"hi\\\"\"\n# the end\n";
    assert_eq!(edited.1, FILE.replace("\n# the end\n", new));
    assert_eq!(edited.0, 3);
}

#[test]
fn what_a_limit_bans_for_is_written_and_read_back() {
    let rule = "limit 8443/tcp packets 5000/s burst 9000 block 60s on-excess ban 1h";
    let (_, text) = add_to(FILE, rule, InsertAt::End);

    let limit = "packets = \"5000/s\"\nburst = 9000\nblock = \"60s\"\non-excess = \"ban 1h\"\n";
    assert!(text.contains(limit), "{text}");
    let folder = folder(&text);
    let (_, loaded) = load(&folder);
    let written = loaded.policy.rules.last().map(describe::command);
    assert_eq!(written, Some(rule.replace("ban 1h", "'ban 1h'")));
}

#[test]
fn a_rule_is_inserted_above_the_comment_of_the_next() {
    let edited = add_to(FILE, "deny from 203.0.113.7", InsertAt::Number(2));

    let new = "[[rule]]\naction = \"deny\"\nfrom = \"203.0.113.7\"\n\n# web\n";
    assert_eq!(edited.1, FILE.replace("# web\n", new));
    assert_eq!(edited.0, 2);
}

#[test]
fn a_first_rule_is_set_apart() {
    for (before, after) in [
        ("", "[[rule]]\naction = \"allow\"\nport = 22\n"),
        ("# hi", "# hi\n\n[[rule]]\naction = \"allow\"\nport = 22\n"),
        (
            "default = \"deny\"\n",
            "default = \"deny\"\n\n[[rule]]\naction = \"allow\"\nport = 22\n",
        ),
        (
            "default = \"deny\"\r\n",
            "default = \"deny\"\r\n\r\n[[rule]]\r\naction = \"allow\"\r\nport = 22\r\n",
        ),
    ] {
        assert_eq!(add_to(before, "allow 22", InsertAt::End).1, after);
    }
}

#[test]
fn rules_in_a_list_stay_in_a_list() {
    let file = "rule = [\n    { action = \"allow\", port = 22 }, # ssh\n    { action = \"allow\", port = 80 } # web\n]\n";

    let appended = add_to(file, "allow 443/tcp", InsertAt::End).1;
    assert_eq!(
        appended,
        "rule = [\n    { action = \"allow\", port = 22 }, # ssh\n    { action = \"allow\", port = 80 }, # web\n    { action = \"allow\", port = 443, proto = \"tcp\" }\n]\n"
    );
    let inserted = add_to(file, "deny 1.1.1.1", InsertAt::Number(1)).1;
    assert!(inserted.contains("[\n    { action = \"deny\", from = \"1.1.1.1\" },\n    { action = \"allow\", port = 22 }, # ssh\n"), "{inserted}");
    let deleted = delete_from(file, 1);
    assert_eq!(
        deleted,
        "rule = [\n    { action = \"allow\", port = 80 } # web\n]\n"
    );
}

#[test]
fn a_rule_is_deleted_with_its_comment_and_nothing_else() {
    let ssh = "# ssh only for us\n[[rule]]\naction  =  \"allow\"   # odd spacing\nport = 22\nfrom = \"@office\"\n\n";
    assert_eq!(delete_from(FILE, 1), FILE.replace(ssh, ""));

    let web = "# web\n[[rule]]\naction = \"allow\"\nport = \"80,443\"\nproto = \"tcp\"\n";
    assert_eq!(delete_from(FILE, 2), FILE.replace(web, ""));

    let only = "# The file\n[[rule]]\naction = \"allow\"\n";
    assert_eq!(delete_from(only, 1), "# The file\n");
    assert_eq!(delete_from("[[rule]]\naction = \"allow\"\n", 1), "");
}

#[test]
fn every_rule_that_is_added_can_be_deleted_again() {
    for typed in [
        "allow 22/udp",
        "deny from 1.1.1.1,@office",
        "allow ping",
        "allow proto 201",
        "limit 22/udp rate 20/s burst 40",
        "allow on eth0 proto tcp,udp comment 'x\\y'",
    ] {
        let file = FILE.replace("# the end\n", "");
        let (number, text) = add_to(&file, typed, InsertAt::End);
        assert_eq!(delete_from(&text, number), file, "{typed}");
    }
}

#[test]
fn another_limit_changes_the_rule_where_it_stands() {
    const BEFORE: &str = "# first\n[[rule]]\naction = \"allow\"\nport = 80\nproto = \"tcp\"\n\n\
                          [[rule]]\naction = \"allow\"\nport = 22\nproto = \"tcp\"\ncomment = \"ssh\"\n\n\
                          [[rule]]\naction = \"deny\"\nport = 53\n";
    let rules_after = |text: &str, typed: &str| {
        let (number, text) = add_to(text, typed, InsertAt::End);
        let rules = load(&folder(&text)).1.policy.rules;
        let commands: Vec<String> = rules.iter().map(describe::command).collect();
        (number, commands.join("; "), text)
    };
    let (number, rules, text) = rules_after(BEFORE, "limit ssh");
    assert_eq!(number, 2);
    assert_eq!(rules, "allow 80/tcp; limit 22/tcp comment ssh; deny 53");
    assert!(text.starts_with("# first\n[[rule]]\naction = \"allow\"\nport = 80\n"));
    let (number, rules, text) = rules_after(&text, "limit 22/tcp rate 20/s burst 40 comment new");
    assert_eq!(number, 2);
    assert_eq!(
        rules,
        "allow 80/tcp; limit 22/tcp rate 20/s burst 40 comment new; deny 53"
    );
    let (number, rules, _) = rules_after(&text, "allow 22/tcp");
    assert_eq!(
        (number, rules.as_str()),
        (2, "allow 80/tcp; allow 22/tcp comment new; deny 53")
    );
}

#[test]
fn settings_are_changed_in_place_or_put_at_the_top() {
    let default = |text| {
        changed(text, |source, loaded| {
            set_default(source, loaded, DefaultAction::Allow)
        })
    };
    assert_eq!(default(FILE), FILE.replace("\"deny\"   #", "\"allow\"   #"));
    assert_eq!(default(""), "default = \"allow\"\n");
    assert_eq!(default("# hi\n"), "# hi\n\ndefault = \"allow\"\n");
    assert_eq!(
        default("# hi\n\n# one\n[[rule]]\naction = \"allow\"\n"),
        "# hi\n\ndefault = \"allow\"\n\n# one\n[[rule]]\naction = \"allow\"\n"
    );

    let names = ["eth0".to_owned(), "eth1".to_owned()];
    let interfaces = |text| {
        changed(text, |source, loaded| {
            set_interfaces(source, loaded, &names)
        })
    };
    assert_eq!(
        interfaces("default = \"deny\" # x\n[sets]\n"),
        "default = \"deny\" # x\ninterfaces = [\"eth0\", \"eth1\"]\n[sets]\n"
    );
    assert_eq!(
        interfaces("interfaces = [\"a\"]\n"),
        "interfaces = [\"eth0\", \"eth1\"]\n"
    );
}

#[test]
fn the_never_list_grows_and_shrinks() {
    let entry = |text: &str| address::parse_item(text).expect(text).0;
    let add = |text, what| {
        changed(text, |source, loaded| {
            never_add(source, loaded, &entry(what))
        })
    };
    let work = "    \"@office\",        # work\n";
    assert_eq!(
        add(FILE, "192.0.2.0/24"),
        FILE.replace(work, &format!("{work}    \"192.0.2.0/24\",\n"))
    );
    assert_eq!(add("", "1.1.1.1"), "never = [\"1.1.1.1\"]\n");
    assert_eq!(add("never = []\n", "1.1.1.1"), "never = [\"1.1.1.1\"]\n");
    assert_eq!(
        add("never = [ \"::1\" ]\n", "1.1.1.1"),
        "never = [ \"::1\", \"1.1.1.1\" ]\n"
    );
    assert_eq!(
        add("never = [\"::1\",]\n", "1.1.1.1"),
        "never = [\"::1\", \"1.1.1.1\"]\n"
    );
    assert_eq!(
        add("never = \"::1\"\n", "1.1.1.1"),
        "never = [\"::1\", \"1.1.1.1\"]\n"
    );
    assert_eq!(
        add("never = [\n  \"::1\" # a, b\n]\n", "1.1.1.1"),
        "never = [\n  \"::1\", # a, b\n  \"1.1.1.1\"\n]\n"
    );

    let remove = |text, what: &str| {
        changed(text, |source, loaded| {
            never_remove(source, loaded, &entry(what))
                .map(|edited| EditOutcome::Edited(Box::new(edited)))
        })
    };
    assert_eq!(remove(FILE, "@office"), FILE.replace(work, ""));
    assert_eq!(
        remove("never = [\"::1\", \"1.1.1.1/32\"]\n", "1.1.1.1"),
        "never = [\"::1\"]\n"
    );
    assert_eq!(
        remove("never = [\"1.1.1.1\", \"::1\"]\n", "1.1.1.1"),
        "never = [\"::1\"]\n"
    );
    assert_eq!(
        remove("never = [\"1.1.1.1\",]\n", "1.1.1.1"),
        "never = []\n"
    );
    assert_eq!(remove("never = \"1.1.1.1\"\n", "1.1.1.1"), "never = []\n");
}

#[test]
fn what_is_there_already_changes_nothing() {
    let folder = folder(FILE);
    let (source, loaded) = load(&folder);
    for (typed, by) in [
        ("allow 80,443/tcp comment 'other'", 2),
        ("allow http", 2),
        ("allow from @office to any port 22 proto tcp", 1),
    ] {
        let outcome = add(&source, &loaded, &rule(typed), InsertAt::End).expect(typed);
        assert!(
            matches!(outcome, EditOutcome::Covered { by: found } if found == by),
            "{typed}"
        );
    }
    let outcome = set_default(&source, &loaded, DefaultAction::Deny).expect("same");
    assert!(matches!(outcome, EditOutcome::Unchanged));
    let office = AddressItem::Set("office".to_owned());
    assert!(matches!(
        never_add(&source, &loaded, &office).expect("same"),
        EditOutcome::Unchanged
    ));
}

#[test]
fn what_cannot_be_done_says_why() {
    let folder = folder(FILE);
    let (source, loaded) = load(&folder);
    let message = |error: EditError| format!("{error}\n{}", error.help().unwrap_or_default());

    let denied =
        add(&source, &loaded, &rule("deny http"), InsertAt::End).expect_err("contradiction");
    assert!(
        message(denied)
            .contains("rule 2 `allow 80,443/tcp` covers it\nput it first with `guardctl insert 2")
    );
    let far = add(&source, &loaded, &rule("deny 1"), InsertAt::Number(4)).expect_err("too far");
    assert!(message(far).contains("4 is not a place for a rule; 1 to 3 are"));
    let zero = delete(&source, &loaded, 0).expect_err("zero");
    assert!(message(zero).contains("there is no rule 0"));
    let gone = delete_rule(&source, &loaded, &rule("allow 23")).expect_err("gone");
    assert!(message(gone).contains("there is no rule `allow 23`"));
    let first = add(&source, &loaded, &rule("deny 80"), InsertAt::Number(1));
    assert!(first.is_ok());
    let hides = add(
        &source,
        &loaded,
        &rule("deny from any"),
        InsertAt::Number(1),
    )
    .expect_err("hides");
    assert!(message(hides).contains("and 1 more could never match after it"));
    let entry = AddressItem::Set("gone".to_owned());
    let never = never_remove(&source, &loaded, &entry).expect_err("gone");
    assert!(message(never).contains("@gone is not on the never list"));
}

#[test]
fn numbers_count_over_all_files() {
    let folder = folder("[[rule]]\naction = \"allow\"\nport = 1\n");
    let drop_in = folder.write("guard.d/1.toml", "[[rule]]\naction = \"allow\"\nport = 2\n");
    let (source, loaded) = load(&folder);
    let place = |place| {
        let EditOutcome::Edited(edited) =
            add(&source, &loaded, &rule("allow 9"), place).expect("added")
        else {
            panic!("not added");
        };
        let path = edited.changes[0].path.clone();
        (edited.number, path == drop_in)
    };

    assert_eq!(place(InsertAt::End), (Some(2), false));
    assert_eq!(place(InsertAt::Number(1)), (Some(1), false));
    assert_eq!(place(InsertAt::Number(2)), (Some(2), true));
    assert_eq!(place(InsertAt::Number(3)), (Some(3), true));
    let edited = delete(&source, &loaded, 2).expect("deleted");
    assert_eq!(edited.changes[0].path, drop_in);
    assert_eq!(edited.changes[0].text, "");
}

#[test]
fn the_digest_of_an_edit_is_that_of_the_files_once_written() {
    let folder = Folder::new();
    folder.write("guard.d/1.toml", "[[rule]]\naction = \"allow\"\nport = 2\n");
    for place in [InsertAt::Number(1), InsertAt::End] {
        let (source, loaded) = load(&folder);
        let rule = rule(if place == InsertAt::End {
            "allow 3"
        } else {
            "allow 4"
        });
        let EditOutcome::Edited(edited) = add(&source, &loaded, &rule, place).expect("added")
        else {
            panic!("not added");
        };
        for change in &edited.changes {
            crate::text::staged::write_atomically(&change.path, &change.text).expect("written");
        }
        assert_eq!(load(&folder).1.digest, edited.loaded.digest);
    }
}

fn add_to(text: &str, typed: &str, place: InsertAt) -> (usize, String) {
    let folder = folder(text);
    let (source, loaded) = load(&folder);
    match add(&source, &loaded, &rule(typed), place) {
        Ok(EditOutcome::Edited(edited)) => (
            edited.number.expect("a number"),
            edited.changes[0].text.clone(),
        ),
        other => panic!("{typed}: {other:?}"),
    }
}

fn delete_from(text: &str, number: usize) -> String {
    let folder = folder(text);
    let (source, loaded) = load(&folder);
    let edited = delete(&source, &loaded, number).expect("deleted");
    edited.changes[0].text.clone()
}

fn changed(
    text: &str,
    edit: impl Fn(&Source<'_>, &Loaded) -> Result<EditOutcome, EditError>,
) -> String {
    let folder = folder(text);
    let (source, loaded) = load(&folder);
    match edit(&source, &loaded) {
        Ok(EditOutcome::Edited(edited)) => edited.changes[0].text.clone(),
        other => panic!("{text:?}: {other:?}"),
    }
}

fn folder(text: &str) -> Folder {
    let folder = Folder::new();
    folder.write("guard.toml", text);
    folder
}

fn load(folder: &Folder) -> (Source<'static>, Loaded) {
    let source = Source::new(folder.path());
    let loaded = source.load().expect("valid");
    (source, loaded)
}

fn rule(typed: &str) -> Rule {
    let words: Vec<&str> = typed.split(' ').collect();
    let words: Vec<String> = match words.iter().position(|word| *word == "comment") {
        Some(at) => {
            let text = words[at + 1..].join(" ");
            let head = words[..=at].iter().map(ToString::to_string);
            head.chain([text.trim_matches('\'').to_owned()]).collect()
        }
        None => words.iter().map(ToString::to_string).collect(),
    };
    let office = ["203.0.113.0/24".parse().expect("a prefix")].into();
    let sets = SetTable::from([("office".to_owned(), office)]);
    let scope = Scope {
        names: Names::system(),
        sets: &sets,
    };
    words::parse(&words, &scope).expect(typed).rule
}
