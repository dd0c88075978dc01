//! The bytes of a packet that is asked about.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, PacketBuilder, PacketBuilderStep};
use guard_common::packet::TcpFlags;

use super::question::Transport;

/// Locally administered hardware addresses; nothing looks at them.
const FROM: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const TO: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const HOPS: u8 = 64;
/// Identifier and number of an echo request; other messages have other things there.
const REST_OF_HEADER: [u8; 4] = [0, 1, 0, 1];

/// An Ethernet frame with this packet; both ends are of one family.
///
/// # Panics
/// When the families differ.
#[must_use]
pub fn build(source: SocketAddr, destination: SocketAddr, transport: Transport) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(FROM, TO);
    let ip = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), HOPS),
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), HOPS),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            panic!("{source} and {destination} are not of the same address family")
        }
    };
    let mut frame = Vec::new();
    let is_v4 = source.is_ipv4();
    // Writing into a vector does not fail.
    match transport {
        Transport::Tcp(flags) => {
            let step = tcp(ip, source.port(), destination.port(), flags);
            step.write(&mut frame, &[]).unwrap_or_default();
        }
        Transport::Udp => {
            let step = ip.udp(source.port(), destination.port());
            step.write(&mut frame, &[]).unwrap_or_default();
        }
        Transport::Icmp(kind) if is_v4 => {
            let step = ip.icmpv4_raw(kind, 0, REST_OF_HEADER);
            step.write(&mut frame, &[]).unwrap_or_default();
        }
        Transport::Icmp(kind) => {
            let step = ip.icmpv6_raw(kind, 0, REST_OF_HEADER);
            step.write(&mut frame, &[]).unwrap_or_default();
        }
        Transport::Other(number) => {
            // Eight bytes, so that a protocol with a header of ports has one.
            ip.write(&mut frame, IpNumber(number), &[0; 8])
                .unwrap_or_default();
        }
    }
    frame
}

fn tcp(
    ip: PacketBuilderStep<etherparse::IpHeaders>,
    from: u16,
    to: u16,
    flags: TcpFlags,
) -> PacketBuilderStep<etherparse::TcpHeader> {
    const WINDOW: u16 = 64_240;
    let mut step = ip.tcp(from, to, 1, WINDOW);
    if flags.has(TcpFlags::SYN) {
        step = step.syn();
    }
    if flags.has(TcpFlags::FIN) {
        step = step.fin();
    }
    if flags.has(TcpFlags::RST) {
        step = step.rst();
    }
    if flags.has(TcpFlags::PSH) {
        step = step.psh();
    }
    if flags.has(TcpFlags::ACK) {
        step = step.ack(1);
    }
    if flags.has(TcpFlags::URG) {
        step = step.urg(1);
    }
    step
}
