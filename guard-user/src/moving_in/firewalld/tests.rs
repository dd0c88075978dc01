//! Files of firewalld, and the policies they become.

use super::super::{Import, of_firewalld};
use crate::{
    failure::{Exit, Failure},
    ruleset::{describe, testing::Folder},
};

const SSH: &str = r#"<service><short>SSH</short><port protocol="tcp" port="22"/></service>"#;
const MDNS: &str = r#"<service><port protocol="udp" port="5353"/><destination ipv4="224.0.0.251" ipv6="ff02::fb"/></service>"#;

/// A firewalld with these zones.
fn imported(zones: &[(&str, &str)]) -> Result<Import, Failure> {
    let folder = Folder::new();
    folder.write("etc/firewalld/firewalld.conf", "# x\nDefaultZone=public\n");
    folder.write("usr/lib/firewalld/services/ssh.xml", SSH);
    folder.write("usr/lib/firewalld/services/mdns.xml", MDNS);
    folder.write(
        "etc/firewalld/ipsets/bad.xml",
        r#"<ipset type="hash:net"><entry>203.0.113.0/24</entry><entry>198.51.100.9</entry></ipset>"#,
    );
    for (name, text) in zones {
        let text = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{text}");
        folder.write(&format!("etc/firewalld/{name}.xml"), text);
    }
    of_firewalld(folder.path())
}

fn words(import: &Import) -> Vec<String> {
    assert_eq!(import.meaning.looser, 0, "{}", import.text);
    let rules = import.policy.rules.iter();
    rules.map(describe::command).collect()
}

#[test]
fn zones_become_rules_of_senders_interfaces_and_all_others() {
    let import = imported(&[
        (
            "zones/public",
            r#"<zone><service name="ssh"/><service name="mdns"/><port port="8000-8010" protocol="tcp"/>
               <source-port port="123" protocol="udp"/><protocol value="gre"/><forward/></zone>"#,
        ),
        (
            "zones/work",
            r#"<zone target="DROP"><interface name="eth1"/><source address="10.0.0.0/8"/><port port="5432" protocol="tcp"/></zone>"#,
        ),
        ("zones/trusted", r#"<zone target="ACCEPT"><interface name="eth2"/></zone>"#),
        ("zones/unused", r#"<zone target="ACCEPT"/>"#),
        ("zones/bad", r#"<zone target="%%REJECT%%"><source ipset="bad"/></zone>"#),
    ])
    .unwrap();
    assert_eq!(
        words(&import),
        [
            "deny from 203.0.113.0/24,198.51.100.9",
            "allow from 10.0.0.0/8 to any port 5432 proto tcp",
            "deny from 10.0.0.0/8",
            "allow on eth2 from any",
            "allow on eth1 5432/tcp",
            "deny on eth1 from any",
            "allow 22/tcp comment ssh",
            "allow from any to 224.0.0.251,ff02::fb port 5353 proto udp comment mdns",
            "allow 8000:8010/tcp",
            "allow from any port 123 to any proto udp",
            "allow proto gre",
            "allow from 0.0.0.0/0 proto icmp",
            "allow from ::/0 proto icmpv6",
        ]
    );
    assert_eq!(import.left, []);
    assert_eq!(import.meaning.stricter, 0, "{:?}", import.meaning.rows);
}

#[test]
fn rich_rules_act_by_priority_and_refusals_before_what_is_let_in() {
    let import = imported(&[(
        "zones/public",
        r#"<zone><service name="ssh"/><icmp-block name="echo-request"/>
           <rule family="ipv4"><source address="192.0.2.0/24"/><service name="ssh"/><reject/></rule>
           <rule family="ipv4" priority="-5"><source address="192.0.2.7"/><port port="22" protocol="tcp"/><accept/></rule>
           <rule priority="5"><port port="80" protocol="tcp"/><accept/></rule>
           <rule family="ipv6"><source address="2001:db8::/32" invert="True"/><port port="81" protocol="tcp"/><accept/></rule>
           </zone>"#,
    )])
    .unwrap();
    let words = words(&import);
    assert_eq!(words[0], "allow from 192.0.2.7 to any port 22 proto tcp");
    assert_eq!(
        words[1],
        "deny from 192.0.2.0/24 to any port 22 proto tcp comment ssh"
    );
    assert!(words.contains(&"deny ping".to_owned()), "{words:#?}");
    assert_eq!(import.left, []);
    assert_eq!(import.meaning.stricter, 0);
}

#[test]
fn what_has_no_equivalent_is_listed_and_lets_in_less() {
    let import = imported(&[
        (
            "zones/public",
            r#"<zone><service name="nosuch"/><port port="5" protocol="sctp"/><masquerade/>
               <forward-port port="80" protocol="tcp" to-port="8080"/>
               <rule><service name="ssh"/><accept><limit value="3/m"/></accept></rule>
               <rule><service name="ssh"/><log prefix="x"/><accept/></rule>
               <rule><source mac="00:11:22:33:44:55"/><port port="90" protocol="tcp"/><drop/></rule>
               <port port="90" protocol="tcp"/></zone>"#,
        ),
        ("zones/lan", r#"<zone target="ACCEPT"><source mac="00:11:22:33:44:56"/></zone>"#),
        ("policies/own", r#"<policy target="CONTINUE"><ingress-zone name="ANY"/><egress-zone name="HOST"/></policy>"#),
    ])
    .unwrap();
    let words = words(&import);
    assert_eq!(
        words,
        [
            "deny 90/tcp comment 'perhaps more than X drops'"
                .replace("X", &place(&import, "mac=\"00:11:22:33:44:55\"")),
            "allow 22/tcp comment ssh".to_owned(),
            "allow from 0.0.0.0/0 proto icmp".to_owned(),
            "allow from ::/0 proto icmpv6".to_owned(),
        ]
    );
    assert_eq!(import.left.len(), 9, "{:#?}", import.left);
}

fn place(import: &Import, of: &str) -> String {
    let of = of.replace('"', "\\\"");
    let remark = import.left.iter().find(|left| left.what.contains(&of));
    remark.expect("a remark").place.to_string()
}

#[test]
fn policies_that_drop_are_not_passed_over() {
    let public = ("zones/public", r#"<zone><service name="ssh"/></zone>"#);
    let import = imported(&[
        public,
        ("policies/own", r#"<policy target="DROP"><ingress-zone name="ANY"/><egress-zone name="HOST"/></policy>"#),
    ])
    .unwrap();
    assert_eq!(words(&import), [""; 0]);
    assert_eq!(import.left.len(), 1);
}

#[test]
fn damaged_files_are_refused_with_their_line() {
    for (text, said) in [
        ("<zone>\n<service", "public.xml:1: this is no XML"),
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]><zone>&b;</zone>",
            "this is no XML",
        ),
        ("", "this is no XML"),
        (&"<a>".repeat(100_000), "nested too deeply"),
        (&"<a b='/>'>".repeat(100_000), "nested too deeply"),
        (
            &format!("{}{}", "<a>".repeat(30), "</a>".repeat(30)),
            "nested too deeply",
        ),
    ] {
        let failure = imported(&[("zones/public", text)])
            .map(|import| import.text)
            .unwrap_err();
        assert_eq!(failure.exit, Exit::BadConfiguration, "{failure}");
        assert!(failure.message.contains(said), "{said}: {failure}");
    }
    let nothing = imported(&[]).map(|import| import.text).unwrap_err();
    assert!(nothing.message.contains("no zone \"public\""), "{nothing}");
    let nobody = Folder::new();
    assert_eq!(
        of_firewalld(nobody.path()).map(|_| ()).unwrap_err().exit,
        Exit::NotFound
    );
}
