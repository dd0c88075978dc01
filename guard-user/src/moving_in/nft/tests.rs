//! Rulesets of nftables, and what they mean.

use super::{super::testing, *};
use crate::{moving_in::Import, ruleset::describe};

fn imported(text: &str) -> Import {
    let import = testing::import_nft(text).expect("an import");
    assert_eq!(import.meaning.looser, 0, "{}", import.text);
    import
}

fn words(import: &Import) -> Vec<String> {
    let rules = import.policy.rules.iter();
    rules.map(describe::command).collect()
}

fn input(rules: &str) -> String {
    format!(
        "table inet filter {{\n\
         set office {{\n\ttype ipv4_addr\n\tflags interval\n\telements = {{ 10.0.0.0/8,\n\t\t192.0.2.1-192.0.2.3 }}\n}}\n\
         set busy {{\n\ttype ipv4_addr\n\tflags dynamic,timeout\n\ttimeout 1m\n}}\n\
         chain input {{\n\ttype filter hook input priority filter; policy drop;\n{rules}\n}}\n\
         chain web {{\n\ttcp dport {{ 80, 443 }} accept\n\treturn\n}}\n\
         chain output {{\n\ttype filter hook output priority 0; policy accept;\n\tip daddr 192.0.2.9 drop\n}}\n}}\n"
    )
}

#[test]
fn a_plain_ruleset_becomes_a_plain_policy() {
    let import = imported(&input(
        "ct state vmap { established : accept, related : accept, invalid : drop }\n\
         iifname \"lo\" accept\n\
         tcp dport 22 ct state new counter packets 5 bytes 300 accept comment \"ssh\"\n\
         jump web\n\
         udp dport { 53, 6000-6010 } accept\n\
         ip saddr @office tcp dport 5432 accept\n\
         ip6 saddr 2001:db8::/32 meta l4proto { tcp, udp } th dport 161 accept\n\
         icmp type echo-request accept\n\
         icmpv6 type { echo-request, nd-neighbor-solicit, nd-router-advert } accept\n\
         iifname { \"eth1\", \"eth2\" } tcp dport 3306 accept\n\
         tcp flags & (fin | syn) == (fin | syn) drop\n\
         tcp flags != syn / fin,syn,rst,ack ct state new drop\n\
         ip protocol gre accept\n\
         reject with icmpx admin-prohibited",
    ));
    assert_eq!(
        words(&import),
        [
            "allow 22/tcp comment ssh",
            "allow 80,443/tcp",
            "allow 53,6000:6010/udp",
            "allow from 10.0.0.0/8,192.0.2.2/31,192.0.2.1 to any port 5432 proto tcp",
            "allow from 2001:db8::/32 to any port 161 proto tcp",
            "allow from 2001:db8::/32 to any port 161 proto udp",
            "allow ping",
            "allow on eth1 3306/tcp",
            "allow on eth2 3306/tcp",
            "allow from 0.0.0.0/0 proto gre",
        ]
    );
    assert_eq!(import.meaning.stricter, 0, "{:?}", import.meaning);
    assert_eq!(import.left.len(), 1, "{:#?}", import.left);
    assert!(import.left[0].to_string().contains("hook output"));
}

#[test]
fn what_is_not_understood_lets_in_less() {
    let import = imported(&input(
        "tcp dport 22 limit rate 10/minute accept\n\
         tcp dport 22-23 update @busy { ip saddr limit rate over 5/minute } drop\n\
         tcp dport 23 accept\n\
         ip saddr @busy drop\n\
         ip saddr . tcp dport { 192.0.2.7 . 80 } accept\n\
         tcp dport 25 log prefix \"mail \" accept\n\
         iifname \"eth*\" tcp dport 26 drop\n\
         tcp dport vmap { 27 : accept, 28 : drop, 29 : goto web }\n\
         tcp dport vmap @ports\n\
         meta mark 0x1 jump web",
    ));
    let words = words(&import);
    assert!(
        words.iter().any(|rule| rule.starts_with("deny 22:23/tcp")),
        "{words:#?}"
    );
    assert!(
        words
            .iter()
            .any(|rule| rule.starts_with("deny from 0.0.0.0/0 comment")),
        "{words:#?}"
    );
    let lines: Vec<usize> = import.left.iter().map(|remark| remark.place.line).collect();
    assert_eq!(lines.len(), 9, "{:#?}", import.left);
}

#[test]
fn several_tables_must_all_accept() {
    let import = imported(
        "table ip f2b {\n set banned {\n type ipv4_addr\n elements = { 203.0.113.7 }\n }\n\
         chain first {\n type filter hook input priority -1; policy accept;\n tcp dport 22 ip saddr @banned reject\n }\n}\n\
         table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }\n}\n",
    );
    assert_eq!(
        words(&import),
        [
            "deny from 203.0.113.7 to any port 22 proto tcp",
            "allow 22/tcp",
        ]
    );
    assert_eq!(import.meaning.stricter, 0);
}

#[test]
fn definitions_are_put_in_and_files_that_hide_rules_are_refused() {
    let import = imported(
        "#!/usr/sbin/nft -f\nflush ruleset\ndefine ports = { 22, 80 }\ndefine all = $ports\n\
         table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n tcp dport $all accept\n }\n}\n",
    );
    assert_eq!(words(&import), ["allow 22,80/tcp"]);
    for (text, said) in [
        (
            "include \"/etc/nft.d/*\"\n",
            "rules:1: another file is included",
        ),
        (
            "add rule inet filter input tcp dport 22 accept\n",
            "rules:1: this is no table",
        ),
        (
            "table inet x {\n chain input {\n tcp dport $no accept\n }\n}\n",
            "rules:3: a name that is not defined",
        ),
        (
            "table inet x {\n chain input {\n tcp dport 22 accept\n",
            "it was cut off",
        ),
        (
            "table inet x {\n chain \"input {\n",
            "rules:2: a quotation without an end",
        ),
        (
            "table inet x {\n set a {\n elements = { 1",
            "it was cut off",
        ),
        ("table inet x {\n counter a {", "it was cut off"),
        ("table inet a b c {\n}\n", "a table without a name"),
    ] {
        let Err(failure) = testing::import_nft(text) else {
            panic!("{text}");
        };
        assert!(failure.message.contains(said), "{text}: {failure}");
        assert_eq!(failure.exit, Exit::BadConfiguration);
    }
}
