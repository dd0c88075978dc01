//! What the floods of the matrix consist of, and where they seem to come from.

use guard_common::{
    packet::TcpFlags,
    testing::{
        PacketBuilder, packet, packet_v6,
        peers::{DATA, FIN_ACK, SYN_ACK},
        random::Random,
    },
};

use super::target::Target;
use crate::lab::{Sources, Topology};

/// A kind of flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP segments that ask for a connection.
    Syn,
    /// Bare acknowledgements.
    Ack,
    /// Segments with 1400 bytes of data.
    Data,
    /// Answers to SYNs that nobody has sent.
    SynAck,
    /// Resets.
    Rst,
    /// Ends of streams.
    FinAck,
    /// FIN, PSH and URG, which no stack sends.
    Xmas,
    /// Datagrams in the smallest frames of IPv4.
    Udp,
    /// Datagrams of 1400 bytes.
    UdpLarge,
    /// First and last fragments of datagrams in turn.
    Fragments,
    /// Echo requests.
    Ping,
    /// Datagrams from port 53 of 512 bytes.
    Dns,
}

/// Who seems to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another source for every frame.
    Random,
    /// Ten thousand sources in turn.
    TenThousand,
    /// One source.
    One,
}

/// The address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Kind {
    /// All, in the order of the tables.
    pub const ALL: [Self; 12] = [
        Self::Syn,
        Self::Ack,
        Self::Data,
        Self::SynAck,
        Self::Rst,
        Self::FinAck,
        Self::Xmas,
        Self::Udp,
        Self::UdpLarge,
        Self::Fragments,
        Self::Ping,
        Self::Dns,
    ];

    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::Ack => "ACK",
            Self::Data => "PSH+ACK, 1400 bytes",
            Self::SynAck => "SYN+ACK",
            Self::Rst => "RST",
            Self::FinAck => "FIN+ACK",
            Self::Xmas => "XMAS",
            Self::Udp => "UDP, 64 bytes",
            Self::UdpLarge => "UDP, 1400 bytes",
            Self::Fragments => "UDP fragments",
            Self::Ping => "ICMP echo",
            Self::Dns => "DNS answers",
        }
    }

    /// Is there such a flood of the target? Nothing behind the server is pinged.
    #[must_use]
    pub fn meets(self, target: Target) -> bool {
        self != Self::Ping || target != Target::Published
    }

    /// Is it of segments that would belong to a session, if there were one?
    #[must_use]
    pub fn is_out_of_state(self) -> bool {
        matches!(
            self,
            Self::Ack | Self::Data | Self::SynAck | Self::Rst | Self::FinAck
        )
    }

    /// The frame with this number, of a packet that has its ends.
    fn fill(self, base: PacketBuilder, number: usize, port: u16) -> PacketBuilder {
        // Some thousand ports, none of them of a service.
        let from = 10_000 + (number % 40_000) as u16;
        let tcp = |flags| base.clone().tcp_between(from, port, flags);
        match self {
            // A segment size, as every stack sends it.
            Self::Syn => tcp(TcpFlags::SYN).tcp_options(&[2, 4, 5, 180]),
            Self::Ack => tcp(TcpFlags::ACK),
            Self::Data => tcp(DATA).payload(1400),
            Self::SynAck => tcp(SYN_ACK),
            Self::Rst => tcp(TcpFlags::RST),
            Self::FinAck => tcp(FIN_ACK),
            Self::Xmas => tcp(TcpFlags::FIN | TcpFlags::PSH | TcpFlags::URG),
            Self::Udp => base.udp_between(from, port).payload(22),
            Self::UdpLarge => base.udp_between(from, port).payload(1400),
            Self::Dns => base.udp_between(53, port).payload(512),
            Self::Fragments => {
                const FIRST: usize = 1400;
                let id = (number / 2) as u32;
                if number.is_multiple_of(2) {
                    let first = base.udp_between(from, port).payload(FIRST - 8);
                    first.fragment(0, true, id)
                } else {
                    let last = base.protocol(17, &[]).payload(400);
                    last.fragment(FIRST as u16 / 8, false, id)
                }
            }
            Self::Ping => {
                let kind = if base.is_v4() { 8 } else { 128 };
                base.icmp(kind, 0).payload(56)
            }
        }
    }
}

impl Origin {
    /// All, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Random, Self::TenThousand, Self::One];

    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::TenThousand => "10 000",
            Self::One => "one",
        }
    }

    /// Frames that are sent again and again, with the same sources or with others.
    fn frames(self) -> usize {
        match self {
            // Their sources are drawn when they are sent; few stay in the caches.
            Self::Random => 2048,
            // Two of one source stand together.
            Self::TenThousand => 20_000,
            Self::One => 2048,
        }
    }
}

impl Family {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The frames of a flood onto the server of a lab.
#[must_use]
pub fn frames(
    lab: &Topology,
    (family, kind, origin): (Family, Kind, Origin),
    port: u16,
) -> Vec<Vec<u8>> {
    let macs = (lab.srv.mac("eth0"), lab.wan.mac("srv"));
    // Who was answered in one flood is no stranger in the next: each has sources of its own.
    let mut random = Random::new(100 + kind as u64);
    let mut base = packet();
    (0..origin.frames())
        .map(|number| {
            if number == 0 || (origin != Origin::One && number.is_multiple_of(2)) {
                let (from, to) = match family {
                    Family::V4 => (
                        packet().from(&Sources::Everywhere.v4(&mut random)),
                        lab.srv.v4,
                    ),
                    Family::V6 => (
                        packet_v6().from(&Sources::Everywhere.v6(&mut random)),
                        lab.srv.v6,
                    ),
                };
                base = from.to_ip(to).macs(macs.0, macs.1);
            }
            kind.fill(base.clone(), number, port).build()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_makes_other_frames_in_both_families() {
        for base in [packet(), packet_v6()] {
            let frames: BTreeSet<Vec<u8>> = Kind::ALL
                .iter()
                .map(|kind| kind.fill(base.clone(), 0, 9000).build())
                .collect();
            assert_eq!(frames.len(), Kind::ALL.len());
        }
    }

    #[test]
    fn the_smallest_datagram_fills_the_smallest_frame() {
        let lengths =
            [Kind::Udp, Kind::UdpLarge].map(|kind| kind.fill(packet(), 0, 9000).build().len());
        assert_eq!(lengths, [64, 14 + 20 + 8 + 1400]);
    }

    #[test]
    fn the_last_fragment_begins_where_the_first_ends() {
        let [first, last] =
            [0, 1].map(|number| Kind::Fragments.fill(packet(), number, 9000).build());
        let field = |frame: &[u8]| u16::from_be_bytes([frame[20], frame[21]]);
        assert_eq!(field(&first), 0x2000);
        assert_eq!(usize::from(field(&last)) * 8, first.len() - 34);
        assert_eq!(first[18..20], last[18..20]);
    }

    #[test]
    fn nothing_behind_the_server_is_pinged() {
        assert!(!Kind::Ping.meets(Target::Published));
        assert!(Kind::Ping.meets(Target::Host) && Kind::Syn.meets(Target::Published));
    }
}
