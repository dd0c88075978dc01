//! Conversations between the host under test and a peer: what goes out, what comes back, and the
//! ICMP errors about it.

use std::net::IpAddr;

use super::{PacketBuilder, packet};
use crate::{
    abi::{addr::Addr, flow::Tuple, service::protocol},
    packet::TcpFlags,
};

/// Addresses of the host under test.
pub const OWN: [&str; 2] = ["192.0.2.1", "2001:db8:2::1"];

/// Answer to a SYN.
pub const SYN_ACK: u8 = TcpFlags::SYN | TcpFlags::ACK;
/// Last segment of a side.
pub const FIN_ACK: u8 = TcpFlags::FIN | TcpFlags::ACK;
/// Data.
pub const DATA: u8 = TcpFlags::PSH | TcpFlags::ACK;
/// Length of an Ethernet header.
pub const ETHERNET: usize = 14;

/// Both ends of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The host under test.
    pub own: IpAddr,
    /// The other.
    pub peer: IpAddr,
    /// Port, or identifier of an echo, of the host.
    pub own_port: u16,
    /// Port of the other.
    pub peer_port: u16,
}

/// One conversation of each family.
#[must_use]
pub fn both_families() -> [Ends; 2] {
    let ends = |own: &str, peer: &str| Ends {
        own: address(own),
        peer: address(peer),
        own_port: 40_001,
        peer_port: 443,
    };
    [
        ends(OWN[0], "198.51.100.7"),
        ends(OWN[1], "2001:db8:100::7"),
    ]
}

/// An address.
///
/// # Panics
/// When the text is none.
#[must_use]
pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Ends {
    /// Is it IPv4?
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.own.is_ipv4()
    }

    /// Of these two the one for this family.
    #[must_use]
    pub fn of<T>(&self, v4: T, v6: T) -> T {
        if self.is_v4() { v4 } else { v6 }
    }

    /// Number of this family's ICMP.
    #[must_use]
    pub fn icmp(&self) -> u8 {
        self.of(protocol::ICMP, protocol::ICMPV6)
    }

    /// A router on the way.
    #[must_use]
    pub fn router(&self) -> IpAddr {
        address(self.of("203.0.113.254", "2001:db8:ffff::1"))
    }

    /// Another address of the host.
    #[must_use]
    pub fn other_own(&self) -> IpAddr {
        address(self.of("192.0.2.2", "2001:db8:2::2"))
    }

    /// Another host, whose address differs in one bit.
    #[must_use]
    pub fn other_peer(&self) -> IpAddr {
        address(self.of("198.51.100.6", "2001:db8:100::6"))
    }

    /// From the host to the peer.
    #[must_use]
    pub fn out(&self) -> PacketBuilder {
        packet().from_ip(self.own).to_ip(self.peer)
    }

    /// From the peer to the host.
    #[must_use]
    pub fn back(&self) -> PacketBuilder {
        packet().from_ip(self.peer).to_ip(self.own)
    }

    /// A segment out.
    #[must_use]
    pub fn tcp_out(&self, flags: u8) -> Vec<u8> {
        let out = self.out();
        out.tcp_between(self.own_port, self.peer_port, flags)
            .build()
    }

    /// A segment in.
    #[must_use]
    pub fn tcp_in(&self, flags: u8) -> Vec<u8> {
        let back = self.back();
        back.tcp_between(self.peer_port, self.own_port, flags)
            .build()
    }

    /// A datagram out.
    #[must_use]
    pub fn udp_out(&self) -> Vec<u8> {
        let out = self.out();
        out.udp_between(self.own_port, self.peer_port)
            .payload(32)
            .build()
    }

    /// A datagram in.
    #[must_use]
    pub fn udp_in(&self) -> Vec<u8> {
        let back = self.back();
        back.udp_between(self.peer_port, self.own_port)
            .payload(32)
            .build()
    }

    /// An echo request out.
    #[must_use]
    pub fn echo_out(&self) -> Vec<u8> {
        self.echo(self.out(), self.of(8, 128)).build()
    }

    /// An echo reply in.
    #[must_use]
    pub fn echo_in(&self) -> Vec<u8> {
        self.echo(self.back(), self.of(0, 129)).build()
    }

    /// An echo of this type with the host's port as identifier.
    #[must_use]
    pub fn echo(&self, base: PacketBuilder, kind: u8) -> PacketBuilder {
        let [high, low] = self.own_port.to_be_bytes();
        base.protocol(self.icmp(), &[kind, 0, 0, 0, high, low, 0, 1])
            .payload(32)
    }

    /// An error of a router about a frame, of which it quotes this many bytes behind the Ethernet
    /// header, or all that there are.
    #[must_use]
    pub fn error(&self, (kind, code): (u8, u8), about: &[u8], bytes: usize) -> PacketBuilder {
        let quoted = &about[ETHERNET..];
        let quoted = &quoted[..bytes.min(quoted.len())];
        let message = [&[kind, code, 0, 0, 0, 0, 5, 20], quoted].concat();
        packet()
            .from_ip(self.router())
            .to_ip(self.own)
            .protocol(self.icmp(), &message)
    }

    /// What its packets carry when they arrive.
    #[must_use]
    pub fn tuple(&self, protocol: u8) -> Tuple {
        let is_echo = protocol == self.icmp();
        Tuple {
            remote: Addr::from(self.peer),
            local: Addr::from(self.own),
            remote_port: if is_echo { 0 } else { self.peer_port },
            local_port: self.own_port,
            protocol,
        }
    }
}
