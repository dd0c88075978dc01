//! A packet that ends too early (acceptance A14): cut at every byte, with lengths that lie about the
//! cut and with lengths that admit it, it never passes.

use guard_common::{
    abi::reason::{Action, Reason},
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    harness::{Harness, MIN_FRAME},
    require,
};
use guard_user::ruleset::sample::{allow, policy};

const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

/// Frames that pass as a whole, with the offset of the IP header.
fn frames() -> Vec<(&'static str, PacketBuilder, usize)> {
    let syn = |base: PacketBuilder| base.tcp(22, TcpFlags::SYN);
    let extended = || {
        packet_v6()
            .extension(0, &PADDING)
            .extension(60, &PADDING)
            .fragment(0, false, 3)
    };
    vec![
        ("IPv4 TCP", syn(packet()), 14),
        ("IPv6 TCP", syn(packet_v6()), 14),
        ("IPv4 UDP", packet().udp(53), 14),
        ("IPv6 UDP", packet_v6().udp(53), 14),
        ("IPv4 ping", packet().icmp(8, 0), 14),
        ("IPv6 ping", packet_v6().icmp(128, 0), 14),
        ("IPv4 with options", syn(packet().options(&[1; 12])), 14),
        ("IPv6 with extension headers", syn(extended()), 14),
        ("tagged IPv4", syn(packet().vlan(0x8100)), 18),
        ("tagged IPv6", syn(packet_v6().vlan(0x8100)), 18),
        (
            "twice tagged IPv4",
            packet().vlan(0x88a8).vlan(0x8100).udp(53),
            22,
        ),
        (
            "twice tagged IPv6",
            packet_v6().vlan(0x88a8).vlan(0x8100).udp(53),
            22,
        ),
    ]
}

fn is_about_length(reason: Reason) -> bool {
    use Reason::{BadLength, BadTcpHeader, BadUdpLength, TinyFragment, Truncated};
    [
        BadLength,
        BadTcpHeader,
        BadUdpLength,
        TinyFragment,
        Truncated,
    ]
    .contains(&reason)
}

/// Writes what is left of the packet into its length field.
fn admit(frame: &mut [u8], ip: usize) {
    let len = frame.len();
    match frame.get(ip).map(|first| first >> 4) {
        Some(4) if len >= ip + 4 => {
            frame[ip + 2..ip + 4].copy_from_slice(&((len - ip) as u16).to_be_bytes());
        }
        Some(6) if len >= ip + 40 => {
            frame[ip + 4..ip + 6].copy_from_slice(&((len - ip - 40) as u16).to_be_bytes());
        }
        _ => {}
    }
}

#[test]
fn a_frame_cut_at_any_byte_never_passes() {
    if !require::root() {
        return;
    }
    let open = policy([allow().tcp(22), allow().udp(53), allow().ping()]);
    let mut guard = Harness::new(&open);
    for (case, packet, ip) in frames() {
        let whole = packet.build();
        guard.expect(case, &whole, Reason::RuleAllow);
        for len in 0..whole.len() {
            let lying = whole[..len].to_vec();
            let mut admitting = lying.clone();
            admit(&mut admitting, ip);
            for frame in [lying, admitting] {
                let verdict = guard.model(&frame).verdict;
                assert_eq!(verdict.action, Action::Drop, "{case} at {len}");
                assert!(
                    is_about_length(verdict.reason),
                    "{case} at {len}: {verdict:?}"
                );
                if len >= MIN_FRAME {
                    guard.expect(case, &frame, verdict.reason);
                }
            }
        }
    }
}
