//! Saved rules, and what they mean.

use super::{super::testing, *};
use crate::{moving_in::Import, ruleset::describe};

/// The import of the rules of a filter table, one family.
fn imported(rules: &str) -> Import {
    testing::import(&[(&format!("*filter\n{rules}\nCOMMIT\n"), true)]).expect("an import")
}

fn words(import: &Import) -> Vec<String> {
    let rules = import.policy.rules.iter();
    rules.map(describe::command).collect()
}

const CLOSED: &str = ":INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";

#[test]
fn a_plain_table_becomes_a_plain_policy() {
    let import = imported(&format!(
        "{CLOSED}-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate INVALID -j DROP\n\
         -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n\
         -A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -m comment --comment \"the web\" -j ACCEPT\n\
         -A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 161 -j ACCEPT\n\
         -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT\n\
         -A INPUT -m iprange --src-range 192.0.2.4-192.0.2.9 -j ACCEPT\n\
         -A INPUT -j DROP"
    ));
    assert_eq!(
        words(&import),
        [
            "allow from 0.0.0.0/0 to any port 22 proto tcp",
            "allow from 0.0.0.0/0 to any port 80,443,8000:8010 proto tcp comment 'the web'",
            "allow from 10.0.0.0/8 to any port 161 proto udp",
            "allow icmp type 8",
            "allow from 192.0.2.4/30,192.0.2.8/31",
            "allow from ::/0 comment 'nothing of this family is filtered'",
        ]
    );
    assert_eq!(import.left, []);
    assert_eq!((import.meaning.looser, import.meaning.stricter), (0, 0));
}

#[test]
fn own_chains_that_return_and_negations_keep_their_meaning() {
    let import = imported(&format!(
        "{CLOSED}:web - [0:0]\n:ssh - [0:0]\n\
         -A INPUT -p tcp -m tcp --dport 80 -j web\n\
         -A INPUT -p tcp -m tcp --dport 22 -g ssh\n\
         -A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 25 -j ACCEPT\n\
         -A INPUT -s 198.51.100.0/24 -j ACCEPT\n\
         -A web -s 198.51.100.7 -j RETURN\n\
         -A web -s 192.0.2.0/24 -j DROP\n\
         -A web -j ACCEPT\n\
         -A ssh -s 10.0.0.0/8 -j ACCEPT"
    ));
    assert_eq!(import.left, []);
    assert_eq!(
        (import.meaning.looser, import.meaning.stricter),
        (0, 0),
        "{}",
        import.text
    );
}

#[test]
fn what_is_not_understood_lets_in_less() {
    let import = imported(&format!(
        "{CLOSED}:limited - [0:0]\n\
         -A INPUT -p tcp -m tcp --dport 22 -m recent --update --seconds 60 --hitcount 4 --name x -j DROP\n\
         -A INPUT -p tcp -m tcp --dport 22:23 -j ACCEPT\n\
         -A INPUT -p udp -m udp --dport 53 -m limit --limit 3/min -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 80 -m mark --mark 0x1 -j limited\n\
         -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 81 -j NFQUEUE --queue-num 1\n\
         -A INPUT -i eth+ -p tcp -m tcp --dport 82 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 83 -j LOG --log-prefix \"a b\"\n\
         -A limited -s 10.0.0.0/8 -j DROP\n\
         -A limited -j ACCEPT"
    ));
    let words = words(&import);
    assert_eq!(import.meaning.looser, 0, "{words:#?}");
    assert!(
        words
            .iter()
            .any(|rule| rule.starts_with("deny from 0.0.0.0/0 to any port 22 ")),
        "{words:#?}"
    );
    assert!(
        words
            .iter()
            .any(|rule| rule.starts_with("deny from 10.0.0.0/8 to any port 80 ")),
        "{words:#?}"
    );
    let left: Vec<usize> = import.left.iter().map(|remark| remark.place.line).collect();
    assert_eq!(left, [6, 8, 9, 11, 12, 13], "{:#?}", import.left);
}

#[test]
fn other_tables_are_listed_or_obeyed() {
    let text = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 203.0.113.9 -j DROP\nCOMMIT\n\
                *nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n\
                *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A FORWARD -j ACCEPT\nCOMMIT\n";
    let import = testing::import(&[
        (text, true),
        (&text.replace("203.0.113.9", "2001:db8::9"), false),
    ])
    .unwrap();
    assert_eq!(
        words(&import)[..2],
        ["deny from 203.0.113.9", "deny from 2001:db8::9"],
        "{:#?}",
        words(&import)
    );
    assert_eq!(import.meaning.looser, 0);
    assert_eq!(import.left.len(), 4, "{:#?}", import.left);
    assert!(
        import.left[0]
            .to_string()
            .contains("1 rule of nat PREROUTING"),
        "{:#?}",
        import.left
    );
}

#[test]
fn chains_in_circles_are_refused() {
    let text = "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n";
    let Err(failure) = testing::import(&[(text, true)]) else {
        panic!("circles were followed");
    };
    assert_eq!(failure.exit, Exit::BadConfiguration);
    assert!(failure.message.contains("in circles"), "{failure}");
}

#[test]
fn combinations_without_end_are_refused() {
    let mut rules = String::new();
    for index in 0..22 {
        rules += &format!(
            "-A INPUT ! -s 10.0.0.0/{} -p tcp ! --dport 1:{} -j DROP\n",
            8 + index,
            1000 - index
        );
    }
    let text = format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n");
    let Err(failure) = testing::import(&[(&text, true)]) else {
        panic!("too many rules were made");
    };
    assert!(failure.message.contains("these rules"), "{failure}");
}

#[test]
fn a_file_that_is_named_must_be_one() {
    use crate::{
        moving_in::{of_iptables, of_nft, saved::Whence},
        ruleset::testing::Folder,
    };
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let nothing = folder.write("nothing", "*filter\nCOMMIT\n");
    let cut = folder.write("cut", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p");
    let gone = folder.path().join("gone");
    for (file, exit, said) in [
        (pipe.as_path(), Exit::BadConfiguration, "not a regular file"),
        (folder.path(), Exit::BadConfiguration, "is a directory"),
        (&gone, Exit::NotFound, "no such file"),
        (&nothing, Exit::NotFound, "no rules about what arrives"),
        (&cut, Exit::BadConfiguration, "cut:3: -p has no value"),
    ] {
        let whence = Whence {
            file: Some(file),
            ..Whence::default()
        };
        let Err(failure) = of_iptables(&whence) else {
            panic!("{}", file.display());
        };
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.message.contains(said), "{failure}");
        assert!(failure.help.is_some(), "{failure}");
        assert!(of_nft(&whence).is_err());
    }
}
