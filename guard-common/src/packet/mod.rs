//! Bytes to facts. Nothing here decides: a frame that cannot be parsed is a [`ParseError`] with a
//! reason, a frame that can is a [`Frame`].
//!
//! Bytes are copied out by value through [`PacketReader`]; every length field is checked against
//! the frame before it is believed, and every loop has a named bound.

mod ipv4;
mod ipv6;
mod link;
mod quoted;
mod syn_ack;
mod transport;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::abi::{addr::Addr, reason::Reason};

pub use link::MAX_VLAN_TAGS;
pub use quoted::{ICMP_LEN, quoted};
pub use syn_ack::{Cookie, Syn, SynAckV4, SynAckV6};
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

    /// The same value, of which the verifier knows nothing any more. Cheaper than
    /// [`PacketReader::forget`] where a reader is at hand.
    #[inline(always)]
    fn blur(&self, value: u64) -> u64 {
        value
    }

    /// The same value. The kernel's implementation makes its verifier forget what it inferred of
    /// it, so that the turns of a loop look alike and are verified once instead of once per path.
    #[inline(always)]
    fn forget(value: u64) -> u64 {
        value
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
    /// Too many or misplaced extension headers.
    BadExtensionChain,
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
    /// An IP packet.
    Ip(Packet),
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// The whole datagram (or an atomic fragment, RFC 6946).
    Whole,
    /// The first part; carries the transport header.
    First(u32),
    /// A later part; carries no header.
    Later(u32),
}

impl Fragment {
    const FIRST: u64 = 1;
    const LATER: u64 = 2;

    /// In one word: `which (32 bits) | identification (32)`, from the low end.
    #[inline(always)]
    const fn to_word(self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::First(id) => Self::FIRST | (id as u64) << 32,
            Self::Later(id) => Self::LATER | (id as u64) << 32,
        }
    }

    #[inline(always)]
    const fn from_word(word: u64) -> Self {
        match word & 0xffff_ffff {
            Self::FIRST => Self::First((word >> 32) as u32),
            Self::LATER => Self::Later((word >> 32) as u32),
            _ => Self::Whole,
        }
    }
}

/// Facts about an IP packet, one by one; [`Packet`] holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Source address.
    pub source: Addr,
    /// Destination address.
    pub destination: Addr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// IP protocol behind all extension headers.
    pub protocol: u8,
    /// Part of a datagram, with the datagram's identification.
    pub fragment: Fragment,
    /// An IPv6 extension header stands before the transport header.
    pub extended: bool,
    /// A hop-by-hop router alert stands before the transport header (IPv6).
    pub router_alert: bool,
    /// The transport header; `None` behind a later fragment.
    pub transport: Transport,
    /// Where the IP header lies in the frame.
    pub network_at: u32,
    /// Where the transport header lies in the frame.
    pub transport_at: u32,
    /// Where the packet ends in the frame; what follows is padding of the link.
    pub end: u32,
}

/// An IP packet: [`Facts`] in eight full words. An enum's bytes that its variant does not use would be
/// undefined, and old verifiers refuse a program that moves such bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub source: Addr,
    /// Destination address.
    pub destination: Addr,
    header: u64,
    fragment: u64,
    transport: u64,
    places: u64,
}

impl From<Facts> for Packet {
    fn from(facts: Facts) -> Self {
        Self {
            source: facts.source,
            destination: facts.destination,
            header: Header {
                hop_limit: facts.hop_limit,
                protocol: facts.protocol,
                extended: facts.extended,
                router_alert: facts.router_alert,
            }
            .to_word(),
            fragment: facts.fragment.to_word(),
            transport: facts.transport.to_word(),
            places: places(
                facts.network_at as usize,
                facts.transport_at as usize,
                facts.end as usize,
            ),
        }
    }
}

/// What the IP header says beside the addresses.
struct Header {
    hop_limit: u8,
    protocol: u8,
    extended: bool,
    router_alert: bool,
}

impl Header {
    const EXTENDED: u64 = 1 << 16;
    const ROUTER_ALERT: u64 = 1 << 17;

    #[inline(always)]
    const fn to_word(&self) -> u64 {
        let extended = if self.extended { Self::EXTENDED } else { 0 };
        let alert = if self.router_alert {
            Self::ROUTER_ALERT
        } else {
            0
        };
        self.hop_limit as u64 | (self.protocol as u64) << 8 | extended | alert
    }
}

/// Where IP header, transport header and end lie; 20 bits each hold any frame.
#[inline(always)]
const fn places(network_at: usize, transport_at: usize, end: usize) -> u64 {
    network_at as u64 | (transport_at as u64) << PLACE_BITS | (end as u64) << (2 * PLACE_BITS)
}

const PLACE_BITS: u32 = 20;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

impl Packet {
    /// TTL or hop limit.
    #[inline(always)]
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.header as u8
    }

    /// IP protocol behind all extension headers.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        (self.header >> 8) as u8
    }

    /// Does an IPv6 extension header stand before the transport header?
    #[inline(always)]
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.header & Header::EXTENDED != 0
    }

    /// Does a hop-by-hop router alert stand there?
    #[inline(always)]
    #[must_use]
    pub const fn has_router_alert(&self) -> bool {
        self.header & Header::ROUTER_ALERT != 0
    }

    /// Part of a datagram.
    #[inline(always)]
    #[must_use]
    pub const fn fragment(&self) -> Fragment {
        Fragment::from_word(self.fragment)
    }

    /// Is it a datagram of its own?
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.fragment == 0
    }

    /// The transport header.
    #[inline(always)]
    #[must_use]
    pub const fn transport(&self) -> Transport {
        Transport::from_word(self.transport)
    }

    /// Where the IP header lies in the frame.
    #[inline(always)]
    #[must_use]
    pub const fn network_at(&self) -> u32 {
        (self.places & PLACE_MASK) as u32
    }

    /// Where the transport header lies in the frame.
    #[inline(always)]
    #[must_use]
    pub const fn transport_at(&self) -> u32 {
        (self.places >> PLACE_BITS & PLACE_MASK) as u32
    }

    /// Where the packet ends in the frame.
    #[inline(always)]
    #[must_use]
    pub const fn end(&self) -> u32 {
        (self.places >> (2 * PLACE_BITS)) as u32
    }

    /// One by one.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        Facts {
            source: self.source,
            destination: self.destination,
            hop_limit: self.hop_limit(),
            protocol: self.protocol(),
            fragment: self.fragment(),
            extended: self.is_extended(),
            router_alert: self.has_router_alert(),
            transport: self.transport(),
            network_at: self.network_at(),
            transport_at: self.transport_at(),
            end: self.end(),
        }
    }

    /// The same packet, of which the kernel's verifier knows nothing: whichever way led here, what
    /// follows is verified once.
    #[inline(always)]
    #[must_use]
    pub fn blurred<R: PacketReader + ?Sized>(&self, reader: &R) -> Self {
        let blurred =
            |addr: Addr| Addr::from_halves(reader.blur(addr.hi()), reader.blur(addr.lo()));
        Self {
            source: blurred(self.source),
            destination: blurred(self.destination),
            header: reader.blur(self.header),
            fragment: reader.blur(self.fragment),
            transport: reader.blur(self.transport),
            places: reader.blur(self.places),
        }
    }
}

/// Reads a frame.
///
/// # Errors
/// A [`ParseError`] says what about the frame cannot be believed.
#[inline(always)]
pub fn parse<R: PacketReader + ?Sized>(reader: &R) -> Result<Frame, ParseError> {
    let (ether_type, at) = link::parse(reader)?;
    match ether_type {
        link::IPV4 => ipv4::parse(reader, at).map(Frame::Ip),
        link::IPV6 => ipv6::parse(reader, at).map(Frame::Ip),
        link::ARP => Ok(Frame::Arp),
        link::SLOW_PROTOCOL => Ok(Frame::SlowProtocol),
        link::LLDP => Ok(Frame::Lldp),
        link::EAPOL => Ok(Frame::Eapol),
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
