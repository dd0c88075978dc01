//! A service is what a packet asks for: a destination port of TCP or UDP, a type of ICMP, or another IP
//! protocol. Its number is a row of the policy image and of the counters.

use core::num::NonZero;

/// IP protocol numbers that guard treats by name.
pub mod protocol {
    /// Hop-by-hop options (IPv6).
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// Routing header (IPv6).
    pub const ROUTING: u8 = 43;
    /// Fragment header (IPv6).
    pub const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// Destination options (IPv6).
    pub const DESTINATION_OPTIONS: u8 = 60;
}

const UDP_FIRST: u32 = 65_536;
const PROTOCOL_FIRST: u32 = 131_072;
const ICMP_FIRST: u32 = PROTOCOL_FIRST + 256;
const ICMPV6_FIRST: u32 = ICMP_FIRST + 256;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

/// A row number below [`Service::ROWS`], held as its successor: then no service is 0 and an
/// `Option<Service>` one defined number. (Verifiers before 6.3 refuse to read the undefined half of
/// an option from the stack, even where nothing depends on it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(NonZero<u32>);

impl Service {
    /// 65 536 TCP ports, 65 536 UDP ports, 256 protocols, 256 types each of ICMP and ICMPv6.
    pub const ROWS: u32 = ICMPV6_FIRST + 256;
    /// ICMP echo request.
    pub const PING_V4: Self = Self::icmp(ECHO_REQUEST);
    /// ICMPv6 echo request.
    pub const PING_V6: Self = Self::icmpv6(ECHO_REQUEST_V6);

    #[inline(always)]
    const fn of_row(row: u32) -> Self {
        match NonZero::new(row + 1) {
            Some(successor) => Self(successor),
            // Rows are far from the largest number.
            None => Self(NonZero::<u32>::MIN),
        }
    }

    /// A TCP destination port.
    #[inline(always)]
    #[must_use]
    pub const fn tcp(port: u16) -> Self {
        Self::of_row(port as u32)
    }

    /// A UDP destination port.
    #[inline(always)]
    #[must_use]
    pub const fn udp(port: u16) -> Self {
        Self::of_row(UDP_FIRST + port as u32)
    }

    /// A destination port of TCP, or of UDP with the bit above it.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn of_port(port: u32) -> Self {
        Self::of_row(port)
    }

    /// Any other IP protocol.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(number: u8) -> Self {
        Self::of_row(PROTOCOL_FIRST + number as u32)
    }

    /// A type of ICMP, in IPv4.
    #[inline(always)]
    #[must_use]
    pub const fn icmp(kind: u8) -> Self {
        Self::of_row(ICMP_FIRST + kind as u32)
    }

    /// A type of ICMPv6, in IPv6.
    #[inline(always)]
    #[must_use]
    pub const fn icmpv6(kind: u8) -> Self {
        Self::of_row(ICMPV6_FIRST + kind as u32)
    }

    /// Does the host answer such a message of ICMP: an echo or a timestamp request?
    #[inline(always)]
    #[must_use]
    pub(crate) const fn is_icmp_request(self) -> bool {
        const TIMESTAMP_REQUEST: u8 = 13;
        let row = self.row();
        row == Self::PING_V4.row()
            || row == Self::PING_V6.row()
            || row == Self::icmp(TIMESTAMP_REQUEST).row()
    }

    /// The row number.
    #[inline(always)]
    #[must_use]
    pub const fn row(self) -> u32 {
        self.0.get() - 1
    }

    /// The service of a row, for listings.
    #[must_use]
    pub const fn from_row(row: u32) -> Option<Self> {
        if row < Self::ROWS {
            Some(Self::of_row(row))
        } else {
            None
        }
    }

    /// Protocol name and, where there is one, the port.
    #[must_use]
    pub const fn kind(self) -> ServiceKind {
        let row = self.row();
        match row {
            0..UDP_FIRST => ServiceKind::Tcp(row as u16),
            UDP_FIRST..PROTOCOL_FIRST => ServiceKind::Udp((row - UDP_FIRST) as u16),
            PROTOCOL_FIRST..ICMP_FIRST => ServiceKind::Protocol((row - PROTOCOL_FIRST) as u8),
            ICMP_FIRST..ICMPV6_FIRST => ServiceKind::Icmp((row - ICMP_FIRST) as u8),
            _ => ServiceKind::Icmpv6((row - ICMPV6_FIRST) as u8),
        }
    }
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// TCP destination port.
    Tcp(u16),
    /// UDP destination port.
    Udp(u16),
    /// IP protocol number.
    Protocol(u8),
    /// Type of ICMP.
    Icmp(u8),
    /// Type of ICMPv6.
    Icmpv6(u8),
}
