//! A28 for every reason: whatever it is for which a packet is dropped or answered, `monitor` shows it, of both families.

use std::collections::BTreeSet;

use guard_common::{
    abi::reason::{
        Action,
        Reason::{self, *},
    },
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    lab::{Answer, Background, Instance, TcpEcho, Topology, UdpEcho, Wire, until},
    require,
};

use super::scene::lines;

/// Open, and somebody answers there: else nobody knows what is part of a session.
const OPEN: u16 = 1000;
/// Open, and nobody listens.
const UNUSED: u16 = 5000;
const DENIED: u16 = 2000;
const CLOSED: u16 = 3000;
const LIMITED: u16 = 4000;
const POLICY: &str = r#"
interfaces = ["eth0"]

[limits]
ceiling = "1/s"
out-of-state = "0"
udp = "0"

[[rule]]
action = "allow"
port = 1000

[[rule]]
action = "allow"
port = 5000

[[rule]]
action = "deny"
port = 2000

[[rule]]
action = "limit"
port = 4000
proto = "tcp"
rate = "1/h"
burst = 1
"#;

/// What takes more than a packet.
const FLOOD: u32 = 4000;
/// One padding option of IPv6 that fills eight bytes, and a fragment header that fragments nothing.
const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];
const ATOMIC: [u8; 7] = [0, 0, 0, 0, 0, 0, 9];
const DESTINATION: u8 = 60;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const IP_AT: usize = 14;

/// Packets of one family, and why they are dropped.
fn packets(base: &PacketBuilder) -> Vec<(Reason, Vec<Vec<u8>>)> {
    let is_v4 = base.is_v4();
    let base = || base.clone();
    let tcp = |port, flags| base().tcp(port, flags);
    let (own, banned, loopback) = if is_v4 {
        ("192.0.2.1", "203.0.113.7", "127.0.0.1")
    } else {
        ("2001:db8:2::1", "2001:db8:77::7", "::1")
    };
    let stranger = |n: u32| {
        let [_, _, high, low] = n.to_be_bytes();
        if is_v4 {
            format!("100.{high}.{low}.9")
        } else {
            format!("2001:db8:{:x}:{:x}::9", 0x1000 + u32::from(high), low)
        }
    };
    let header = if is_v4 { 20 } else { 40 };
    let (redirect, error, ping) = if is_v4 { (5, 11, 8) } else { (137, 3, 128) };
    let one = |reason, packet: PacketBuilder| (reason, vec![packet.build()]);
    let mut packets = vec![
        one(DefaultDrop, tcp(CLOSED, TcpFlags::SYN)),
        one(RuleDeny, tcp(DENIED, TcpFlags::SYN)),
        one(Truncated, base().protocol(6, &[0; 9])),
        one(TooManyTags, base().vlan(0x8100).vlan(0x8100).vlan(0x8100)),
        one(
            TinyFragment,
            base().protocol(6, &[0; 8]).fragment(0, true, 1),
        ),
        one(Fragment, base().protocol(17, &[0; 8]).fragment(7, false, 2)),
        // Five words of header are the least.
        (
            BadTcpHeader,
            vec![patched(
                &tcp(OPEN, TcpFlags::SYN),
                IP_AT + header + 12,
                &[0x40],
            )],
        ),
        one(TcpNull, tcp(OPEN, 0)),
        one(TcpXmas, tcp(OPEN, 0x29)),
        one(TcpSynFin, tcp(OPEN, 0x03)),
        one(TcpSynRst, tcp(OPEN, 0x06)),
        one(TcpBareFin, tcp(OPEN, 0x01)),
        one(TcpNoAck, tcp(OPEN, 0x08)),
        one(BadUdpLength, base().protocol(17, &[0, 1, 0, 2, 0, 3, 0, 0])),
        one(
            MartianSource,
            base().from(loopback).tcp(OPEN, TcpFlags::SYN),
        ),
        one(OwnSource, base().from(own).tcp(OPEN, TcpFlags::SYN)),
        one(IcmpRedirect, base().icmp(redirect, 0)),
        one(IcmpUnrelated, base().icmp(error, 0)),
        one(Banned, base().from(banned).tcp(OPEN, TcpFlags::SYN)),
        one(OutOfState, tcp(OPEN, TcpFlags::ACK)),
        one(UdpCeiling, base().udp(OPEN)),
        (
            Limited,
            vec![
                tcp(LIMITED, TcpFlags::SYN).build(),
                tcp(LIMITED, TcpFlags::SYN).build(),
            ],
        ),
        (
            Ceiling,
            (0..50)
                .map(|n| base().from(&stranger(n)).tcp(UNUSED, TcpFlags::SYN).build())
                .collect(),
        ),
        (
            IcmpCeiling,
            (0..FLOOD)
                .map(|n| base().from(&stranger(n)).icmp(ping, 0).build())
                .collect(),
        ),
        (
            FragmentCeiling,
            (0..FLOOD)
                .map(|n| {
                    base()
                        .from(&stranger(n))
                        .udp(OPEN)
                        .fragment(0, true, n)
                        .build()
                })
                .collect(),
        ),
    ];
    if is_v4 {
        packets.extend([
            one(NotIp, base().ether_type(0x88cd)),
            (BadIpv4Header, vec![patched(&base(), IP_AT, &[0x55])]),
            (BadLength, vec![patched(&base(), IP_AT, &[0x4f])]),
            one(SourceRoute, base().options(&[131, 3, 4, 0])),
            one(
                DhcpUnasked,
                base()
                    .from("203.0.113.67")
                    .to("198.18.0.1")
                    .udp_between(67, 68)
                    .payload(300),
            ),
        ]);
    } else {
        let twice = |number, rest: &[u8]| base().extension(number, rest).extension(number, rest);
        let padded = (0..5).fold(base(), |base, _| base.extension(DESTINATION, &PADDING));
        packets.extend([
            (BadIpv6Header, vec![patched(&base(), IP_AT, &[0x40])]),
            one(RoutingHeader0, base().extension(ROUTING, &[0; 7])),
            one(BadExtensionChain, twice(FRAGMENT, &ATOMIC)),
            one(TooManyExtensions, padded),
            one(MappedAddress, base().from("::ffff:203.0.113.7")),
            one(NdpOffLink, base().icmp(135, 0)),
        ]);
    }
    packets
}

fn patched(packet: &PacketBuilder, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = packet.build();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// Reasons that were shown.
fn shown(monitor: &Background) -> BTreeSet<String> {
    let reason = |line: &serde_json::Value| line["reason"].as_str().map(str::to_owned);
    lines(monitor).iter().filter_map(reason).collect()
}

#[test]
fn every_reason_to_drop_a_packet_is_shown_as_it_is_dropped() {
    if !(require::root() && require::programs(&["ip", "nsenter"])) {
        return;
    }
    let mut met = BTreeSet::new();
    for base in [packet(), packet_v6()] {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        drop(guard.guardctl(&["enable", "--force"]).ok());
        for words in [
            ["allow", "ping"],
            ["ban", "203.0.113.7"],
            ["ban", "2001:db8:77::7"],
        ] {
            drop(guard.guardctl(&words).ok());
        }
        let _echoes = (
            TcpEcho::start(&lab.srv, OPEN),
            UdpEcho::start(&lab.srv, OPEN),
        );
        let to = if base.is_v4() { lab.srv.v4 } else { lab.srv.v6 };
        assert_eq!(lab.friend.ask_tcp(to, OPEN), Answer::Echo, "{to}");
        // The first one; from then on only clients come in.
        assert_eq!(lab.friend.ask_udp(to, OPEN), Answer::Echo, "{to}");
        let log = guard.folder().join("monitor");
        let monitor = Background::start(&mut guard.command(&["monitor", "--json"]), log);
        let wire = Wire::open(&lab.wan, "srv");
        until("monitor to look", || {
            wire.send(&[base.clone().tcp(CLOSED, TcpFlags::SYN).build()]);
            shown(&monitor).contains(DefaultDrop.label())
        });
        for (reason, frames) in packets(&base) {
            let label = reason.label();
            // What else an instance does at the moment may come before it: answers of floods, a second's end.
            until(
                &format!("{label} ({} frames): {:?}", frames.len(), shown(&monitor)),
                || {
                    shown(&monitor).contains(label) || {
                        wire.send(&frames);
                        false
                    }
                },
            );
            met.insert(reason as u8);
        }
    }
    let missing: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| {
            matches!(reason.action(), Action::Drop) && !met.contains(&(**reason as u8))
        })
        .map(|reason| reason.label())
        .collect();
    assert!(missing.is_empty(), "nobody has tried {missing:?}");
}
