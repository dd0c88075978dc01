//! Packets as descriptions: what the oracle reads, and the frame that the model reads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guard_common::{
    packet::TcpFlags,
    testing::{packet, random::Random},
};
use ipnetwork::IpNetwork;

use super::Palette;

/// What a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleService {
    /// A TCP port, by a SYN or by a later segment.
    Tcp {
        /// The port.
        port: u16,
        /// Does it open a connection?
        is_syn: bool,
    },
    /// A UDP port.
    Udp(u16),
    /// A type of its family's ICMP.
    Icmp(u8),
    /// Anything else, by number.
    Protocol(u8),
}

/// A packet, as far as rules can tell it from another.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The service.
    pub asked: SampleService,
    /// Its sender.
    pub source: IpAddr,
    /// Its sender's port, where it has one.
    pub source_port: u16,
    /// Where it goes.
    pub destination: IpAddr,
    /// Name of the interface, and its index.
    pub interface: (&'static str, u32),
}

/// One that clients use.
pub const SOURCE_PORT: u16 = 40_000;

/// Interfaces of the host that the policies are compiled for.
pub const INTERFACES: [(&str, u32); 4] = [("lo", 1), ("eth0", 2), ("eth1", 9), ("eth2", 77)];

impl Described {
    /// A packet that is likely to meet a rule made of the same palette.
    #[must_use]
    pub fn random(random: &mut Random, palette: &Palette) -> Self {
        let v4 = random.once_in(2);
        let source = address(random, palette.sources, v4);
        Self {
            asked: asked(random, palette, v4),
            source: if is_sender(source) {
                source
            } else {
                fallback_source(v4)
            },
            source_port: SOURCE_PORT,
            destination: address(random, palette.destinations, v4),
            interface: random.pick(&INTERFACES),
        }
    }

    /// Its frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let base = packet().from_ip(self.source).to_ip(self.destination);
        match self.asked {
            SampleService::Tcp { port, is_syn: true } => {
                base.tcp_between(self.source_port, port, TcpFlags::SYN)
            }
            SampleService::Tcp { port, .. } => {
                base.tcp_between(self.source_port, port, TcpFlags::ACK)
            }
            SampleService::Udp(port) => base.udp_between(self.source_port, port),
            SampleService::Icmp(kind) => base.icmp(kind, 0),
            SampleService::Protocol(number) => base.protocol(number, &[0; 8]),
        }
        .build()
    }
}

fn asked(random: &mut Random, palette: &Palette, v4: bool) -> SampleService {
    let port = match random.below(6) {
        0 => random.number() as u16,
        1 => random.pick(palette.ports).wrapping_add(1),
        2 => random.pick(palette.ports).wrapping_sub(1),
        _ => random.pick(palette.ports),
    };
    match random.below(10) {
        0 => SampleService::Icmp(icmp_type(random, v4)),
        1 => match random.pick(palette.protocols) {
            // The ICMP of the other family is not spoken in this one.
            1 | 58 => SampleService::Icmp(icmp_type(random, v4)),
            number => SampleService::Protocol(number),
        },
        2..=5 => SampleService::Tcp {
            port,
            is_syn: random.once_in(2),
        },
        _ => SampleService::Udp(port),
    }
}

/// Neither essential, nor an error: echo request and reply, timestamp or node information.
fn icmp_type(random: &mut Random, v4: bool) -> u8 {
    random.pick(if v4 {
        &[8, 8, 0, 13]
    } else {
        &[128, 128, 129, 139]
    })
}

/// The first, the last or a random address of a prefix, or one just outside it.
fn address(random: &mut Random, prefixes: &[&str], v4: bool) -> IpAddr {
    let family: Vec<IpNetwork> = prefixes
        .iter()
        .map(|text| text.parse().expect("a prefix"))
        .filter(|network: &IpNetwork| network.is_ipv4() == v4)
        .collect();
    let network = random.pick(&family);
    let width = if v4 { 32 } else { 128 };
    let (first, host_bits) = (
        to_bits(network.network()),
        width - u32::from(network.prefix()),
    );
    let hosts = 1u128
        .checked_shl(host_bits)
        .map_or(u128::MAX, |count| count - 1);
    let noise = u128::from(random.number()) << 64 | u128::from(random.number());
    let bits = match random.below(8) {
        0 => first,
        1 => first | hosts,
        2 => first.wrapping_sub(1),
        3 => (first | hosts).wrapping_add(1),
        // Near the start, where the nested prefixes lie.
        4 => first | noise & hosts & 0x3ff,
        _ => first | noise & hosts,
    };
    if v4 {
        Ipv4Addr::from_bits(bits as u32).into()
    } else {
        Ipv6Addr::from_bits(bits).into()
    }
}

fn to_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// May this be a source at all? What may not is no matter of rules.
fn is_sender(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(v6) => {
            !v6.is_multicast()
                && !v6.is_unspecified()
                && !v6.is_loopback()
                && v6.to_ipv4_mapped().is_none()
        }
    }
}

fn fallback_source(v4: bool) -> IpAddr {
    let text = if v4 { "10.1.2.3" } else { "2001:db8:0:1::3" };
    text.parse().expect("an address")
}
