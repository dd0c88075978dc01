//! Packets inside something else (acceptance A14): tags are looked behind, tunnels are not. Port
//! 22/tcp is open; nothing else may come in.

use guard_common::{
    abi::reason::Reason::*,
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::sample::{allow, policy};

fn guard() -> Option<Harness> {
    require::root().then(|| Harness::new(&policy([allow().tcp(22)])))
}

fn syn(base: PacketBuilder) -> PacketBuilder {
    base.tcp(22, TcpFlags::SYN)
}

#[test]
fn up_to_two_tags_are_looked_behind() {
    let Some(mut guard) = guard() else { return };
    for base in [packet(), packet_v6()] {
        for (case, tags, open) in [
            ("a customer tag", &[0x8100][..], RuleAllow),
            ("a service tag", &[0x88a8], RuleAllow),
            ("both", &[0x88a8, 0x8100], RuleAllow),
            ("two customer tags", &[0x8100, 0x8100], RuleAllow),
            ("three tags", &[0x88a8, 0x8100, 0x8100], TooManyTags),
            ("four tags", &[0x8100; 4], TooManyTags),
            ("an unknown tag", &[0x9100], NotIp),
            ("an unknown tag inside", &[0x8100, 0x9200], NotIp),
        ] {
            let tagged = tags.iter().fold(base.clone(), |base, tag| base.vlan(*tag));
            let closed = if open == RuleAllow { DefaultDrop } else { open };
            guard.expect(case, &syn(tagged.clone()).build(), open);
            guard.expect(case, &tagged.tcp(23, TcpFlags::SYN).build(), closed);
        }
    }
}

#[test]
fn a_tunnel_is_its_own_protocol_whatever_is_inside() {
    let Some(mut guard) = guard() else { return };
    // Without their Ethernet headers.
    let inner_v4 = &syn(packet()).build()[14..];
    let inner_v6 = &syn(packet_v6()).build()[14..];
    let gre_v4 = [&[0, 0, 8, 0], inner_v4].concat();
    let gre_ethernet = [&[0, 0, 0x65, 0x58], syn(packet()).build().as_slice()].concat();
    let esp = [&[0, 0, 1, 0, 0, 0, 0, 1], &inner_v4[20..]].concat();
    for base in [packet(), packet_v6()] {
        for (case, number, bytes) in [
            ("IPv4 inside", 4, inner_v4),
            ("IPv6 inside", 41, inner_v6),
            ("GRE", 47, &gre_v4),
            ("GRE with Ethernet", 47, &gre_ethernet),
            ("ESP", 50, &esp),
            ("no next header", 59, &inner_v4[20..]),
            ("SCTP", 132, &inner_v4[20..]),
            ("UDP-Lite", 136, &inner_v4[20..]),
            ("raw", 255, &inner_v4[20..]),
        ] {
            guard.expect(
                case,
                &base.clone().protocol(number, bytes).build(),
                DefaultDrop,
            );
        }
    }
    // IPv6's extension headers are no more than unknown protocols to IPv4.
    for number in [0, 43, 44, 51, 60] {
        let bytes = [&[6, 0, 1, 4, 0, 0, 0, 0], &inner_v4[20..]].concat();
        guard.expect(
            "an extension in IPv4",
            &packet().protocol(number, &bytes).build(),
            DefaultDrop,
        );
    }
}
