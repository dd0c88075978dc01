//! Packets that try to look like something else (acceptance A14): options, extension chains and
//! lying lengths. Port 22/tcp and 53/udp are open; nothing else may come in.

use guard_common::{
    abi::reason::Reason::{self, *},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::{
    model::Policy,
    sample::{allow, policy},
};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
/// Eight bytes of options: one padding option that fills them.
const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];
/// Eight bytes of a fragment header that fragments nothing.
const ATOMIC: [u8; 7] = [0, 0, 0, 0, 0, 0, 9];
/// A routing header of eight bytes; its type stands at index 1.
const fn routing(kind: u8) -> [u8; 7] {
    [0, kind, 0, 0, 0, 0, 0]
}
/// An authentication header of 24 bytes: its length field counts words of 4 bytes, less 2.
const AUTHENTICATED: [u8; 23] = {
    let mut bytes = [0; 23];
    bytes[0] = 4;
    bytes
};

fn guard() -> Option<Harness> {
    require::root().then(|| Harness::new(&services()))
}

fn services() -> Policy {
    policy([allow().tcp(22), allow().udp(53)])
}

fn syn(base: PacketBuilder) -> PacketBuilder {
    base.tcp(22, TcpFlags::SYN)
}

/// The frame with some bytes replaced.
fn patched(packet: &PacketBuilder, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = packet.build();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// A case that would be open, and the same to a closed port, which must drop as well.
fn expect_both(guard: &mut Harness, case: &str, base: &PacketBuilder, open: Reason) {
    let closed = if open == RuleAllow { DefaultDrop } else { open };
    guard.expect(case, &syn(base.clone()).build(), open);
    let to_closed = base.clone().tcp(23, TcpFlags::SYN).build();
    guard.expect(case, &to_closed, closed);
}

#[test]
fn ipv4_options_hide_no_port_and_may_not_route() {
    let Some(mut guard) = guard() else { return };
    let timestamp = [68, 12, 5, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    for (case, options, open) in [
        ("no operation", &[1u8; 4][..], RuleAllow),
        ("end of options", &[0; 4], RuleAllow),
        ("all 40 bytes", &[1; 40], RuleAllow),
        ("router alert", &[148, 4, 0, 0], RuleAllow),
        ("timestamp", &timestamp, RuleAllow),
        ("record route", &[7, 7, 4, 0, 0, 0, 0, 0], RuleAllow),
        (
            "loose source route",
            &[131, 7, 4, 10, 0, 0, 1, 0],
            SourceRoute,
        ),
        (
            "strict source route",
            &[137, 7, 4, 10, 0, 0, 1, 0],
            SourceRoute,
        ),
        (
            "source route behind padding",
            &[1, 131, 7, 4, 10, 0, 0, 1],
            SourceRoute,
        ),
        (
            "source route at the very end",
            &[1, 1, 1, 131, 3, 4, 1, 137],
            SourceRoute,
        ),
        (
            "source route behind 36 bytes",
            &[&[1u8; 36][..], &[131, 3, 4, 0]].concat(),
            SourceRoute,
        ),
    ] {
        expect_both(&mut guard, case, &packet().options(options), open);
    }
}

#[test]
fn a_chain_of_up_to_four_extension_headers_is_followed() {
    let Some(mut guard) = guard() else { return };
    let kinds: [(&str, u8, &[u8]); 3] = [
        ("destination options", DESTINATION, &PADDING),
        ("authentication", AUTHENTICATION, &AUTHENTICATED),
        ("a type 2 routing header", ROUTING, &routing(2)),
    ];
    for (case, number, rest) in kinds {
        let mut base = packet_v6();
        let mut with_options = packet_v6().extension(HOP_BY_HOP, &PADDING);
        for depth in 0..=12 {
            let of = |headers| {
                if headers <= 4 {
                    RuleAllow
                } else {
                    TooManyExtensions
                }
            };
            expect_both(&mut guard, case, &base, of(depth));
            expect_both(&mut guard, case, &with_options, of(depth + 1));
            base = base.extension(number, rest);
            with_options = with_options.extension(number, rest);
        }
    }
}

#[test]
fn extension_headers_out_of_order_or_twice_are_refused() {
    let Some(mut guard) = guard() else { return };
    let v6 = packet_v6;
    let mixed = v6()
        .extension(HOP_BY_HOP, &PADDING)
        .extension(ROUTING, &routing(4))
        .extension(FRAGMENT, &ATOMIC)
        .extension(DESTINATION, &PADDING);
    for (case, base, open) in [
        ("the order of the standard", mixed, RuleAllow),
        (
            "one hop-by-hop header",
            v6().extension(HOP_BY_HOP, &PADDING),
            RuleAllow,
        ),
        (
            "two hop-by-hop headers",
            v6().extension(HOP_BY_HOP, &PADDING)
                .extension(HOP_BY_HOP, &PADDING),
            BadExtensionChain,
        ),
        (
            "hop-by-hop behind another",
            v6().extension(DESTINATION, &PADDING)
                .extension(HOP_BY_HOP, &PADDING),
            BadExtensionChain,
        ),
        (
            "an atomic fragment",
            v6().extension(FRAGMENT, &ATOMIC),
            RuleAllow,
        ),
        (
            "two fragment headers",
            v6().extension(FRAGMENT, &ATOMIC)
                .extension(FRAGMENT, &ATOMIC),
            BadExtensionChain,
        ),
        (
            "routing header 0",
            v6().extension(ROUTING, &routing(0)),
            RoutingHeader0,
        ),
        (
            "routing header 0 behind others",
            v6().extension(DESTINATION, &PADDING)
                .extension(ROUTING, &routing(0)),
            RoutingHeader0,
        ),
        (
            "no segments left",
            v6().extension(ROUTING, &[0, 0, 0, 0, 0, 0, 0]),
            RoutingHeader0,
        ),
        (
            "a header longer than the packet",
            v6().extension(DESTINATION, &[250, 1, 4, 0, 0, 0, 0]),
            Truncated,
        ),
        (
            "hop-by-hop longer than the packet",
            v6().extension(HOP_BY_HOP, &[255, 1, 4, 0, 0, 0, 0]),
            Truncated,
        ),
        (
            "authentication longer than the packet",
            v6().extension(AUTHENTICATION, &[99, 0, 0, 0, 0, 0, 0]),
            Truncated,
        ),
        ("mobility", v6().extension(135, &PADDING), DefaultDrop),
        ("host identity", v6().extension(139, &PADDING), DefaultDrop),
        ("shim6", v6().extension(140, &PADDING), DefaultDrop),
        ("an experiment", v6().extension(253, &PADDING), DefaultDrop),
    ] {
        expect_both(&mut guard, case, &base, open);
    }
}

#[test]
fn a_header_that_claims_more_than_the_packet_is_refused_whatever_follows() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow()]));
    for number in [47, 50, 59, 132] {
        let long = |header| {
            packet_v6()
                .extension(header, &[255, 1, 4, 0, 0, 0, 0])
                .protocol(number, &[0; 8])
        };
        guard.expect("hop-by-hop", &long(HOP_BY_HOP).build(), Truncated);
        guard.expect("destination", &long(DESTINATION).build(), Truncated);
    }
}

#[test]
fn long_extension_headers_are_stepped_over_whole() {
    let Some(mut guard) = guard() else { return };
    let mut rest = vec![0; 2047];
    rest[0] = 255;
    let base = packet_v6().extension(DESTINATION, &rest);
    expect_both(&mut guard, "2048 bytes of options", &base, RuleAllow);
}

#[test]
fn lying_lengths_and_versions_are_refused() {
    let Some(mut guard) = guard() else { return };
    let (v4, v6) = (syn(packet()), syn(packet_v6()));
    let (udp4, udp6) = (
        packet().udp(53).payload(20),
        packet_v6().udp(53).payload(20),
    );
    guard.expect_all(&[
        ("as it should be", v4.build(), RuleAllow),
        (
            "IPv4 longer than the frame",
            patched(&v4, 16, &[0, 41]),
            BadLength,
        ),
        ("IPv4 much longer", patched(&v4, 16, &[255, 255]), BadLength),
        (
            "IPv4 shorter than its header",
            patched(&v4, 16, &[0, 19]),
            BadLength,
        ),
        ("IPv4 of length 0", patched(&v4, 16, &[0, 0]), BadLength),
        (
            "IPv4 that ends inside the ports",
            patched(&v4, 16, &[0, 22]),
            Truncated,
        ),
        (
            "IPv4 that ends inside TCP",
            patched(&v4, 16, &[0, 39]),
            Truncated,
        ),
        (
            "IPv4 header of 4 words",
            patched(&v4, 14, &[0x44]),
            BadIpv4Header,
        ),
        (
            "IPv4 header of no words",
            patched(&v4, 14, &[0x40]),
            BadIpv4Header,
        ),
        (
            "IPv4 header longer than the packet",
            patched(&v4, 14, &[0x4f]),
            BadLength,
        ),
        ("version 5", patched(&v4, 14, &[0x55]), BadIpv4Header),
        (
            "version 6 as IPv4",
            patched(&v4, 14, &[0x65]),
            BadIpv4Header,
        ),
        (
            "version 4 as IPv6",
            patched(&v6, 14, &[0x40]),
            BadIpv6Header,
        ),
        (
            "version 0 as IPv6",
            patched(&v6, 14, &[0x00]),
            BadIpv6Header,
        ),
        (
            "IPv6 longer than the frame",
            patched(&v6, 18, &[0, 21]),
            BadLength,
        ),
        (
            "IPv6 without a payload",
            patched(&v6, 18, &[0, 0]),
            Truncated,
        ),
        (
            "IPv6 that ends inside TCP",
            patched(&v6, 18, &[0, 19]),
            Truncated,
        ),
        ("TCP of 4 words", patched(&v4, 46, &[0x40]), BadTcpHeader),
        ("TCP of no words", patched(&v6, 66, &[0]), BadTcpHeader),
        (
            "TCP longer than IPv4",
            patched(&v4, 46, &[0x60]),
            BadTcpHeader,
        ),
        (
            "TCP longer than IPv6",
            patched(&v6, 66, &[0xf0]),
            BadTcpHeader,
        ),
        ("UDP of 7 bytes", patched(&udp4, 38, &[0, 7]), BadUdpLength),
        ("UDP of 0 bytes", patched(&udp6, 58, &[0, 0]), BadUdpLength),
        (
            "UDP longer than IPv4",
            patched(&udp4, 38, &[0, 29]),
            BadUdpLength,
        ),
        (
            "UDP longer than IPv6",
            patched(&udp6, 58, &[255, 255]),
            BadUdpLength,
        ),
        (
            "UDP shorter than IPv4",
            patched(&udp4, 38, &[0, 27]),
            RuleAllow,
        ),
        (
            "UDP as long as IPv6",
            patched(&udp6, 58, &[0, 28]),
            RuleAllow,
        ),
    ]);
    // A jumbogram announces its length in hop-by-hop options and 0 in the header.
    let jumbo = syn(packet_v6().extension(HOP_BY_HOP, &[0, 0xc2, 4, 0, 1, 0, 0]));
    guard.expect("a jumbogram", &patched(&jumbo, 18, &[0, 0]), Truncated);
    // The link pads short frames: what follows the packet is no part of it.
    for (case, packet) in [("IPv4", &v4), ("IPv6", &v6)] {
        let padded = [packet.build(), vec![0xff; 10]].concat();
        guard.expect(case, &padded, RuleAllow);
    }
}

#[test]
fn a_mapped_address_in_ipv6_is_neither_family() {
    let Some(mut guard) = guard() else { return };
    for mapped in ["::ffff:198.51.100.7", "::ffff:0.0.0.0", "::ffff:127.0.0.1"] {
        expect_both(
            &mut guard,
            "source",
            &packet_v6().from(mapped),
            MappedAddress,
        );
        expect_both(
            &mut guard,
            "destination",
            &packet_v6().to(mapped),
            MappedAddress,
        );
    }
    expect_both(
        &mut guard,
        "one bit off",
        &packet_v6().from("::fffe:1.2.3.4"),
        RuleAllow,
    );
}
