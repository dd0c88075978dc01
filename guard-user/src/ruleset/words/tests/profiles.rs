//! Application profiles of ufw: their names in rules, what they win over, and what is said of wrong ones.

use super::*;
use crate::ruleset::{profiles::Profiles, testing::Folder};

fn means(words: &[&str]) -> (Vec<String>, Vec<String>) {
    let parsed = read_words(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let rules = std::iter::once(&parsed.rule).chain(&parsed.second);
    (rules.map(describe::command).collect(), parsed.warnings)
}

#[test]
fn profiles_of_ufw_are_taken_by_their_names() {
    for (words, rules) in [
        (&["allow", "OpenSSH"][..], &["allow 22/tcp"][..]),
        (&["allow", "Nginx Full"], &["allow 80,443/tcp"]),
        (&["deny", "nginx https"], &["deny 443/tcp"]),
        (&["limit", "OpenSSH"], &["limit 22/tcp"]),
        (
            &["allow", "in", "on", "eth0", "WWW"],
            &["allow on eth0 80/tcp"],
        ),
        (
            &[
                "allow",
                "from",
                "192.0.2.1",
                "to",
                "any",
                "app",
                "Apache Full",
                "comment",
                "x",
            ],
            &["allow from 192.0.2.1 to any port 80,443 proto tcp comment x"],
        ),
        (
            &["allow", "CIFS"],
            &["allow 139,445/tcp", "allow 137,138/udp"],
        ),
        (
            &["limit", "192.0.2.1", "Samba", "rate", "1/s"],
            &[
                "limit from 192.0.2.1 to any port 139,445 proto tcp rate 1/s",
                "limit from 192.0.2.1 to any port 137,138 proto udp rate 1/s",
            ],
        ),
        (&["allow", "DNS"], &["allow 53"]),
        (&["allow", "IMAP"], &["allow 143/tcp"]),
    ] {
        let (found, warnings) = means(words);
        assert_eq!(found, rules, "{words:?}");
        assert_eq!(warnings, [""; 0], "{words:?}");
    }
}

#[test]
fn a_profile_wins_over_a_service_of_its_name_and_the_answer_says_so() {
    for (name, rule, service) in [
        ("LDAP", "allow 389/tcp", "389"),
        ("NFS", "allow 111,2049", "2049"),
        ("IPP", "allow 631", "631/tcp"),
    ] {
        let (found, warnings) = means(&["allow", name]);
        assert_eq!(found, [rule]);
        let lower = name.to_lowercase();
        let printed = format!(
            "{name} is taken as the application profile of ufw ({}), not for the service {lower} ({service}); for \
             that, write `{lower}`",
            rule.trim_start_matches("allow ")
        );
        assert_eq!(warnings, [printed]);
        // The service is still there.
        let (found, warnings) = means(&["allow", &lower]);
        assert_eq!(
            (found, warnings),
            (vec![format!("allow {service}")], Vec::new())
        );
    }
}

#[test]
fn wrong_profiles_are_told_with_what_is_near() {
    for (words, word, part) in [
        (
            &["allow", "Nginx"][..],
            1,
            "'Nginx Full', 'Nginx HTTP', 'Nginx HTTPS'",
        ),
        (&["allow", "Nginx", "Full"], 1, "'Nginx Full'"),
        (&["allow", "Ngnix Full"], 1, "did you mean 'Nginx Full'"),
        (&["allow", "OpenSHS"], 1, "did you mean 'OpenSSH'"),
        (&["allow", "My Own Thing"], 1, "unknown application profile"),
        (
            &["allow", "to", "any", "app", "Postfx"],
            4,
            "did you mean 'Postfix'",
        ),
        (
            &["allow", "app"],
            2,
            "an application profile, e.g. 'Nginx Full'",
        ),
        (&["allow", "OpenSSH/tcp"], 1, "specifies its own protocols"),
        (
            &["allow", "OpenSSH", "proto", "tcp"],
            3,
            "specifies its own protocols",
        ),
        (&["allow", "OpenSSH", "80"], 2, "has a port already"),
        (&["allow", "80", "OpenSSH"], 2, "has a port already"),
        (
            &["allow", "from", "1.1.1.1", "app", "OpenSSH"],
            3,
            "source port",
        ),
        (&["allow", "htps"], 1, "did you mean \"https\""),
    ] {
        let error = read_words(words).expect_err("wrong");
        let printed = format!("{} {}", error.message, error.help().unwrap_or_default());
        assert!(printed.contains(part), "{words:?}: {printed}");
        assert_eq!(error.word, word, "{words:?}: {printed}");
    }
}

#[test]
fn a_profile_with_a_mistake_opens_nothing_and_names_its_file() {
    let folder = Folder::new();
    let file = folder.write(
        "web",
        "[OpenSSH]\nports=ssh/tcp\n[My App]\nports=0/tcp\n[LDAP]\nports=3389/tcp\n",
    );
    folder.write("huge", vec![b'#'; (1 << 20) + 1]);
    let names = Names {
        profiles: Profiles::with_folder(folder.path()),
        ..Names::embedded()
    };
    let sets = sets();
    let scope = Scope {
        names: &names,
        sets: &sets,
    };
    for (words, word, section) in [
        (
            &["allow", "OpenSSH"][..],
            1,
            "[OpenSSH]: ports \"ssh/tcp\": ",
        ),
        (&["allow", "openssh"], 1, "[OpenSSH]: ports \"ssh/tcp\": "),
        (&["allow", "my app"], 1, "[My App]: ports \"0/tcp\": "),
        (
            &["allow", "to", "any", "app", "My App"],
            4,
            "[My App]: ports \"0/tcp\": ",
        ),
        (&["allow", "OpenSSH/tcp"], 1, "specifies its own protocols"),
    ] {
        let error = parse(words, &scope).expect_err("wrong");
        assert_eq!(error.word, word, "{words:?}");
        assert!(error.message.contains(section), "{}", error.message);
        if section.starts_with('[') {
            assert!(error.message.starts_with(&file.display().to_string()));
            assert!(
                error
                    .help()
                    .is_some_and(|help| help.contains("correct the file"))
            );
        }
    }
    let unknown = parse(&["allow", "Some App"], &scope).expect_err("unknown");
    let help = unknown.help().unwrap_or_default();
    assert!(help.contains("huge: is larger than 1 MiB"), "{help}");
    // What is known is taken, and what is not known is said.
    let parsed = parse(&["allow", "LDAP"], &scope).expect("a profile");
    assert_eq!(parsed.profile.as_deref(), Some("LDAP"));
    assert_eq!(describe::command(&parsed.rule), "allow 3389/tcp");
    let said = parsed.warnings.join("\n");
    assert!(said.contains("huge: is larger than 1 MiB: its application profiles are not known"));
    assert!(
        said.contains("LDAP is taken as the application profile of /"),
        "{said}"
    );
}
