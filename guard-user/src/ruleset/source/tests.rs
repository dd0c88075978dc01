//! Whole policies on disk: what they mean, and that nothing makes the reader panic.

use std::fmt::Write as _;

use super::*;
use crate::ruleset::{
    describe,
    model::{DefaultAction, RuleAction},
    strangers::Strangers,
    testing::Folder,
};

mod databases;
mod wrong_files;

const VALID: &str = r#"# The firewall of example.org
interfaces = ["eth0"]
default = "deny"
never = ["198.51.100.10", "@office"]   # us

[sets]
office = ["203.0.113.0/24", "2001:db8:1::/48"]
feed = { file = "feeds/drop.txt" }

# everybody
[[rule]]
action = "allow"
port = [80, "https"]
proto = "tcp"
comment = "wéb"

[[rule]]
action = "deny"
from = "@feed"

[[rule]]
action = "allow"
port = "6000:6007,22"
proto = "udp"
from = ["1.1.1.1", "@office"]
to = "192.0.2.1/32"
on = "eth0"

[[rule]]
action = "allow"
proto = 47
"#;

#[test]
fn a_policy_means_what_it_says() {
    let folder = valid_folder();

    let loaded = source(&folder).load().expect("valid");

    let commands: Vec<String> = loaded.policy.rules.iter().map(describe::command).collect();
    assert_eq!(
        commands,
        [
            "allow 80,443/tcp comment 'wéb'",
            "deny from @feed",
            "allow on eth0 from 1.1.1.1,@office to 192.0.2.1 port 22,6000:6007 proto udp",
            "allow proto gre",
        ]
    );
    assert_eq!(loaded.policy.interfaces, ["eth0"]);
    assert_eq!(loaded.policy.never.len(), 3);
    assert_eq!(loaded.sets["feed"].len(), 1);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let lines: Vec<usize> = loaded
        .policy
        .rules
        .iter()
        .map(|rule| rule.origin.as_ref().expect("from a file").line)
        .collect();
    assert_eq!(lines, [11, 17, 21, 29]);
    assert_eq!(loaded.files.len(), 2);
}

#[test]
fn bans_and_feeds_mean_what_they_say() {
    use crate::bans::{settings::Capacity, term::BanTerm};
    let folder = Folder::new();
    let text = "[bans]\nipv4 = 1_000\ndefault = \"10m\"\n\n[[feed]]\nname = \"drop\"\nfile = \"feeds/drop.txt\"\n";
    folder.write("guard.toml", text);
    let policy = load(folder.path()).expect("loads").policy;
    let expected = Capacity {
        ipv4: 1000,
        ..Capacity::default()
    };
    assert_eq!(policy.bans.capacity, expected);
    assert_eq!(Ok(policy.bans.default), BanTerm::parse("10m"));
    assert_eq!(policy.feeds.len(), 1);
    assert_eq!(policy.feeds[0].name, "drop");
    assert_eq!(policy.feeds[0].file, folder.path().join("feeds/drop.txt"));
}

#[test]
fn sets_may_be_called_like_tables_and_not_like_keys() {
    for name in ["bans", "feed", "limits", "metrics", "log"] {
        let folder = Folder::new();
        let text = format!(
            "[sets]\n{name} = [\"10.0.0.0/8\"]\n[limits]\nceiling = \"off\"\n\
             [[rule]]\naction = \"allow\"\nport = 22\nfrom = \"@{name}\"\n"
        );
        folder.write("guard.toml", &text);
        let policy = source(&folder).load().expect(name).policy;
        assert_eq!(policy.ceiling.to_string(), "off");
        assert_eq!(policy.rules.len(), 1, "{name}");
    }
    for name in ["interfaces", "default", "never", "sets", "rule"] {
        let folder = Folder::new();
        folder.write("guard.toml", format!("[sets]\n{name} = []\n"));
        let problem = source(&folder).load().expect_err(name).to_string();
        let place = "guard.toml:2:1: ";
        assert!(
            problem.contains(place) && problem.contains(name),
            "{problem}"
        );
    }
}

#[test]
fn a_missing_or_empty_policy_denies_by_default() {
    let folder = Folder::new();
    let missing = source(&folder).load().expect("no file");
    folder.write("guard.toml", "");
    let empty = source(&folder).load().expect("an empty file");
    folder.write("guard.toml", "# nothing yet\n");
    let comment = source(&folder).load().expect("a comment");

    for loaded in [missing, empty, comment] {
        let expected = Policy {
            out_of_state: Strangers::OUT_OF_STATE,
            udp: Strangers::UDP,
            ..Policy::default()
        };
        assert_eq!(loaded.policy, expected);
        assert_eq!(loaded.policy.default, DefaultAction::Deny);
        assert_eq!(loaded.documents.len(), 1);
    }
}

#[test]
fn drop_ins_follow_in_order_and_hidden_files_do_not() {
    let folder = Folder::new();
    folder.write("guard.d/20-b.toml", rule("allow", 2));
    folder.write("guard.d/10-a.toml", rule("deny", 1));
    folder.write("guard.d/.10-a.toml", "nonsense");
    folder.write("guard.d/README", "nonsense");
    folder.write("guard.d/old.toml.bak", "nonsense");
    folder.write("guard.toml", rule("allow", 3));

    let loaded = source(&folder).load().expect("valid");

    let commands: Vec<String> = loaded.policy.rules.iter().map(describe::command).collect();
    assert_eq!(commands, ["allow 3", "deny 1", "allow 2"]);
    assert_eq!(loaded.policy.rules[1].action, RuleAction::Deny);
}

#[test]
fn the_digest_follows_every_byte_and_every_name() {
    let folder = valid_folder();
    let digest = || source(&folder).load().expect("valid").digest;

    let first = digest();
    assert_eq!(first, digest());
    folder.write("feeds/drop.txt", "192.0.2.0/24\n# comment\n");
    let second = digest();
    assert_ne!(first, second);
    folder.write("guard.d/10.toml", "");
    assert_ne!(second, digest());
}

#[test]
fn the_digest_does_not_depend_on_where_the_folder_lies() {
    let digest = || source(&valid_folder()).load().expect("valid").digest;
    assert_eq!(digest(), digest());
}

#[test]
fn every_prefix_of_a_valid_file_is_a_policy_or_errors() {
    let folder = valid_folder();
    let mut valid = 0;
    for end in 0..=VALID.len() {
        folder.write("guard.toml", &VALID.as_bytes()[..end]);
        match source(&folder).load() {
            Ok(_) => valid += 1,
            Err(problems) => {
                assert!(problems.has_errors(), "{end}");
                assert!(problems.to_string().contains("guard.toml:"), "{end}");
            }
        }
    }
    assert!(valid > 10, "{valid}");
}

#[test]
fn flipped_bytes_never_panic() {
    let folder = valid_folder();
    for at in 0..VALID.len() {
        for byte in [0_u8, b'"', b'[', b'=', b'\n', 0xff] {
            let mut bytes = VALID.as_bytes().to_vec();
            bytes[at] = byte;
            folder.write("guard.toml", bytes);
            let _ = source(&folder).load();
        }
    }
}

#[test]
fn ten_thousand_rules_load() {
    let folder = Folder::new();
    let mut text = String::new();
    for number in 0..10_000 {
        let (high, low) = (number / 250, number % 250);
        let _ = write!(
            text,
            "[[rule]]\naction = \"allow\"\nport = 22\nproto = \"tcp\"\nfrom = \"10.{high}.{low}.1\"\n\n"
        );
    }
    folder.write("guard.toml", text);

    let loaded = source(&folder).load().expect("valid");

    assert_eq!(loaded.policy.rules.len(), 10_000);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_policy_of_every_problem_reports_them_all_in_order() {
    let folder = Folder::new();
    folder.write(
        "guard.toml",
        "default = \"maybe\"\nnever = [1]\n[[rule]]\nport = 0\n",
    );
    folder.write(
        "guard.d/1.toml",
        "x = 1\n[[rule]]\naction = \"allow\"\nfrom = \"@gone\"\n",
    );

    let problems = source(&folder).load().expect_err("wrong");

    let places: Vec<(usize, usize)> = problems
        .iter()
        .map(|problem| problem.position.expect("a place"))
        .map(|position| (position.line, position.column))
        .collect();
    assert_eq!(places, [(1, 11), (2, 10), (3, 1), (4, 8), (1, 1), (4, 8)]);
}

#[test]
fn warnings_do_not_spoil_a_policy() {
    let folder = Folder::new();
    folder.write(
        "guard.toml",
        "[sets]\nnone = []\n[[rule]]\naction = \"allow\"\nfrom = [\"10.1.1.1/8\", \"::ffff:1.2.3.4\"]\n\
         [[rule]]\naction = \"deny\"\nfrom = \"@none\"\n",
    );

    let loaded = source(&folder).load().expect("valid");

    let texts: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains(
        "guard.toml:5:9: warning: prefix 10.1.1.1/8 has host bits set; taken as 10.0.0.0/8"
    ));
    assert!(texts[1].contains("taken as 1.2.3.4"));
    assert!(texts[2].contains("guard.toml:6:1: warning: set \"@none\" is empty"));
}

#[test]
fn a_feed_that_covers_a_rule_is_only_a_warning() {
    let folder = Folder::new();
    folder.write("feed.txt", "192.0.2.0/24\n");
    folder.write(
        "guard.toml",
        "sets.feed = { file = \"feed.txt\" }\n[[rule]]\naction = \"deny\"\nfrom = \"@feed\"\n\
         [[rule]]\naction = \"allow\"\nfrom = \"192.0.2.1\"\n",
    );

    let loaded = source(&folder).load().expect("valid");

    let text = loaded.warnings.to_string();
    assert!(text.contains("rule 2 \"allow from 192.0.2.1\" cannot match while the sets are as they are: rule 1 on line 2 covers it"), "{text}");
}

#[test]
fn one_file_can_be_checked_alone() {
    let folder = Folder::new();
    folder.write("guard.toml", "nonsense");
    let file = folder.write("candidate.toml", rule("allow", 22));

    let loaded = source(&folder).check(&file).expect("valid");
    assert_eq!(loaded.policy.rules.len(), 1);

    let missing = folder.path().join("missing.toml");
    let problems = source(&folder).check(&missing).expect_err("missing");
    assert!(
        problems
            .to_string()
            .ends_with("missing.toml: does not exist")
    );
}

#[test]
fn an_overlay_stands_in_for_files_that_are_there_or_not() {
    let folder = valid_folder();
    let mut overlay = Overlay::default();
    overlay.insert(folder.path().join("guard.toml"), rule("allow", 1));
    overlay.insert(folder.path().join("guard.d/9.toml"), rule("allow", 2));

    let loaded = source(&folder).with_overlay(overlay).load().expect("valid");

    assert_eq!(loaded.policy.rules.len(), 2);
}

fn valid_folder() -> Folder {
    let folder = Folder::new();
    folder.write("feeds/drop.txt", "192.0.2.0/24 ; listed\n");
    folder.write("guard.toml", VALID);
    folder
}

fn rule(action: &str, port: u16) -> String {
    format!("[[rule]]\naction = \"{action}\"\nport = {port}\n")
}

fn source(folder: &Folder) -> Source<'static> {
    static NAMES: std::sync::OnceLock<Names> = std::sync::OnceLock::new();
    Source::new(folder.path()).with_names(NAMES.get_or_init(Names::embedded))
}
