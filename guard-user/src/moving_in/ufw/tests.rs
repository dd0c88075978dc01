//! Files of ufw, and the policies they become.

use std::{fs, os::unix::fs::symlink};

use guard_common::testing::random::Random;

use super::super::{Import, of_ufw};
use crate::{
    failure::{Exit, Failure},
    ruleset::testing::Folder,
};

const DEFAULTS: &str = "IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n";
const BEFORE: &str = "*filter\n:ufw-before-input - [0:0]\n\
-A ufw-before-input -i lo -j ACCEPT\n\
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT\n";
const BEFORE6: &str = "*filter\n:ufw6-before-input - [0:0]\n\
-A ufw6-before-input -i lo -j ACCEPT\n\
-A ufw6-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
-A ufw6-before-input -p icmpv6 --icmpv6-type echo-request -j ACCEPT\n\
-A ufw6-before-input -p icmpv6 --icmpv6-type router-advertisement -m hl --hl-eq 255 -j ACCEPT\n";

/// A machine with an ufw of these rules.
struct Machine(Folder);

impl Machine {
    fn new(v4: &[&str], v6: &[&str]) -> Self {
        let machine = Self(Folder::new());
        machine.write("default/ufw", DEFAULTS);
        machine.write("ufw/ufw.conf", "ENABLED=yes\n");
        machine.before(BEFORE, "");
        machine.before(BEFORE6, "");
        for (digit, rules) in [("", v4), ("6", v6)] {
            machine.write(&format!("ufw/after{digit}.rules"), "*filter\nCOMMIT\n");
            let tuples: String = rules
                .iter()
                .map(|rule| format!("\n### tuple ### {rule}\n-A ufw{digit}-user-input -j ACCEPT\n"))
                .collect();
            let text = format!("*filter\n### RULES ###\n{tuples}\n### END RULES ###\nCOMMIT\n");
            machine.write(&format!("ufw/user{digit}.rules"), &text);
        }
        machine
    }

    fn before(&self, text: &str, more: &str) {
        let digit = if text.contains("ufw6") { "6" } else { "" };
        let name = format!("ufw/before{digit}.rules");
        self.write(&name, format!("{text}{more}COMMIT\n"));
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.0.write(&format!("etc/{name}"), text);
    }

    fn import(&self) -> Result<Import, Failure> {
        of_ufw(self.0.path())
    }
}

/// The rules of a policy in words.
fn words(import: &Import) -> Vec<String> {
    let rules = import.policy.rules.iter();
    rules.map(crate::ruleset::describe::command).collect()
}

fn imported(v4: &[&str], v6: &[&str]) -> Import {
    let import = Machine::new(v4, v6).import().expect("an import");
    assert_eq!(import.meaning.looser, 0, "{}", import.text);
    import
}

#[test]
fn twins_become_one_rule_and_what_is_silently_open_is_a_rule() {
    let import = imported(
        &[
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow tcp 9000 0.0.0.0/0 any 1.1.1.1 in",
            "limit tcp 2222 0.0.0.0/0 any 0.0.0.0/0 in comment=7365636f6e64",
            "allow tcp 80,443,8080:8090 0.0.0.0/0 any 0.0.0.0/0 Web%20Full - in_eth0",
            "deny any any 0.0.0.0/0 any 203.0.113.0/24 in",
            "allow any 53 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow udp 546 0.0.0.0/0 547 0.0.0.0/0 in",
            "allow gre any 0.0.0.0/0 any 0.0.0.0/0 in",
        ],
        &[
            "allow tcp 22 ::/0 any ::/0 in",
            "limit tcp 2222 ::/0 any ::/0 in comment=7365636f6e64",
            "allow tcp 80,443,8080:8090 ::/0 any ::/0 Web%20Full - in_eth0",
            "allow any 53 ::/0 any ::/0 in",
            "reject tcp 25 ::/0 any 2001:db8::/32 in",
        ],
    );
    assert_eq!(
        words(&import),
        [
            "allow ping",
            "allow 22/tcp",
            "allow from 1.1.1.1 to any port 9000 proto tcp",
            "limit 2222/tcp comment second",
            "allow on eth0 80,443,8080:8090/tcp comment 'Web Full'",
            "deny from 203.0.113.0/24",
            "allow 53",
            "allow from 0.0.0.0/0 port 547 to any port 546 proto udp",
            "allow from 0.0.0.0/0 proto gre",
        ]
    );
    assert_eq!(import.left, []);
    assert_eq!(import.meaning.stricter, 0, "{:?}", import.meaning);
    assert!(import.meaning.asked > 1000);
    let row = |what: &str| {
        let row = import.meaning.rows.iter().find(|row| row.what == what);
        row.map(|row| (row.theirs.as_str(), row.ours.as_str()))
    };
    assert_eq!(row("22/tcp"), Some(("everybody", "everybody")));
    assert_eq!(row("9000/tcp"), Some(("1.1.1.1", "1.1.1.1")));
    assert_eq!(row("25/tcp"), None);
}

#[test]
fn a_policy_that_allows_stays_one() {
    let machine = Machine::new(
        &["deny tcp 25 0.0.0.0/0 any 0.0.0.0/0 in"],
        &["deny tcp 25 ::/0 any ::/0 in"],
    );
    machine.write(
        "default/ufw",
        DEFAULTS.replace("\"DROP\"\nDEFAULT_F", "ACCEPT\nDEFAULT_F"),
    );
    let import = machine.import().unwrap();
    assert!(
        import.text.starts_with("default = \"allow\"\n"),
        "{}",
        import.text
    );
    assert_eq!(words(&import).last().unwrap(), "deny 25/tcp");
    assert_eq!((import.meaning.looser, import.meaning.stricter), (0, 0));
}

#[test]
fn without_ipv6_everything_of_it_is_closed() {
    let machine = Machine::new(&["allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"], &[]);
    machine.write("default/ufw", DEFAULTS.replace("yes", "no"));
    let import = machine.import().unwrap();
    assert_eq!(
        words(&import),
        [
            "allow icmp type 8",
            "allow from 0.0.0.0/0 to any port 22 proto tcp",
        ]
    );
    assert_eq!((import.meaning.looser, import.meaning.stricter), (0, 0));
}

#[test]
fn what_leaves_is_routed_or_logged_is_listed_with_its_line() {
    let import = imported(
        &[
            "allow_log tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "deny tcp 25 0.0.0.0/0 any 0.0.0.0/0 out",
            "route:allow tcp 80 12.34.45.67 any 0.0.0.0/0 in_eth0!out_eth1",
        ],
        &[],
    );
    assert_eq!(words(&import).len(), 2, "{:?}", words(&import));
    let left: Vec<String> = import.left.iter().map(ToString::to_string).collect();
    for (part, at) in [
        ("does not log", 4),
        ("what leaves", 7),
        ("routed packets", 10),
    ] {
        let place = format!("user.rules:{at}: ");
        let found = left
            .iter()
            .any(|left| left.contains(part) && left.contains(&place));
        assert!(found, "{part}: {left:#?}");
    }
    assert_eq!(left.len(), 3, "{left:#?}");
}

#[test]
fn lines_of_an_administrator_count_and_are_shown() {
    let machine = Machine::new(&["allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"], &[]);
    machine.before(
        BEFORE,
        "-A ufw-before-input -s 198.51.100.0/24 -j DROP\n\
         -A ufw-before-input -p tcp --dport 8443 -m string --string x --algo bm -j ACCEPT\n\
         -A ufw-before-input -p tcp --dport 23 -m recent --name x --rcheck -j DROP\n\
         -A ufw-before-forward -i eth0 -j ACCEPT\n",
    );
    let import = machine.import().unwrap();
    assert_eq!(import.meaning.looser, 0);
    let words = words(&import);
    assert!(
        words.contains(&"deny from 198.51.100.0/24".to_owned()),
        "{words:?}"
    );
    assert!(
        words
            .iter()
            .any(|words| words.starts_with("deny from 0.0.0.0/0 to any port 23 proto tcp")),
        "{words:?}"
    );
    assert!(
        !words.iter().any(|words| words.contains("8443")),
        "{words:?}"
    );
    let notes = import.notes.join("\n");
    assert!(notes.contains("before.rules:6: not ufw's own"), "{notes}");
    assert_eq!(import.left.len(), 3, "{:#?}", import.left);
    // Its own lines are no matter of the operator's.
    assert!(!notes.contains("echo-request"), "{notes}");
    assert!(notes.contains("brings along, 1 are about"), "{notes}");
}

#[test]
fn rules_written_by_hand_into_user_rules_count() {
    let machine = Machine::new(&["allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"], &[]);
    let file = machine.0.path().join("etc/ufw/user.rules");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "### RULES ###\n",
        "### RULES ###\n-A ufw-user-input -s 192.0.2.9 -j DROP\n",
    );
    fs::write(&file, text).unwrap();
    let import = machine.import().unwrap();
    assert!(
        words(&import).contains(&"deny from 192.0.2.9".to_owned()),
        "{:?}",
        words(&import)
    );
    assert!(
        import
            .notes
            .iter()
            .any(|note| note.contains("written by hand"))
    );
}

#[test]
fn damaged_files_are_refused_with_their_line() {
    for (file, text, exit, said) in [
        (
            "user.rules",
            &b"*filter\n### tuple ### allow tcp 22"[..],
            Exit::BadConfiguration,
            "cut off",
        ),
        (
            "user.rules",
            b"### tuple ### allow tcp 22\nCOMMIT\n",
            Exit::BadConfiguration,
            "user.rules:1: a rule has 6 to 9 fields",
        ),
        (
            "user.rules",
            b"### tuple ### open tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\nCOMMIT\n",
            Exit::BadConfiguration,
            "action \"open\"",
        ),
        (
            "user.rules",
            b"### tuple ### allow tcp 99999 0.0.0.0/0 any 0.0.0.0/0 in\nCOMMIT\n",
            Exit::BadConfiguration,
            "ports \"99999\"",
        ),
        (
            "user.rules",
            b"### tuple ### allow tcp 22 ::/0 any ::/0 in\nCOMMIT\n",
            Exit::BadConfiguration,
            "not IPv4",
        ),
        (
            "user.rules",
            b"### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 up\nCOMMIT\n",
            Exit::BadConfiguration,
            "neither in nor out",
        ),
        (
            "user.rules",
            b"### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=zz\nCOMMIT\n",
            Exit::BadConfiguration,
            "comment \"zz\"",
        ),
        (
            "user.rules",
            b"*filter\n\n\xff\nCOMMIT\n",
            Exit::BadConfiguration,
            "user.rules:3: the file is not UTF-8",
        ),
        (
            "before.rules",
            b"*filter\n-A ufw-before-input -p\nCOMMIT\n",
            Exit::BadConfiguration,
            "before.rules:2: -p has no value",
        ),
        (
            "before.rules",
            b"-A ufw-before-input\nCOMMIT\n",
            Exit::BadConfiguration,
            "outside of a table",
        ),
        ("user6.rules", b"", Exit::BadConfiguration, "cut off"),
    ] {
        let machine = Machine::new(&[], &[]);
        machine.write(&format!("ufw/{file}"), text);
        let failure = machine.import().unwrap_err();
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.message.contains(said), "{said}: {failure}");
        assert!(failure.help.is_some(), "{failure}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    type Make = fn(&std::path::Path);
    let cases: [(Make, &str); 5] = [
        (|path| fs::create_dir(path).unwrap(), "is a directory"),
        (
            |path| symlink("/nowhere", path).unwrap(),
            "symbolic link to nothing",
        ),
        (|path| make_fifo(path), "is not a regular file"),
        (
            |path| fs::write(path, vec![b'#'; (16 << 20) + 1]).unwrap(),
            "is larger than 16 MiB",
        ),
        (|_| (), "is missing"),
    ];
    for (make, said) in cases {
        let machine = Machine::new(&[], &[]);
        let path = machine.0.path().join("etc/ufw/user.rules");
        fs::remove_file(&path).unwrap();
        make(&path);
        let failure = machine.import().unwrap_err();
        assert_eq!(failure.exit, Exit::BadConfiguration, "{failure}");
        assert!(failure.message.contains(said), "{failure}");
    }
    let nobody = Folder::new();
    assert_eq!(of_ufw(nobody.path()).unwrap_err().exit, Exit::NotFound);
}

fn make_fifo(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()));
}

#[test]
fn a_limit_on_everything_is_one_on_ports_and_that_is_said() {
    let import = imported(&["limit any any 0.0.0.0/0 any 10.0.0.0/8 in"], &[]);
    let words = words(&import);
    assert!(
        words.contains(&"limit from 10.0.0.0/8 proto tcp,udp".to_owned()),
        "{words:?}"
    );
    assert!(import.meaning.stricter > 0);
    assert_eq!(import.left.len(), 1, "{:?}", import.left);
    assert!(import.left[0].what.contains("tcp and udp"));
}

#[test]
fn whatever_rules_are_typed_both_sides_agree() {
    let mut random = Random::new(7);
    for _ in 0..40 {
        let mut rules = [Vec::new(), Vec::new()];
        for _ in 0..random.below(9) {
            let family = random.below(2);
            let any = ["0.0.0.0/0", "::/0"][family];
            let networks = [
                [any, "10.0.0.0/8", "10.1.2.3", "203.0.113.0/24"],
                [any, "2001:db8::/32", "2001:db8::7", "fd00::/8"],
            ][family];
            let action = random.pick(&["allow", "allow", "deny", "reject"]);
            let (protocol, ports) = random.pick(&[
                ("tcp", "22"),
                ("udp", "53,6000:6010"),
                ("any", "80"),
                ("any", "any"),
                ("gre", "any"),
                ("tcp", "any"),
            ]);
            let from = random.pick(&networks);
            let to = random.pick(&[any, any, networks[2]]);
            let direction = random.pick(&["in", "in", "in_eth0", "in_eth1"]);
            let sport = match protocol {
                "udp" => random.pick(&["any", "5353"]),
                _ => "any",
            };
            rules[family].push(format!(
                "{action} {protocol} {ports} {to} {sport} {from} {direction}"
            ));
        }
        let texts = rules.each_ref().map(|rules| {
            let texts: Vec<&str> = rules.iter().map(String::as_str).collect();
            texts
        });
        let import = imported(&texts[0], &texts[1]);
        assert_eq!(import.meaning.stricter, 0, "{rules:#?}\n{}", import.text);
        assert_eq!(import.left, [], "{rules:#?}");
    }
}
