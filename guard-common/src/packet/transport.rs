//! TCP, UDP and ICMP: the few fields that a decision needs.

/// The TCP flags byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Open.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;

    /// Are all of these set?
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// Is one of these set?
    #[inline(always)]
    #[must_use]
    pub const fn has_any(self, flags: u8) -> bool {
        self.0 & flags != 0
    }

    /// SYN or RST: neither continues a stream.
    #[inline(always)]
    #[must_use]
    pub const fn ends_or_opens(self) -> bool {
        self.has_any(Self::SYN | Self::RST)
    }

    /// The first segment of a connection: SYN and not ACK.
    #[inline(always)]
    #[must_use]
    pub const fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }
}

/// The transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Behind a later fragment.
    None,
    /// TCP.
    Tcp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
        /// Flags.
        flags: TcpFlags,
    },
    /// UDP.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// ICMP.
    Icmp {
        /// Type.
        kind: u8,
        /// Identifier, of echoes.
        id: u16,
    },
    /// ICMPv6.
    Icmpv6 {
        /// Type.
        kind: u8,
        /// Identifier, of echoes.
        id: u16,
    },
    /// Any other protocol.
    Other,
}

const NONE: u64 = 0;
const TCP: u64 = 1;
const UDP: u64 = 2;
const ICMP: u64 = 3;
const ICMPV6: u64 = 4;
const OTHER: u64 = 5;

impl Transport {
    /// In one word: `which (8 bits) | flags or type (8) | source port or identifier (16) | destination
    /// port (16)`, from the low end.
    #[inline(always)]
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let (which, byte, first, second) = match self {
            Self::None => (NONE, 0, 0, 0),
            Self::Tcp {
                source_port,
                destination_port,
                flags,
            } => (TCP, flags.0, source_port, destination_port),
            Self::Udp {
                source_port,
                destination_port,
            } => (UDP, 0, source_port, destination_port),
            Self::Icmp { kind, id } => (ICMP, kind, id, 0),
            Self::Icmpv6 { kind, id } => (ICMPV6, kind, id, 0),
            Self::Other => (OTHER, 0, 0, 0),
        };
        which | (byte as u64) << 8 | (first as u64) << 16 | (second as u64) << 32
    }

    /// Source and destination port of TCP or UDP, of their word; of others, numbers.
    #[inline(always)]
    #[must_use]
    pub const fn ports_of(word: u64) -> (u16, u16) {
        ((word >> 16) as u16, (word >> 32) as u16)
    }

    /// The inverse of [`Transport::to_word`].
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let (byte, first, second) = ((word >> 8) as u8, (word >> 16) as u16, (word >> 32) as u16);
        match word & 0xff {
            TCP => Self::Tcp {
                source_port: first,
                destination_port: second,
                flags: TcpFlags(byte),
            },
            UDP => Self::Udp {
                source_port: first,
                destination_port: second,
            },
            ICMP => Self::Icmp {
                kind: byte,
                id: first,
            },
            ICMPV6 => Self::Icmpv6 {
                kind: byte,
                id: first,
            },
            OTHER => Self::Other,
            _ => Self::None,
        }
    }
}
