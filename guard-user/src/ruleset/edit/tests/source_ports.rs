//! Ports of the sender, in edits and in files.

use super::*;
use crate::ruleset::model::PortRange;

#[test]
fn ports_of_the_sender_are_written_and_read_again() {
    for (typed, line) in [
        (
            "allow from any port 547 to any port 546 proto udp",
            "sport = \"547\"\n",
        ),
        (
            "deny from 203.0.113.7 port 53,6000:6007 to any proto tcp",
            "sport = \"53,6000:6007\"\n",
        ),
    ] {
        let (number, text) = add_to("", typed, InsertAt::End);
        assert_eq!(number, 1);
        assert!(text.contains(line), "{text}");
        let folder = folder(&text);
        let (source, loaded) = load(&folder);
        assert_eq!(describe::command(&loaded.policy.rules[0]), typed);
        let deleted = delete_rule(&source, &loaded, &rule(typed)).expect(typed);
        assert_eq!(deleted.loaded.policy.rules.len(), 0);
    }
}

#[test]
fn a_file_has_them_as_numbers_names_and_lists() {
    for (value, expected) in [
        ("547", vec![(547, 547)]),
        ("\"domain\"", vec![(53, 53)]),
        ("[53, \"1000:2000\"]", vec![(53, 53), (1000, 2000)]),
    ] {
        let text = format!("[[rule]]\naction = \"allow\"\nport = 7\nsport = {value}\n");
        let folder = folder(&text);
        let (_, loaded) = load(&folder);
        let expected: Vec<PortRange> = expected
            .into_iter()
            .map(|(first, last)| PortRange { first, last })
            .collect();
        assert_eq!(loaded.policy.rules[0].source_ports, expected, "{value}");
    }
}

#[test]
fn a_rule_for_some_ports_of_the_sender_covers_no_others() {
    let text = |first: &str, second: &str| {
        format!(
            "[[rule]]\naction = \"allow\"\nport = 7\n{first}\n[[rule]]\naction = \"deny\"\nport = 7\n{second}"
        )
    };
    for (first, second, is_valid) in [
        ("sport = 53\n", "", true),
        ("sport = 53\n", "sport = 54\n", true),
        ("sport = 53\n", "sport = 53\n", false),
        ("sport = \"50:60\"\n", "sport = [53, 55]\n", false),
        ("sport = \"50:60\"\n", "sport = [53, 61]\n", true),
        ("", "sport = 53\n", false),
    ] {
        let folder = folder(&text(first, second));
        let loaded = Source::new(folder.path()).load();
        assert_eq!(loaded.is_ok(), is_valid, "{first:?} before {second:?}");
    }
}
