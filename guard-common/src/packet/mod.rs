//! Bytes to facts. Nothing here decides: a frame that cannot be parsed is a [`ParseError`] with a
//! reason, a frame that can is a [`Frame`].
//!
//! Bytes are copied out by value through [`PacketReader`]; every length field is checked against
//! the frame before it is believed, and every loop has a named bound.

mod answer;
mod facts;
mod headers;
mod ipv4;
mod ipv6;
pub(crate) mod link;
mod syn_ack;
mod transport;
mod transport_header;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::abi::reason::Reason;

pub use answer::{answered, quoted};
pub use facts::{Facts, Fragment, Packet};
pub use headers::{
    ETHERNET_LEN, EXTENSION_LEN, Ethernet, Extension, HEAD_LEN, Head, ICMP_LEN, IPV4_LEN,
    IPV4_MORE_FRAGMENTS, IPV4_OFFSET, IPV4_PLAIN, IPV6_LEN, Icmp, Ipv4, Ipv6, TAG_LEN, TCP_LEN,
    Tag, Tcp, UDP_LEN, Udp,
};
pub use link::MAX_VLAN_TAGS;
pub use syn_ack::{Cookie, SynAckV4, SynAckV6};
pub use transport::{TcpFlags, Transport};

/// Reads a frame. Implemented over packet pointers in the kernel and over slices elsewhere.
pub trait PacketReader {
    /// Bytes in the frame.
    fn len(&self) -> usize;

    /// Is there no byte at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies a `T` found at `offset`; `None` when the frame ends first.
    fn read<T: FromBytes + Immutable + KnownLayout + Unaligned>(&self, offset: usize) -> Option<T>;

    /// What was written to a [`Packet`] is read again behind this, and not remembered: to the kernel's
    /// verifier it can be any number then, so that the turns of a loop look alike.
    #[inline(always)]
    fn forget_words() {}

    /// The same offset, below [`LINK_END`], of which the kernel's verifier does not know which one it is: so one way lies
    /// behind it, however many tags the frame has.
    #[inline(always)]
    fn hidden(&self, offset: usize) -> usize {
        offset
    }
}

/// A frame in memory.
impl PacketReader for [u8] {
    #[inline(always)]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline(always)]
    fn read<T: FromBytes + Immutable + KnownLayout + Unaligned>(&self, offset: usize) -> Option<T> {
        T::read_from_prefix(self.get(offset..)?)
            .ok()
            .map(|(value, _)| value)
    }
}

/// The IP header begins ahead of this, behind Ethernet and two tags.
pub const LINK_END: usize = 32;

/// Highest offset that guard reads at: two tags, an IPv4 header with options or an IPv6 chain of
/// [`ipv6::MAX_EXTENSION_HEADERS`] maximal headers stay below; the verifier wants a bound.
pub const MAX_OFFSET: usize = 0x3fff;

/// Why a frame is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The frame ends before its headers do.
    Truncated,
    /// EtherType that guard does not know.
    NotIp,
    /// More than [`MAX_VLAN_TAGS`] tags.
    TooManyTags,
    /// IPv4 version or header length is wrong.
    BadIpv4Header,
    /// IPv6 version is wrong.
    BadIpv6Header,
    /// IP length contradicts the frame.
    BadLength,
    /// Loose or strict source route.
    SourceRoute,
    /// Routing header of type 0.
    RoutingHeader0,
    /// Misplaced extension headers, or such that end too far behind.
    BadExtensionChain,
    /// More than [`ipv6::MAX_EXTENSION_HEADERS`].
    TooManyExtensions,
    /// First fragment without the whole transport header.
    TinyFragment,
    /// TCP data offset is wrong.
    BadTcpHeader,
    /// UDP length contradicts the packet.
    BadUdpLength,
    /// IPv4-mapped address in an IPv6 header.
    MappedAddress,
}

impl ParseError {
    /// The reason under which such a frame is dropped and counted.
    #[inline(always)]
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Truncated => Reason::Truncated,
            Self::NotIp => Reason::NotIp,
            Self::TooManyTags => Reason::TooManyTags,
            Self::BadIpv4Header => Reason::BadIpv4Header,
            Self::BadIpv6Header => Reason::BadIpv6Header,
            Self::BadLength => Reason::BadLength,
            Self::SourceRoute => Reason::SourceRoute,
            Self::RoutingHeader0 => Reason::RoutingHeader0,
            Self::BadExtensionChain => Reason::BadExtensionChain,
            Self::TooManyExtensions => Reason::TooManyExtensions,
            Self::TinyFragment => Reason::TinyFragment,
            Self::BadTcpHeader => Reason::BadTcpHeader,
            Self::BadUdpLength => Reason::BadUdpLength,
            Self::MappedAddress => Reason::MappedAddress,
        }
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// ARP.
    Arp,
    /// LACP, marker and other slow protocols (0x8809).
    SlowProtocol,
    /// LLDP (0x88cc).
    Lldp,
    /// EAPOL (0x888e).
    Eapol,
    /// A bridge protocol data unit (802.1D), in a frame of 802.2 to the group of bridges.
    SpanningTree,
    /// An IP packet.
    Ip,
}

/// Reads a frame. If it is an IP packet, `packet` holds what it says.
///
/// # Errors
/// A [`ParseError`] says what about the frame cannot be believed.
#[inline(always)]
pub fn parse<R: PacketReader + ?Sized>(reader: &R, packet: &Packet) -> Result<Frame, ParseError> {
    let (ether_type, at) = link::parse(reader)?;
    match ether_type {
        link::IPV4 => ipv4::parse(reader, at, packet).map(|()| Frame::Ip),
        link::IPV6 => ipv6::parse(reader, at, packet).map(|()| Frame::Ip),
        link::ARP => Ok(Frame::Arp),
        link::SLOW_PROTOCOL => Ok(Frame::SlowProtocol),
        link::LLDP => Ok(Frame::Lldp),
        link::EAPOL => Ok(Frame::Eapol),
        len if link::is_spanning_tree(reader, len) => Ok(Frame::SpanningTree),
        _ => Err(ParseError::NotIp),
    }
}

/// Reads a `T` at `at` that must also end before `end`, the end of the IP packet: what follows is
/// padding of the link.
#[inline(always)]
fn read_within<R, T>(reader: &R, at: usize, end: usize) -> Option<T>
where
    R: PacketReader + ?Sized,
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    if at + size_of::<T>() > end {
        return None;
    }
    reader.read(at)
}
