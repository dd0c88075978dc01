//! A3: a scanner learns nothing but the open port, and every probe is accounted for.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use guard_common::packet::{Frame, Packet, TcpFlags, Transport, parse};
use guard_tests::{
    lab::{Capture, Counted, Instance, Seen, TcpEcho, Topology, UdpEcho, finish},
    require,
};

/// The one port that everybody may reach.
const OPEN: u16 = 80;
/// Ports on which something listens that nobody but the friend may reach.
const HIDDEN: [u16; 3] = [22, 53, 9000];

/// A scan, and the number of probes below which it has not taken place.
struct Scan {
    options: &'static str,
    at_least: u64,
}

/// Every port, once.
const ALL_PORTS: Scan = Scan {
    options: "-sS -p1-65535",
    at_least: 65_535,
};
/// Short form of [`ALL_PORTS`].
const FIRST_PORTS: Scan = Scan {
    options: "-sS -p1-1000",
    at_least: 1000,
};
const OTHERS: [Scan; 6] = [
    Scan {
        options: "-sU --top-ports 100",
        at_least: 100,
    },
    Scan {
        options: "-sA -p1-1000",
        at_least: 1000,
    },
    Scan {
        options: "-sN -p1-1000",
        at_least: 1000,
    },
    Scan {
        options: "-sF -p1-1000",
        at_least: 1000,
    },
    Scan {
        options: "-sX -p1-1000",
        at_least: 1000,
    },
    Scan {
        options: "-sO -p0-255",
        at_least: 200,
    },
];

#[test]
fn ipv4_scans_find_the_open_port_and_nothing_else() {
    check("-4", "native", &ALL_PORTS);
}

#[test]
fn ipv6_scans_find_the_open_port_and_nothing_else() {
    check("-6", "native", &ALL_PORTS);
}

#[test]
fn ipv4_scans_find_the_open_port_and_nothing_else_in_generic_mode() {
    check("-4", "generic", &FIRST_PORTS);
}

#[test]
fn ipv6_scans_find_the_open_port_and_nothing_else_in_generic_mode() {
    check("-6", "generic", &FIRST_PORTS);
}

fn check(family: &str, mode: &str, first: &Scan) {
    if !require::root() || !require::program("nmap") {
        return;
    }
    let lab = Topology::new();
    let _servers: Vec<(TcpEcho, UdpEcho)> = HIDDEN
        .into_iter()
        .chain([OPEN])
        .map(|port| {
            (
                TcpEcho::start(&lab.srv, port),
                UdpEcho::start(&lab.srv, port),
            )
        })
        .collect();
    let guard = Instance::new(&lab.srv);
    if mode == "generic" {
        lab.wan.ip("link set srv mtu 9000");
    }
    for line in [
        "allow 80/tcp",
        "allow 198.51.100.10",
        "allow 2001:db8:100::10",
    ] {
        drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
    }
    drop(
        guard
            .guardctl(&["enable", "--iface", "eth0"])
            .ok()
            .says(mode),
    );
    let target = if family == "-4" {
        lab.srv.v4
    } else {
        lab.srv.v6
    };
    for scan in [first].into_iter().chain(&OTHERS) {
        run(&lab, &guard, target, scan);
    }
}

/// One scan between two looks at the counters, watched at both ends of the server's cable.
fn run(lab: &Topology, guard: &Instance, target: IpAddr, scan: &Scan) {
    let what = format!("nmap {} {target}", scan.options);
    let before = guard.counted();
    let on_the_wire = Capture::start(&lab.wan, "srv");
    let in_the_stack = Capture::start(&lab.srv, "eth0");

    let mut nmap = lab.attacker.command("nmap");
    nmap.args([
        "-Pn",
        "-n",
        "-T5",
        "--max-retries",
        "0",
        "--min-rate",
        "4000",
        "-oG",
        "-",
    ]);
    nmap.args(scan.options.split(' '));
    if target.is_ipv6() {
        nmap.arg("-6");
    }
    let ran = finish(nmap.arg(target.to_string()), Duration::from_secs(120)).ok();

    let arrived: Vec<Seen> = on_the_wire
        .stop()
        .into_iter()
        .filter(|seen| seen.is_outgoing)
        .collect();
    let (sent, received): (Vec<Seen>, Vec<Seen>) = in_the_stack
        .stop()
        .into_iter()
        .partition(|seen| seen.is_outgoing);
    let after = guard.counted();

    // What was delivered, and what was answered.
    let probes = arrived.iter().filter(|seen| !is_essential(seen)).count() as u64;
    assert!(
        probes >= scan.at_least,
        "{what}: only {probes} probes arrived\n{ran}"
    );
    assert_none(&what, "delivered", &received, |seen| {
        is_essential(seen) || is_to_open(seen)
    });
    assert_none(&what, "answered", &sent, |seen| {
        is_essential(seen) || is_from_open(seen)
    });
    // What the scanner believes.
    let found = states(&ran.stdout);
    match scan.options.split(' ').next() {
        Some("-sS") => assert_eq!(found.get("open"), Some(&vec![OPEN]), "{what}\n{ran}"),
        Some("-sA") => assert_eq!(found.get("unfiltered"), Some(&vec![OPEN]), "{what}\n{ran}"),
        Some("-sO") => {}
        _ => assert!(
            found.keys().all(|state| state == "open|filtered"),
            "{what}\n{ran}"
        ),
    }
    assert!(!found.contains_key("closed"), "{what}\n{ran}");
    // What guard says. Address resolution goes on beside the scan, at its own pace.
    let since = |count: fn(&Counted) -> u64| count(&after) - count(&before);
    let passed = since(|counted| counted.all("pass") - essential(counted));
    let dropped = since(|counted| counted.all("drop"));
    let delivered = received.iter().filter(|seen| !is_essential(seen)).count() as u64;
    assert_eq!(
        (passed + dropped, passed),
        (probes, delivered),
        "{what}: {:?}",
        after.table()
    );
    println!(
        "{what}: {probes} probes, {dropped} dropped, {passed} passed, {} sent",
        sent.len()
    );
}

fn essential(counted: &Counted) -> u64 {
    ["arp", "ndp", "mld", "igmp"]
        .into_iter()
        .map(|reason| counted.reason(reason))
        .sum()
}

#[track_caller]
fn assert_none(what: &str, verb: &str, frames: &[Seen], is_allowed: impl Fn(&Seen) -> bool) {
    let wrong: Vec<&Seen> = frames.iter().filter(|seen| !is_allowed(seen)).collect();
    assert!(
        wrong.is_empty(),
        "{what}: {} frames {verb}, the first {:?}",
        wrong.len(),
        wrong[0]
    );
}

/// Address resolution and multicast membership, which guard always lets through.
fn is_essential(seen: &Seen) -> bool {
    const IGMP: u8 = 2;
    let packet = Packet::default();
    match parse(seen.frame.as_slice(), &packet) {
        Ok(Frame::Arp) => true,
        Ok(Frame::Ip) => {
            let is_from_link = packet.hop_limit() == 255 || packet.hop_limit() == 1;
            match packet.transport() {
                Transport::Icmpv6 { kind, .. } => is_from_link && matches!(kind, 133..=136 | 143),
                Transport::Other => packet.protocol() == IGMP && packet.hop_limit() == 1,
                Transport::None
                | Transport::Tcp { .. }
                | Transport::Udp { .. }
                | Transport::Icmp { .. } => false,
            }
        }
        Ok(_) | Err(_) => false,
    }
}

/// To the open port, by a segment that some stack would send.
fn is_to_open(seen: &Seen) -> bool {
    seen.packet()
        .is_some_and(|packet| match packet.transport() {
            Transport::Tcp {
                destination_port,
                flags,
                ..
            } => {
                destination_port == OPEN
                    && flags.has_any(TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST)
            }
            Transport::Udp { .. }
            | Transport::None
            | Transport::Icmp { .. }
            | Transport::Icmpv6 { .. }
            | Transport::Other => false,
        })
}

fn is_from_open(seen: &Seen) -> bool {
    let transport = seen.packet().map(|packet| packet.transport());
    matches!(
        transport,
        Some(Transport::Tcp {
            source_port: OPEN,
            ..
        })
    )
}

/// Ports by state, of nmap's "grepable" output: `Ports: 80/open/tcp//http///`, `Ignored State:
/// filtered (999)`. States that nmap sums up have no ports here.
fn states(output: &str) -> BTreeMap<String, Vec<u16>> {
    let mut states: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for part in output.lines().flat_map(|line| line.split('\t')) {
        if let Some(ports) = part.strip_prefix("Ports: ") {
            for port in ports.split(", ") {
                let mut fields = port.split('/');
                if let (Some(Ok(number)), Some(state)) =
                    (fields.next().map(str::parse::<u16>), fields.next())
                {
                    states.entry(state.to_owned()).or_default().push(number);
                }
            }
        }
        if let Some(ignored) = part.strip_prefix("Ignored State: ") {
            let state = ignored.split(' ').next().unwrap_or_default();
            states.entry(state.to_owned()).or_default();
        }
    }
    states
}
