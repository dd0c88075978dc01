//! Files of jails, right and wrong.

use std::{fs, time::Duration};

use super::*;
use crate::{
    bans::BanTerm,
    jails::{JailInput, JournalUse},
};

/// Reads these files, with a jail sshd that nobody wrote.
fn jails(files: &[(&str, &str)]) -> (Jails, tempfile::TempDir) {
    let etc = tempfile::tempdir().unwrap();
    let folder = etc.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    (read(etc.path(), &["sshd"]), etc)
}

fn right(text: &str) -> Settings {
    let (found, _etc) = jails(&[("a.toml", text)]);
    assert!(found.problems.is_empty(), "{text}\n{}", found.problems);
    found.jails["x"].clone()
}

#[test]
fn without_files_there_is_the_jail_that_nobody_wrote() {
    let found = read(std::path::Path::new("/nonexistent"), &["sshd"]);

    assert!(found.problems.is_empty());
    assert_eq!(
        found.jails.values().collect::<Vec<_>>(),
        [&Settings::new("sshd")]
    );
    let sshd = &found.jails["sshd"];
    assert!(sshd.is_enabled && sshd.growth.is_on);
    assert_eq!((sshd.max_retry, sshd.find_time.as_secs()), (5, 600));
}

#[test]
fn every_word_means_what_it_means_to_fail2ban() {
    let jail = right(
        r#"
[jail.x]
enabled = false
filter = "sshd[publickey=any]"
mode = "aggressive"
logpath = ["/var/log/auth.log", "/var/log/auth/*.log"]
journal = "_SYSTEMD_UNIT=ssh.service + _COMM=sshd"
maxretry = 3
findtime = "1h 30m"
bantime = "-1"
"bantime.increment" = false
"bantime.factor" = 1.5
"bantime.multipliers" = "1 2 4"
"bantime.maxtime" = "1w"
"bantime.rndtime" = 300
"bantime.overalljails" = true
ignoreip = ["127.0.0.1/8 ::1", "192.0.2.7", "Home.Example.org. home.example.org"]
ignoreself = false
usedns = "no"
aggregation = { ipv4 = 24, ipv6 = 56 }
"#,
    );

    assert!(!jail.is_enabled && !jail.ignores_self);
    assert_eq!(jail.filter, "sshd[publickey=any]");
    assert_eq!(jail.mode.as_deref(), Some("aggressive"));
    assert_eq!(jail.files, ["/var/log/auth.log", "/var/log/auth/*.log"]);
    assert_eq!(
        jail.journal,
        JournalUse::Matches(vec!["_SYSTEMD_UNIT=ssh.service + _COMM=sshd".to_owned()])
    );
    assert_eq!((jail.max_retry, jail.find_time.as_secs()), (3, 5400));
    assert_eq!(jail.ban_time, BanTerm::Permanent);
    let growth = &jail.growth;
    assert!(!growth.is_on && growth.counts_all_jails);
    assert_eq!(
        (growth.factor, &growth.multipliers[..]),
        (1.5, &[1, 2, 4][..])
    );
    assert_eq!(growth.most, Some(Duration::from_secs(604_800)));
    assert_eq!(growth.random, Duration::from_secs(300));
    let ignored: Vec<String> = jail.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(ignored, ["127.0.0.0/8", "::1/128", "192.0.2.7"]);
    assert_eq!(jail.ignored_names, ["home.example.org"]);
    assert_eq!((jail.aggregation.ipv4, jail.aggregation.ipv6), (24, 56));
}

#[test]
fn some_things_can_be_written_in_more_than_one_way() {
    let table = right("[jail.x]\nbantime = { time = \"1h\", increment = false, maxtime = \"-1\" }");
    assert_eq!(table.ban_time, BanTerm::For(Duration::from_secs(3600)));
    assert!(!table.growth.is_on && table.growth.most.is_none());

    let dotted = right("[jail.x]\nbantime.increment = true\nbantime.multipliers = [1, 5]");
    assert_eq!(dotted.growth.multipliers, [1, 5]);
    assert_eq!(dotted.ban_time, BanTerm::For(Duration::from_secs(600)));

    for (text, journal) in [
        ("journal = true", JournalUse::OfFilter),
        ("journal = false", JournalUse::No),
        ("", JournalUse::OfFilter),
        ("logpath = \"/a\"", JournalUse::No),
        ("journal = true\nlogpath = \"/a\"", JournalUse::OfFilter),
        ("logpath = \"/a\"\njournal = true", JournalUse::OfFilter),
        (
            "logpath = \"/a\"\njournal = [\"_COMM=a\", \"_COMM=b\"]",
            JournalUse::Matches(vec!["_COMM=a".to_owned(), "_COMM=b".to_owned()]),
        ),
    ] {
        assert_eq!(
            right(&format!("[jail.x]\n{text}")).journal,
            journal,
            "{text}"
        );
    }
}

#[test]
fn what_stands_in_default_is_for_all_jails_that_say_nothing_else() {
    let (found, _etc) = jails(&[
        (
            "a.toml",
            "[jail.x]\nmaxretry = 9\n[jail.recidive]\nenabled = true",
        ),
        (
            "b.toml",
            "[default]\nmaxretry = 3\nignoreip = \"192.0.2.0/24\"\nbantime = \"1h\"",
        ),
    ]);

    assert!(found.problems.is_empty(), "{}", found.problems);
    let names: Vec<_> = found.jails.keys().map(String::as_str).collect();
    assert_eq!(names, ["recidive", "sshd", "x"]);
    let of = |name: &str| {
        let jail = &found.jails[name];
        (jail.filter.as_str(), jail.max_retry, jail.ignored.len())
    };
    assert_eq!(of("sshd"), ("sshd", 3, 1));
    assert_eq!(of("x"), ("x", 9, 1));
    let recidive = &found.jails["recidive"];
    assert_eq!(recidive.watched(), JailInput::Bans);
    assert_eq!(recidive.find_time.as_secs(), 86_400);
    assert_eq!(recidive.ban_time, BanTerm::For(Duration::from_secs(3600)));
    assert!(
        found.jails["x"]
            .file
            .as_ref()
            .unwrap()
            .ends_with("jails.d/a.toml")
    );
    assert_eq!(found.jails["sshd"].file, None);
}

#[test]
fn a_mistake_costs_its_jail_and_no_other() {
    let (found, _etc) = jails(&[
        (
            "a.toml",
            "[jail.good]\n[jail.bad]\nmaxretri = 3\nfindtime = \"soon\"\n",
        ),
        ("b.toml", "this is no TOML\n[jail.lost]\n"),
        ("c.toml", "[jail.also-good]\n"),
        (".draft.toml", "nonsense"),
        ("notes.txt", "nonsense"),
    ]);

    let names: Vec<_> = found.jails.keys().map(String::as_str).collect();
    assert_eq!(names, ["also-good", "good", "sshd"]);
    assert_eq!(found.broken.iter().collect::<Vec<_>>(), ["bad"]);
    let text = found.problems.to_string();
    assert_eq!(found.problems.len(), 3, "{text}");
    assert!(
        text.contains("a.toml:3:1: unknown key \"maxretri\"\n  help: did you mean maxretry?"),
        "{text}"
    );
    assert!(
        text.contains("a.toml:4:12: \"soon\" is not a length of time"),
        "{text}"
    );
    assert!(text.contains("b.toml:1:"), "{text}");
}

#[test]
fn a_default_that_is_wrong_holds_back_all_jails_that_would_inherit_it() {
    let (found, _etc) = jails(&[("a.toml", "[default]\nignoreip = \"my-home\"\n[jail.x]\n")]);

    assert!(found.jails.is_empty());
    assert_eq!(found.broken.iter().collect::<Vec<_>>(), ["sshd", "x"]);
}

#[test]
fn a_jail_that_is_there_twice_is_none() {
    let (found, _etc) = jails(&[("a.toml", "[jail.x]\n"), ("b.toml", "[jail.x]\n")]);

    assert!(!found.jails.contains_key("x") && found.broken.contains("x"));
    assert!(
        found.problems.to_string().contains("a.toml:1"),
        "{}",
        found.problems
    );
}

#[test]
fn wrong_values_are_told_with_a_way_out() {
    for (line, what, help) in [
        (
            "enabled = \"yes\"",
            "expected true or false, found string",
            "",
        ),
        (
            "maxretry = 0",
            "0 is not a number of failures",
            "from 1 to 1000",
        ),
        (
            "maxretry = \"5\"",
            "expected a number of failures, found string",
            "",
        ),
        ("findtime = \"-1\"", "\"-1\" is not a length", "10m"),
        (
            "bantime = \"10 fortnights\"",
            "unknown unit `fortnights`",
            "-1 is for ever",
        ),
        ("bantime = true", "expected a length of time", ""),
        (
            "bantime = \"10m\"\nbantime.increment = true",
            "",
            "\"bantime.increment\" = true",
        ),
        (
            "bantime = { tim = \"1h\" }",
            "unknown key \"bantime.tim\"",
            "",
        ),
        (
            "\"bantime.formula\" = \"ban.Time\"",
            "a Python expression",
            "multipliers",
        ),
        (
            "\"bantime.factor\" = 0",
            "not a number from above 0",
            "write 2",
        ),
        (
            "\"bantime.multipliers\" = []",
            "not a list of 1 to",
            "[1, 2",
        ),
        (
            "\"bantime.maxtim\" = \"1h\"",
            "unknown key",
            "did you mean \"bantime.maxtime\"",
        ),
        ("filter = \"sshd[mode\"", "not closed", "NAME[option=value"),
        ("filter = \"\"", "has no name", "filter list"),
        (
            "logpath = \"auth.log\"",
            "is not absolute",
            "/var/log/auth.log",
        ),
        ("logpath = \"/**/x\"", "whole disk", "*.log"),
        ("logpath = \"/a[\"", "is not a pattern", ""),
        (
            "journal = \"ssh\"",
            "not a journalctl match",
            "_SYSTEMD_UNIT=ssh.service",
        ),
        ("journal = 7", "expected true, false or matches", ""),
        (
            "ignoreip = \"localhost\"",
            "neither an address",
            "home.example.org",
        ),
        (
            "proxies = \"proxy.example.org\"",
            "neither an address",
            "cannot be left to a name",
        ),
        (
            "ignoreip = \"10.0.0.0/33\"",
            "neither an address, nor a network",
            "",
        ),
        (
            "usedns = \"warn\"",
            "usedns can only be \"no\"",
            "leave it out",
        ),
        ("aggregation = 24", "not a table", "ipv4 = 32"),
        (
            "aggregation = { ipv4 = 8 }",
            "8 is not a length",
            "from 16 to 32",
        ),
        (
            "aggregation = { v4 = 24 }",
            "unknown key \"v4\"",
            "ipv4 = 32",
        ),
        ("banaction = \"nftables\"", "is refused", "leave it out"),
        ("port = \"ssh\"", "shuts out all ports", "guard.toml"),
        ("backend = \"systemd\"", "is refused", "journal = true"),
        ("failregex = \"x\"", "belong to the filter", "filter.d"),
        ("ignorecommand = \"/bin/x\"", "runs no programs", "ignoreip"),
    ] {
        let (found, _etc) = jails(&[("a.toml", &format!("[jail.x]\n{line}\n"))]);
        let text = found.problems.to_string();
        assert!(
            found.problems.has_errors() && !found.jails.contains_key("x"),
            "{line}"
        );
        assert!(text.contains(what) && text.contains(help), "{line}\n{text}");
        assert!(
            text.contains("a.toml:2:") || text.contains("a.toml:3:"),
            "{line}\n{text}"
        );
        assert!(found.jails.contains_key("sshd"), "{line}");
    }
    for (text, what) in [
        ("[jails.x]\n", "did you mean [jail.NAME]"),
        ("[DEFAULT]\n", "did you mean [default]"),
        ("[jail.\"a/b\"]\n", "not a jail name"),
        ("jail = 7\n", "jail is not a table"),
        ("jail.x = 7\n", "expected a table, found integer"),
        ("[default]\nfilter = \"a\"\n", "belongs to a single jail"),
    ] {
        let (found, _etc) = jails(&[("a.toml", text)]);
        let printed = found.problems.to_string();
        assert!(printed.contains(what), "{text}\n{printed}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_read() {
    let etc = tempfile::tempdir().unwrap();
    let folder = etc.path().join(FOLDER);
    fs::create_dir_all(folder.join("a.toml")).unwrap();
    fs::write(folder.join("b.toml"), b"[jail.x]\nfilter = \"\xff\"\n").unwrap();
    fs::write(folder.join("c.toml"), "[jail.good]\n").unwrap();

    let found = read(etc.path(), &[]);

    let text = found.problems.to_string();
    assert_eq!(found.jails.keys().collect::<Vec<_>>(), ["good"]);
    assert!(
        text.contains("a.toml: is a directory") && text.contains("not UTF-8"),
        "{text}"
    );
}

#[test]
fn jails_name_as_many_hosts_as_can_be_asked_for_at_once() {
    let names = |range: std::ops::Range<u32>| -> String {
        range.map(|n| format!("\"h{n}.example.org\", ")).collect()
    };
    let jail = |name: &str, range| format!("[jail.{name}]\nignoreip = [{}]\n", names(range));
    let at_the_limit = jail("x", 0..100) + &jail("y", 0..128);
    let (found, _etc) = jails(&[("a.toml", &at_the_limit)]);
    assert!(found.problems.is_empty(), "{}", found.problems);

    let (found, _etc) = jails(&[("a.toml", &(at_the_limit + &jail("z", 128..129)))]);
    assert_eq!(found.broken, BTreeSet::from(["z".to_owned()]));
    let said = found.problems.to_string();
    let expected = "a.toml:5:7: ignoreip of all jails up to here names 129 hosts; 128 are possible";
    assert!(said.contains(expected), "{said}");

    let base = format!("[default]\nignoreip = [{}]\n[jail.x]\n", names(0..129));
    let (found, _etc) = jails(&[("a.toml", &base)]);
    assert!(found.jails.is_empty(), "{:?}", found.jails);
    assert_eq!(found.problems.error_count(), 1);
}
