//! Random rules, random packets: guard lets in nothing that the other firewall may drop, and everything else where it
//! has words for all of the rules.

use guard_common::testing::random::Random;

use super::{
    answers::answers,
    meaning::Ours,
    packet::{Probe, ProbeService},
    testing,
};

const NETWORKS: [[&str; 6]; 2] = [
    [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.0/24",
        "10.1.2.3",
        "203.0.113.0/24",
        "0.0.0.0/0",
    ],
    [
        "2001:db8::/32",
        "2001:db8:1::/48",
        "2001:db8:1:2::/64",
        "2001:db8:1:2::3",
        "fd00::/8",
        "::/0",
    ],
];
const HOSTS: [[&str; 6]; 2] = [
    [
        "10.0.0.1",
        "10.1.0.1",
        "10.1.2.1",
        "10.1.2.3",
        "203.0.113.9",
        "198.51.100.1",
    ],
    [
        "2001:db8::1",
        "2001:db8:1::1",
        "2001:db8:1:2::1",
        "2001:db8:1:2::3",
        "fd00::1",
        "3fff::1",
    ],
];
const PORTS: [u16; 5] = [1, 22, 80, 81, 65535];
const CHAINS: [&str; 4] = ["INPUT", "one", "two", "three"];

fn rule(random: &mut Random, chain: usize, is_v4: bool, is_clear: bool) -> String {
    let family = usize::from(!is_v4);
    let mut text = format!("-A {}", CHAINS[chain]);
    let not = |random: &mut Random| if random.once_in(5) { " !" } else { "" };
    if random.once_in(2) {
        text += &format!("{} -s {}", not(random), random.pick(&NETWORKS[family]));
    }
    if random.once_in(5) {
        text += &format!("{} -d {}", not(random), random.pick(&NETWORKS[family]));
    }
    if random.once_in(6) {
        text += &format!(
            "{} -i {}",
            not(random),
            random.pick(&["eth0", "eth1", "lo"])
        );
    }
    match random.below(6) {
        0..=2 => {
            text += &format!(" -p {}", random.pick(&["tcp", "udp"]));
            let (one, two) = (random.pick(&PORTS), random.pick(&PORTS));
            let (first, last) = (one.min(two), one.max(two));
            match random.below(4) {
                0 => text += &format!("{} --dport {one}", not(random)),
                1 => text += &format!(" --dport {first}:{last}"),
                2 => text += &format!(" -m multiport --dports {first},{last} --sport 1000:2000"),
                _ => {}
            }
        }
        3 if is_v4 => text += &format!(" -p icmp --icmp-type {}", random.pick(&[8, 13])),
        3 => text += &format!(" -p icmpv6 --icmpv6-type {}", random.pick(&[128, 139])),
        4 => text += &format!(" -p {}", random.pick(&["icmp", "icmpv6", "gre", "132"])),
        _ => {}
    }
    if random.once_in(8) {
        let state = random.pick(&["NEW", "ESTABLISHED,RELATED", "INVALID", "NEW,ESTABLISHED"]);
        text += &format!("{} --ctstate {state}", not(random));
    }
    if random.once_in(12) {
        text += random.pick(&[
            " -m addrtype --dst-type LOCAL",
            " -m addrtype --dst-type MULTICAST",
            " -m addrtype --dst-type BROADCAST",
        ]);
    }
    if !is_clear && random.once_in(4) {
        text += random.pick(&[" -m mark --mark 0x1", " -m limit --limit 3/min", " -i eth+"]);
    }
    // Only to chains behind this one: no circles.
    let target = match random.below(if is_clear { 9 } else { 10 }) {
        0..=2 => "-j ACCEPT",
        3..=4 => "-j DROP",
        5 => "-j RETURN",
        6..=7 if chain + 1 < CHAINS.len() => {
            let jump = if random.once_in(4) { "-g" } else { "-j" };
            let to = chain + 1 + random.below(CHAINS.len() - chain - 1);
            return format!("{text} {jump} {}\n", CHAINS[to]);
        }
        8 => "-j REJECT --reject-with icmp-port-unreachable",
        9 => random.pick(&["-j NFQUEUE", "-j LOG --log-prefix x"]),
        _ => "-j ACCEPT",
    };
    format!("{text} {target}\n")
}

fn table(random: &mut Random, is_v4: bool, is_clear: bool) -> String {
    let policy = random.pick(&["ACCEPT", "DROP", "DROP"]);
    let mut text =
        format!("*filter\n:INPUT {policy} [0:0]\n:one - [0:0]\n:two - [0:0]\n:three - [0:0]\n");
    for chain in 0..CHAINS.len() {
        for _ in 0..random.below(5) {
            text += &rule(random, chain, is_v4, is_clear);
        }
    }
    text + "COMMIT\n"
}

fn packet(random: &mut Random) -> Probe {
    let family = random.below(2);
    let destination = if random.once_in(4) {
        random.pick(&[["224.0.0.9", "255.255.255.255"], ["ff02::9", "ff0e::1"]][family])
    } else {
        random.pick(&HOSTS[family])
    };
    let from = random.pick(&[999, 1000, 1500, 2000, 2001, 40_000]);
    let to = match random.below(4) {
        0 => random.pick(&PORTS).saturating_add(1),
        _ => random.pick(&PORTS),
    };
    Probe {
        source: random.pick(&HOSTS[family]).parse().unwrap(),
        destination: destination.parse().unwrap(),
        interface: random.pick(&["eth0", "eth1", "wan"]).to_owned(),
        asked: match random.below(8) {
            0 => ProbeService::Icmp(random.pick(&[[8, 13, 14], [128, 139, 140]][family])),
            1 => ProbeService::Other(random.pick(&[47, 132, 50])),
            2..=4 => ProbeService::Udp { from, to },
            _ => ProbeService::Tcp { from, to },
        },
    }
}

#[test]
fn guard_lets_in_what_they_let_in_and_nothing_that_they_may_drop() {
    let mut random = Random::new(18);
    let (mut whole, mut partial, mut let_in) = (0, 0, 0);
    for round in 0..240 {
        let is_clear = round % 2 == 0;
        let v4 = table(&mut random, true, is_clear);
        let v6 = table(&mut random, false, is_clear);
        let Ok(import) = testing::import(&[(&v4, true), (&v6, false)]) else {
            continue;
        };
        let is_whole = import.left.is_empty();
        *(if is_whole { &mut whole } else { &mut partial }) += 1;
        assert_eq!(import.meaning.looser, 0, "{v4}{v6}{}", import.text);
        let ours = Ours::new(&import.policy).unwrap();
        for _ in 0..300 {
            let packet = packet(&mut random);
            if packet.is_decided_without_rules() {
                continue;
            }
            let theirs = answers(&import.firewall, &packet);
            let is_let_in = ours.lets_in(&packet);
            let_in += usize::from(is_let_in);
            assert!(
                theirs.surely_accepted() || !is_let_in,
                "guard lets in {packet:?}\n{v4}{v6}{}",
                import.text
            );
            if is_whole {
                assert_eq!(
                    theirs.accept, is_let_in,
                    "{packet:?}\n{v4}{v6}{}",
                    import.text
                );
            }
        }
    }
    assert!(
        whole > 60 && partial > 30 && let_in > 3000,
        "{whole} {partial} {let_in}"
    );
}
