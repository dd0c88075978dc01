//! The same packet in other clothes: IPv6, VLAN tags, fragments, extension headers. Every packet is the same one, so
//! that a row differs from the first of its kind in nothing but its form.

use guard_common::{
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};

use super::{Before, Case, Draw, OPEN_PORT, open, policy};

const CLOSED_PORT: u16 = 9000;
/// Destination options that say nothing.
const OPTIONS: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];
const DESTINATION_OPTIONS: u8 = 60;
const VLAN: u16 = 0x8100;

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    let forms: [(&'static str, PacketBuilder); 6] = [
        ("IPv4", packet()),
        ("IPv6", packet_v6()),
        ("IPv4, one tag", packet().vlan(VLAN)),
        ("IPv6, one tag", packet_v6().vlan(VLAN)),
        ("IPv4, options", packet().options(&[1; 8])),
        (
            "IPv6, three extension headers",
            packet_v6()
                .extension(DESTINATION_OPTIONS, &OPTIONS)
                .extension(DESTINATION_OPTIONS, &OPTIONS)
                .extension(DESTINATION_OPTIONS, &OPTIONS),
        ),
    ];
    let of = |name, packets, frame: PacketBuilder, passes| Case {
        name,
        packets,
        policy: policy(1, |_| open(OPEN_PORT)),
        // What the fast path reads in one piece is never shorter on a wire.
        frame: frame.payload(24).build(),
        draw: Draw::default(),
        passes,
        before: Before::NOTHING,
    };
    let mut rows = Vec::new();
    for (form, base) in forms {
        let tcp = |port, flags| base.clone().tcp(port, flags);
        rows.push(of(
            "closed port, SYN",
            form,
            tcp(CLOSED_PORT, TcpFlags::SYN),
            false,
        ));
        rows.push(of(
            "closed port, ACK",
            form,
            tcp(CLOSED_PORT, TcpFlags::ACK),
            false,
        ));
        rows.push(of(
            "closed port, UDP",
            form,
            base.clone().udp(CLOSED_PORT),
            false,
        ));
        rows.push(of(
            "open port, SYN",
            form,
            tcp(OPEN_PORT, TcpFlags::SYN),
            true,
        ));
        rows.push(of(
            "open port, ACK",
            form,
            tcp(OPEN_PORT, TcpFlags::ACK),
            true,
        ));
    }
    for (form, base) in [("IPv4", packet()), ("IPv6", packet_v6())] {
        let first = base.udp(CLOSED_PORT).fragment(0, true, 7);
        rows.push(of("closed port, first fragment", form, first, false));
    }
    rows
}
