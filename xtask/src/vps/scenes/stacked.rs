//! Devices upon devices: VLAN, bond, macvlan, ipvlan, VRF. What the table of the guide says is covered is covered,
//! `status` agrees, and replies come in. The peer is a namespace inside the guest, whose kernel has these devices.

use anyhow::{Result, bail};

use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
};

/// A way to stack devices on the cards `up0` and `up1`, whose other ends are `out0` and `out1` in the namespace
/// `out`. The server gets 198.51.99.1, the peer 198.51.99.2.
struct Stack {
    name: &'static str,
    /// For the server, as `ip -batch` takes it.
    server: &'static str,
    /// For the peer.
    peer: &'static str,
    /// Each set of interfaces that is enough.
    guarded: &'static [&'static str],
}

const STACKS: &[Stack] = &[
    Stack {
        name: "VLAN",
        server: "link add link up0 name top type vlan id 5
link set top up
address add 198.51.99.1/24 dev top",
        peer: "link add link out0 name top type vlan id 5
link set top up
address add 198.51.99.2/24 dev top",
        guarded: &["up0", "top"],
    },
    Stack {
        name: "VLAN in a VLAN",
        server: "link add link up0 name middle type vlan protocol 802.1ad id 5
link set middle up
link add link middle name top type vlan id 6
link set top up
address add 198.51.99.1/24 dev top",
        peer: "link add link out0 name middle type vlan protocol 802.1ad id 5
link set middle up
link add link middle name top type vlan id 6
link set top up
address add 198.51.99.2/24 dev top",
        guarded: &["up0", "middle", "top"],
    },
    Stack {
        name: "bond",
        server: "link add top type bond mode active-backup miimon 100
link set up0 down
link set up1 down
link set up0 master top
link set up1 master top
link set top up
address add 198.51.99.1/24 dev top",
        peer: "link add top type bridge
link set out0 master top
link set out1 master top
link set top up
address add 198.51.99.2/24 dev top",
        guarded: &["top", "up0 up1"],
    },
    Stack {
        name: "macvlan",
        server: "link add link up0 name top type macvlan mode bridge
link set top up
address add 198.51.99.1/24 dev top",
        peer: "address add 198.51.99.2/24 dev out0",
        guarded: &["up0"],
    },
    Stack {
        name: "ipvlan",
        server: "link add link up0 name top type ipvlan mode l2
link set top up
address add 198.51.99.1/24 dev top",
        peer: "address add 198.51.99.2/24 dev out0",
        guarded: &["up0"],
    },
    Stack {
        name: "VRF",
        server: "link add top type vrf table 10
link set top up
link set up0 master top
address add 198.51.99.1/24 dev up0",
        peer: "address add 198.51.99.2/24 dev out0",
        guarded: &["up0"],
    },
];

/// Two cables to a peer with an SSH server.
const CABLES: &str = "set -e
ip netns add out
for n in 0 1; do
    ip link add up$n type veth peer name out$n netns out
    ip link set up$n up
    ip -n out link set out$n up
done
ip -n out link set lo up
sysctl -qw net.ipv4.tcp_l3mdev_accept=1
mkdir -p /run/sshd
ip netns exec out /usr/sbin/sshd -o PidFile=/run/stacked.pid -o ListenAddress=0.0.0.0";

const CUT: &str = "kill $(cat /run/stacked.pid) 2>/dev/null
ip link delete top 2>/dev/null
ip netns delete out
while [ -e /sys/class/net/up0 ]; do sleep 0.1; done";

/// Plays all of them, and says what was not as the guide has it.
pub(super) fn stacked(guest: &mut Guest<'_>) -> Result<()> {
    guest.must("systemctl stop guard; guardctl --yes disable")?;
    let mut wrong = Vec::new();
    for stack in STACKS {
        guest.must(CABLES)?;
        let batches = format!(
            "set -e\nip -batch - <<X\n{}\nX\nip -n out -batch - <<X\n{}\nX",
            stack.server, stack.peer
        );
        let made = guest.run(&batches)?;
        if made.status == 0 {
            for guarded in stack.guarded {
                let found = evaluate(guest, stack, guarded)?;
                println!(
                    "  {} with guard on {guarded}: {}",
                    stack.name,
                    found.join(", ")
                );
                if found != RIGHT {
                    wrong.push(format!("{} with guard on {guarded}", stack.name));
                }
            }
        } else {
            wrong.push(format!("{} cannot be made: {}", stack.name, made.output));
        }
        guest.must(CUT)?;
    }
    guest.must(&format!(
        "guardctl --yes enable --iface {NIC} && systemctl start guard"
    ))?;
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("not as the guide says: {}", wrong.join("; "))
}

const RIGHT: [&str; 5] = [
    "open without guard",
    "closed",
    "SSH answers",
    "replies pass",
    "status agrees",
];

/// What is so with guard on these interfaces.
fn evaluate(guest: &mut Guest<'_>, stack: &Stack, guarded: &str) -> Result<Vec<&'static str>> {
    const FROM_PEER: &str = "ip netns exec out timeout 3 bash -c";
    let closed = format!("{FROM_PEER} 'exec 3<>/dev/tcp/198.51.99.1/{CLOSED}'");
    let ssh = format!(
        "{FROM_PEER} 'exec 3<>/dev/tcp/198.51.99.1/22; read -t 3 line <&3; [[ $line == SSH* ]]'"
    );
    let inside = if stack.name == "VRF" {
        "ip vrf exec top"
    } else {
        ""
    };
    let out = format!(
        "{inside} timeout 5 bash -c 'exec 3<>/dev/tcp/198.51.99.2/22; read -t 3 line <&3; [[ $line == SSH* ]]'"
    );
    let interfaces: String = guarded
        .split(' ')
        .map(|name| format!(" --iface {name}"))
        .collect();
    let mut found = Vec::new();
    // The other end of a bond needs a moment.
    guest.until(&closed)?;
    found.push(RIGHT[0]);
    guest.must(&format!("guardctl --yes enable{interfaces}"))?;
    let silent = guest.run(&closed)?.status;
    let questions = [
        (silent == 124, RIGHT[1]),
        (guest.run(&ssh)?.status == 0, RIGHT[2]),
        (guest.run(&out)?.status == 0, RIGHT[3]),
    ];
    found.extend(
        questions
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, what)| *what),
    );
    // The guest's own NIC is left without guard here, and named; nothing else may be.
    let status = guest.run("guardctl status")?;
    let named = status.output.matches("NOT GUARDED").count();
    if named == 1 && status.output.contains(&format!("{NIC}: NOT GUARDED")) {
        found.push(RIGHT[4]);
    } else {
        println!("{}", status.output);
    }
    guest.must("guardctl --yes disable")?;
    Ok(found)
}
