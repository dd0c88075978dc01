//! Rules that real iptables and nft have put in the kernel, and guard's.

use std::{io::Write as _, process::Stdio};

use super::scene::{Scene, assert_same};

const PROGRAMS: [&str; 4] = ["iptables", "ip6tables", "iptables-save", "nft"];

/// Of each family; `SRC` stands for the attacker's network, `FRIEND` for the friend.
const RULES: [&str; 15] = [
    "-N web",
    "-N mail",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A INPUT -m conntrack --ctstate INVALID -j DROP",
    "-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
    "-A INPUT -p tcp -m multiport --dports 80,443 -j web",
    "-A INPUT -p tcp --dport 25 -g mail",
    "-A INPUT ! -s SRC -p udp --dport 53 -j ACCEPT",
    "-A INPUT -s FRIEND -p tcp -m tcp --dport 9000:9001 --syn -j ACCEPT",
    "-A web -s SRC -p tcp --dport 80 -j REJECT",
    "-A web -s FRIEND -p tcp --dport 443 -j RETURN",
    "-A web -j ACCEPT",
    "-A mail -s FRIEND -j ACCEPT",
    "-P INPUT DROP",
];

#[test]
fn what_iptables_lets_in_guard_lets_in_and_nothing_else() {
    let Some(scene) = Scene::new(&PROGRAMS) else {
        return;
    };
    for (program, source, friend, icmp) in [
        (
            "iptables",
            "203.0.113.0/24",
            "198.51.100.10",
            "-p icmp --icmp-type echo-request",
        ),
        (
            "ip6tables",
            "2001:db8:66::/48",
            "2001:db8:100::10",
            "-p icmpv6",
        ),
    ] {
        scene.on_server(&format!("{program} -A INPUT {icmp} -j ACCEPT"));
        for rule in RULES {
            let rule = rule.replace("SRC", source).replace("FRIEND", friend);
            scene.on_server(&format!("{program} {rule}"));
        }
    }
    let theirs = scene.reached();
    let ran = scene.import(&["iptables"], 0);
    for program in ["iptables", "ip6tables"] {
        scene.on_server(&format!("{program} -P INPUT ACCEPT"));
        scene.on_server(&format!("{program} -F"));
    }
    scene.enable();
    assert_same(&theirs, &scene.reached(), &ran.stdout);
}

const RULESET: &str = "\
table inet filter {
    set friends { type ipv6_addr; flags interval; elements = { 2001:db8:100::/48, 2001:db8:ff::1-2001:db8:ff::9 } }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iif lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, echo-request } accept
        icmp type echo-request accept
        tcp dport { 22, 2222 } counter accept comment \"shells\"
        tcp dport { 80, 443 } jump web
        ip saddr 198.51.100.0-198.51.100.20 udp dport 53 accept
        ip6 saddr @friends meta l4proto { tcp, udp } th dport 5000-9000 accept
        iifname != \"eth0\" tcp dport 25 accept
        tcp flags & (fin | syn) == (fin | syn) drop
    }
    chain web {
        ip saddr 203.0.113.0/24 tcp dport vmap { 80 : drop, 443 : return }
        accept
    }
}
table ip first {
    chain input {
        type filter hook input priority filter - 10; policy accept;
        ip saddr 203.0.113.66 tcp dport 22 reject
    }
}
";

#[test]
fn what_nftables_lets_in_guard_lets_in_and_nothing_else() {
    let Some(scene) = Scene::new(&PROGRAMS) else {
        return;
    };
    let mut nft = scene.lab.srv.command("nft");
    let mut nft = nft
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft");
    let mut input = nft.stdin.take().expect("its input");
    input.write_all(RULESET.as_bytes()).expect("a ruleset");
    drop(input);
    assert!(nft.wait().expect("nft").success());
    let theirs = scene.reached();
    let ran = scene.import(&["nft"], 0);
    scene.on_server("nft flush ruleset");
    scene.enable();
    assert_same(&theirs, &scene.reached(), &ran.stdout);
}
