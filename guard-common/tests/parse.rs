//! The parser alone: every frame is understood or refused with a reason, none makes it panic, and
//! what it understood is what the frame says.

use guard_common::{
    abi::{
        addr::Addr,
        image::MONITOR,
        reason::{Action, Reason},
    },
    memory::MemTables,
    packet::{
        Facts, Fragment, Frame, Packet, PacketReader, ParseError, TcpFlags, Transport, parse,
    },
    policy::Arrival,
    testing::{PacketBuilder, packet, packet_v6, random::Random},
};
use proptest::prelude::*;

fn ip(frame: &PacketBuilder) -> Facts {
    let packet = Packet::default();
    assert_eq!(parse(frame.build().as_slice(), &packet), Ok(Frame::Ip));
    let facts = packet.facts();
    assert_eq!(Packet::from(facts).facts(), facts);
    facts
}

/// As [`parse`], where only the outcome matters.
fn outcome(frame: &[u8]) -> Result<Frame, ParseError> {
    parse(frame, &Packet::default())
}

fn address(text: &str) -> Addr {
    Addr::from(text.parse::<std::net::IpAddr>().expect("an address"))
}

/// Frames that are understood as a whole.
fn frames() -> Vec<PacketBuilder> {
    let padding = [0, 1, 4, 0, 0, 0, 0];
    let chain = packet_v6()
        .extension(0, &padding)
        .extension(43, &[0, 2, 0, 0, 0, 0, 0])
        .extension(60, &padding)
        .fragment(0, false, 9);
    vec![
        packet(),
        packet_v6(),
        packet().udp(53).payload(9),
        packet_v6().udp(53).payload(9),
        packet().icmp(8, 0),
        packet_v6().icmp(128, 0),
        packet().options(&[1; 40]),
        packet().vlan(0x8100),
        packet_v6().vlan(0x88a8).vlan(0x8100),
        chain,
    ]
}

#[test]
fn what_is_understood_is_what_the_frame_says() {
    let facts = ip(&packet().hop_limit(7).tcp_between(1, 2, TcpFlags::FIN));
    assert_eq!(
        facts,
        Facts {
            source: address("198.51.100.7"),
            destination: address("192.0.2.1"),
            hop_limit: 7,
            protocol: 6,
            fragment: Fragment::Whole,
            extended: false,
            router_alert: false,
            transport: Transport::Tcp {
                source_port: 1,
                destination_port: 2,
                flags: TcpFlags(TcpFlags::FIN),
            },
            network_at: 14,
            transport_at: 34,
            end: 54,
        }
    );
    let alert = [0, 5, 2, 0, 0, 1, 0];
    let facts = ip(&packet_v6()
        .extension(0, &alert)
        .udp_between(3, 4)
        .fragment(0, true, 77));
    assert_eq!(facts.source, address("2001:db8:100::7"));
    assert_eq!(facts.destination, address("2001:db8:2::1"));
    assert_eq!(facts.fragment, Fragment::First(77));
    assert!(facts.extended && facts.router_alert);
    assert_eq!(
        facts.transport,
        Transport::Udp {
            source_port: 3,
            destination_port: 4,
        }
    );
}

#[test]
fn tags_change_nothing_about_the_packet() {
    for base in [packet(), packet_v6()] {
        let plain = ip(&base);
        let moved_back = |tagged: &PacketBuilder, tags: u32| {
            let facts = ip(tagged);
            Facts {
                network_at: facts.network_at - 4 * tags,
                transport_at: facts.transport_at - 4 * tags,
                end: facts.end - 4 * tags,
                ..facts
            }
        };
        assert_eq!(moved_back(&base.clone().vlan(0x8100), 1), plain);
        assert_eq!(moved_back(&base.vlan(0x88a8).vlan(0x8100), 2), plain);
    }
}

#[test]
fn a_frame_cut_at_any_byte_is_refused_for_its_length() {
    for frame in frames() {
        let whole = frame.build();
        assert!(outcome(&whole).is_ok());
        for len in 0..whole.len() {
            let error = outcome(&whole[..len]).expect_err("cut");
            let is_about_length = [ParseError::Truncated, ParseError::BadLength].contains(&error);
            assert!(is_about_length, "{error:?} at {len}: {whole:02x?}");
        }
    }
}

#[test]
fn reading_behind_the_end_of_a_frame_yields_nothing() {
    let frame: &[u8] = &[1, 2, 3, 4];
    assert_eq!(frame.read::<[u8; 4]>(0), Some([1, 2, 3, 4]));
    assert_eq!(frame.read::<[u8; 4]>(1), None);
    assert_eq!(frame.read::<[u8; 1]>(4), None);
    assert_eq!(frame.read::<[u8; 1]>(usize::MAX), None);
}

#[test]
fn a_flipped_bit_never_passes_as_a_port_that_the_frame_does_not_name() {
    for frame in frames() {
        let whole = frame.build();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let packet = Packet::default();
            let Ok(Frame::Ip) = parse(flipped.as_slice(), &packet) else {
                continue;
            };
            let port = match packet.transport() {
                Transport::Tcp {
                    destination_port, ..
                }
                | Transport::Udp {
                    destination_port, ..
                } => destination_port.to_be_bytes(),
                Transport::None
                | Transport::Icmp { .. }
                | Transport::Icmpv6 { .. }
                | Transport::Other => continue,
            };
            assert!(
                flipped.windows(2).any(|bytes| bytes == port),
                "{bit}: {packet:?}"
            );
        }
    }
}

/// Evaluates under a policy of nothing but noise, which the tables must survive as well.
fn evaluate(frame: &[u8], words: &[u64]) -> Reason {
    let tables = MemTables::with_policy(words.to_vec());
    let verdict = guard_common::evaluate(frame, &tables, Arrival { ifindex: 1 }).verdict;
    let is_monitored = words
        .first()
        .is_some_and(|flags| *flags as u32 & MONITOR != 0);
    if is_monitored {
        assert_eq!(verdict.action, Action::Pass);
    } else {
        assert_eq!(verdict.action, verdict.reason.action());
    }
    verdict.reason
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_one_verdict(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        evaluate(&bytes, &[]);
    }

    #[test]
    fn any_bytes_behind_an_ip_ether_type_get_one_verdict(
        bytes in prop::collection::vec(any::<u8>(), 14..400),
        v4 in any::<bool>(),
        first in any::<u8>(),
    ) {
        let mut bytes = bytes;
        let (ether_type, version) = if v4 { (0x0800u16, 0x40) } else { (0x86dd, 0x60) };
        bytes[12..14].copy_from_slice(&ether_type.to_be_bytes());
        if let Some(byte) = bytes.get_mut(14) {
            *byte = version | first & 0x0f;
        }
        evaluate(&bytes, &[]);
    }

    #[test]
    fn any_words_as_a_policy_get_one_verdict(
        seed in any::<u64>(),
        words in 0usize..40_000,
        port in any::<u16>(),
        v4 in any::<bool>(),
    ) {
        let mut random = Random::new(seed);
        let words: Vec<u64> = (0..words).map(|_| random.number() >> random.below(64)).collect();
        let base = if v4 { packet() } else { packet_v6() };
        evaluate(&base.tcp(port, TcpFlags::SYN).build(), &words);
    }
}
