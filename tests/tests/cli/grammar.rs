//! Rules as they are typed, from the shell's words to the words of the rule.

use super::host::Host;

/// What is typed, and the rule that it means.
const ACCEPTED: &[(&str, &str)] = &[
    ("allow 22", "allow 22"),
    ("allow 22/tcp", "allow 22/tcp"),
    ("allow 22/TCP", "allow 22/tcp"),
    ("deny 53/udp", "deny 53/udp"),
    ("allow ssh", "allow 22/tcp"),
    ("allow http", "allow 80/tcp"),
    ("allow HTTP", "allow 80/tcp"),
    ("allow https/tcp", "allow 443/tcp"),
    ("allow http,https/tcp", "allow 80,443/tcp"),
    ("allow 80,443/tcp", "allow 80,443/tcp"),
    ("allow 443,80,80/tcp", "allow 80,443/tcp"),
    ("allow 6000:6007/udp", "allow 6000:6007/udp"),
    ("allow 1:65535/tcp", "allow 1:65535/tcp"),
    ("allow in 22/tcp", "allow 22/tcp"),
    ("allow in on eth0 22/tcp", "allow on eth0 22/tcp"),
    ("allow on eth0 22/tcp", "allow on eth0 22/tcp"),
    ("allow in on eth0", "allow on eth0 from any"),
    ("allow from any to any port 22", "allow 22"),
    ("allow to any port 22 proto tcp", "allow 22/tcp"),
    ("allow proto tcp to any port 22", "allow 22/tcp"),
    ("deny from 203.0.113.0/24", "deny from 203.0.113.0/24"),
    ("deny 203.0.113.7", "deny from 203.0.113.7"),
    ("deny from 2001:db8::/32", "deny from 2001:db8::/32"),
    ("deny from 203.0.113.7 to any", "deny from 203.0.113.7"),
    ("deny from 10.0.0.0/255.0.0.0", "deny from 10.0.0.0/8"),
    (
        "allow from 1.1.1.1 to any port 9000 proto tcp",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
    ),
    (
        "allow proto tcp from 1.1.1.1 to any port 9000",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
    ),
    ("allow 1.1.1.1 9000", "allow from 1.1.1.1 to any port 9000"),
    (
        "allow 1.1.1.1 9000/tcp",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
    ),
    (
        "allow 2001:db8::1 ssh",
        "allow from 2001:db8::1 to any port 22 proto tcp",
    ),
    (
        "allow from 1.1.1.1,2.2.2.2 to 192.0.2.10 port 80,443 proto tcp",
        "allow from 1.1.1.1,2.2.2.2 to 192.0.2.10 port 80,443 proto tcp",
    ),
    (
        "allow @office ssh",
        "allow from @office to any port 22 proto tcp",
    ),
    (
        "allow from any port 547 to any port 546 proto udp",
        "allow from any port 547 to any port 546 proto udp",
    ),
    ("allow proto gre", "allow proto gre"),
    ("allow proto 47", "allow proto gre"),
    ("allow ping", "allow ping"),
    (
        "allow 22/tcp comment 'ssh from home'",
        "allow 22/tcp comment 'ssh from home'",
    ),
    ("allow 22/tcp comment ''", "allow 22/tcp comment ''"),
];

/// What is typed, and a part of what is said. All of it exits with 2.
const REFUSED: &[(&str, &str)] = &[
    ("allow 0", "port 0 is out of range (1-65535)"),
    ("allow 70000/tcp", "port 70000 is out of range (1-65535)"),
    ("allow 80:70/tcp", "port range 80:70 ends before it begins"),
    ("allow 80-90", "\"80-90\" is not a port"),
    ("allow 80,,443", "a port is missing"),
    (
        "allow 22/tpc",
        "unknown protocol \"tpc\"; did you mean \"tcp\"",
    ),
    ("allow 22/gre", "protocol gre is not matched by port"),
    (
        "allow htpp",
        "unknown service \"htpp\"; did you mean \"http\"",
    ),
    ("allow http/udp", "service \"http\" is not known for udp"),
    ("allow tcp", "\"tcp\" is a protocol, not a port"),
    ("allow 22 443", "the rule has a port already"),
    (
        "allow 9000 1.1.1.1",
        "address \"1.1.1.1\" stands after the port",
    ),
    ("allow from", "a value is missing after `from`"),
    ("allow from 256.1.1.1", "\"256.1.1.1\" is not an address"),
    (
        "allow from 1.1.1.1/33",
        "prefix length 33 is out of range (0-32)",
    ),
    (
        "allow from example..com",
        "\"example..com\" is not the name of a host",
    ),
    (
        "allow from @ofice",
        "unknown set \"@ofice\"; did you mean \"@office\"",
    ),
    ("allow from 1.1.1.1 port 80 proto gre", "gre"),
    (
        "allow from 1.1.1.1 to ::1",
        "its source is IPv4, its destination IPv6",
    ),
    (
        "allow from 1.1.1.1 from 2.2.2.2",
        "the rule has a source already",
    ),
    ("allow on eth0:1 22", "is an alias"),
    ("allow port 22", "`port` stands without an address"),
    ("allow any", "`any` stands alone"),
    ("allow in", "the rule is empty"),
    (
        "allow out 25/tcp",
        "`out` is refused: guard filters what arrives",
    ),
    ("allow log 22", "`log` is refused: rules do not log"),
    (
        "allow app OpenSHS",
        "unknown application profile \"OpenSHS\"; did you mean 'OpenSSH'",
    ),
    (
        "allow fron 1.1.1.1",
        "unknown word \"fron\"; did you mean \"from\"",
    ),
    (
        "allow 22 comment two words",
        "\"words\" stands after the comment",
    ),
    ("insert 1 22/tcp", "\"22/tcp\" is not an action"),
    ("insert 1 limit ping", "ICMP has none"),
    ("delete allow 70000", "port 70000 is out of range"),
    ("never add example", "\"example\" is not an address"),
    ("never add any", "nothing could be banned"),
    ("never add 1.1.1.1/40", "prefix length 40 is out of range"),
];

const OFFICE: &str = "[sets]\noffice = [\"198.51.100.0/24\"]\n";

#[test]
fn a_rule_means_what_ufw_users_expect() {
    let Some(host) = Host::new() else { return };
    host.guard.write_policy(OFFICE);

    for (typed, rule) in ACCEPTED {
        let printed = host.run(&format!("{typed} --dry-run")).ok();

        assert_eq!(
            printed.stdout,
            format!("would add rule 1: {rule}\n"),
            "{typed}"
        );
        assert_eq!(printed.stderr, "", "{typed}");
    }
}

#[test]
fn what_is_listed_can_be_typed_again() {
    let Some(host) = Host::new() else { return };

    for (_, rule) in ACCEPTED {
        host.guard.write_policy(OFFICE);
        let _added = host.run(rule).ok();
        let listed = host.rules();
        assert_eq!(listed, [rule.to_string()]);
        let _deleted = host.run(&format!("delete {}", listed[0])).ok();
        assert_eq!(host.guard.policy(), OFFICE, "{rule}");
    }
}

#[test]
fn words_that_are_no_rule_are_explained_with_exit_2() {
    let Some(host) = Host::new() else { return };
    host.guard.write_policy(OFFICE);

    for (typed, message) in REFUSED {
        let printed = host.run(typed).exit(2).says(message);

        assert!(printed.stderr.starts_with("guardctl: "), "{printed}");
        assert!(
            printed.stderr.contains("\n  help: "),
            "no way out\n{printed}"
        );
        assert_eq!(printed.stdout, "", "{typed}");
    }
    assert_eq!(host.guard.policy(), OFFICE);
}

#[test]
fn the_wrong_word_is_marked() {
    let Some(host) = Host::new() else { return };

    let printed = host.run("allow from 1.1.1.1 to any port 70000").exit(2);

    let marked =
        "\n  allow from 1.1.1.1 to any port 70000\n                                 ^^^^^\n";
    assert!(printed.stderr.contains(marked), "{printed}");
}

#[test]
fn host_bits_are_masked_with_a_word() {
    let Some(host) = Host::new() else { return };

    let printed = host.run("deny from 203.0.113.7/24").ok();

    let _printed =
        printed.says("warning: prefix 203.0.113.7/24 has host bits set; taken as 203.0.113.0/24");
    assert_eq!(host.rules(), ["deny from 203.0.113.0/24"]);
}
