//! What users of ufw and iptables do from habit, each in one line of guard (acceptance A27).

use super::host::Host;

/// The habit, guard's line, and the rules in force afterwards.
const HABITS: &[(&str, &str, &[&str])] = &[
    ("ufw default deny incoming", "default deny incoming", &[]),
    ("ufw default deny input", "default deny input", &[]),
    ("ufw default allow outgoing", "default allow outgoing", &[]),
    ("iptables -P INPUT DROP", "default drop", &[]),
    ("ufw allow 22", "allow 22", &["allow 22"]),
    ("ufw allow ssh", "allow ssh", &["allow 22/tcp"]),
    ("ufw allow 80/tcp", "allow 80/tcp", &["allow 80/tcp"]),
    ("ufw allow http", "allow http", &["allow 80/tcp"]),
    ("ufw allow 443/tcp", "allow 443/tcp", &["allow 443/tcp"]),
    (
        "ufw allow proto tcp to any port 80,443",
        "allow proto tcp to any port 80,443",
        &["allow 80,443/tcp"],
    ),
    (
        "ufw allow from 1.1.1.1 to any port 9000 proto tcp",
        "allow from 1.1.1.1 to any port 9000 proto tcp",
        &["allow from 1.1.1.1 to any port 9000 proto tcp"],
    ),
    (
        "ufw allow from any port 547 to any port 546 proto udp",
        "allow from any port 547 to any port 546 proto udp",
        &["allow from any port 547 to any port 546 proto udp"],
    ),
    (
        "the same, short",
        "allow 1.1.1.1 9000",
        &["allow from 1.1.1.1 to any port 9000"],
    ),
    (
        "ufw deny from 203.0.113.0/24",
        "deny from 203.0.113.0/24",
        &["deny from 203.0.113.0/24"],
    ),
    (
        "ufw insert 1 deny from 203.0.113.7",
        "insert 1 deny from 203.0.113.7",
        &["deny from 203.0.113.7"],
    ),
    (
        "iptables -I INPUT -s 203.0.113.7 -j DROP",
        "prepend deny from 203.0.113.7",
        &["deny from 203.0.113.7"],
    ),
    (
        "iptables -A INPUT -i eth0 -p udp --dport 51820 -j ACCEPT",
        "allow in on eth0 51820/udp",
        &["allow on eth0 51820/udp"],
    ),
    (
        "iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT",
        "allow ping",
        &["allow ping"],
    ),
    (
        "iptables -A INPUT -p gre -j ACCEPT",
        "allow proto gre",
        &["allow proto gre"],
    ),
    (
        "firewall-cmd --add-port=8080/tcp",
        "allow 8080/tcp",
        &["allow 8080/tcp"],
    ),
    ("never ban my own address", "never add 198.51.100.10", &[]),
];

#[test]
fn every_habit_has_a_line_that_takes_effect_at_once() {
    let Some(host) = Host::active("default = \"deny\"\n") else {
        return;
    };

    for (habit, line, rules) in HABITS {
        let _printed = host.run(line).ok();
        assert_eq!(host.rules(), *rules, "{habit}: guardctl {line}");
        assert_eq!(host.json("status")["default"], "deny", "{habit}");
        for _ in *rules {
            let _deleted = host.run("delete 1").ok();
        }
    }
    let printed = host.run("never list").ok();
    assert_eq!(printed.stdout, "198.51.100.10\n");
}

#[test]
fn status_reads_like_that_of_ufw() {
    // As many as this host can track is not the same on every machine.
    let Some(host) = Host::active("[limits]\nceiling = \"1000/s\"\n") else {
        return;
    };
    for line in [
        "allow 22/tcp comment ssh",
        "allow 1.1.1.1 9000",
        "deny from 203.0.113.0/24",
    ] {
        let _printed = host.run(line).ok();
    }

    let plain = host.run("status").ok().stdout;
    let numbered = host.run("status numbered").ok().stdout;
    let verbose = host.run("status verbose").ok();

    let table = "
To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere                   # ssh
9000                       ALLOW IN    1.1.1.1
Anywhere                   DENY IN     203.0.113.0/24
";
    let head = "\
Status: active
Interface: eth0 (native)
Default: deny (incoming)
Generation: 4
SYN floods: cookies when a listener's queue is full, ceiling 1000/s per port
Out-of-state TCP: dropped above 200/s per port
UDP floods: clients go first above 2000/s per port
";
    let reboot = "\nAfter a reboot: NOT protected; `guardctl service install`\n";
    assert_eq!(plain, format!("{head}{table}{reboot}"));
    let last = "[ 3]         0       0 B  Anywhere                   DENY IN     203.0.113.0/24\n";
    assert!(numbered.ends_with(&format!("{last}{reboot}")), "{numbered}");
    assert!(numbered.starts_with(head), "{numbered}");
    let _verbose = verbose
        .says("guardctl allow from 1.1.1.1 to any port 9000\n")
        .says("guard.toml\n");
}

#[test]
fn a_rule_is_deleted_by_number_or_by_its_words() {
    let Some(host) = Host::active("") else { return };
    for line in ["allow 22/tcp", "allow 80/tcp", "allow 443/tcp"] {
        let _printed = host.run(line).ok();
    }

    let _printed = host
        .run("delete 2")
        .ok()
        .says("deleted rule 2: allow 80/tcp (generation 5)");
    assert_eq!(host.rules(), ["allow 22/tcp", "allow 443/tcp"]);
    let _printed = host
        .run("delete allow 22/tcp")
        .ok()
        .says("deleted rule 1: allow 22/tcp");
    assert_eq!(host.rules(), ["allow 443/tcp"]);

    for (line, exit, message) in [
        ("delete 2", 6, "there is no rule 2; the only rule is 1"),
        ("delete 0", 6, "there is no rule 0"),
        ("delete allow 80/tcp", 6, "there is no rule `allow 80/tcp`"),
        ("delete deny 443/tcp", 6, "there is no rule `deny 443/tcp`"),
        ("delete 1 2", 2, "`guardctl delete 2`, `guardctl delete 1`"),
        (
            "delete 3,1,2",
            2,
            "`guardctl delete 3`, `guardctl delete 2`, `guardctl delete 1`",
        ),
        ("delete 443/tcp", 2, "`guardctl delete allow 443/tcp`"),
        ("delete", 2, "usage: `guardctl delete"),
    ] {
        let _printed = host.run(line).exit(exit).says(message);
    }
    assert_eq!(host.rules(), ["allow 443/tcp"]);
}

#[test]
fn a_default_takes_effect_at_once_and_only_for_incoming_packets() {
    let Some(host) = Host::active("") else { return };

    let _printed = host
        .run("default allow")
        .ok()
        .says("default is allow (generation 2)");
    assert_eq!(host.json("status")["default"], "allow");
    let _printed = host
        .run("default deny incoming")
        .ok()
        .says("default is deny");
    let _printed = host
        .run("default deny")
        .ok()
        .says("default is deny already");
    let _printed = host
        .run("default allow outgoing")
        .ok()
        .says("outgoing packets are always allowed");
    let _printed = host
        .run("default deny outgoing")
        .exit(2)
        .says("incoming packets only");
    assert_eq!(host.json("status")["default"], "deny");
    assert_eq!(host.generation(), 3);
}
