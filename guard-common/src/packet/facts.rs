//! What is known of an IP packet.

use core::cell::Cell;

use super::{TCP_LEN, TcpFlags, Transport};
use crate::abi::{addr::Addr, flow::Tuple};

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
    pub(super) const fn to_word(self) -> u64 {
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

/// An IP packet: [`Facts`] in words of memory that may be changed through a shared reference. In the kernel
/// they lie in an array of the CPU's own, not on the stack, which is small; and of what was written there
/// and is read again the verifier knows nothing, so that whichever way through the headers led here, what
/// follows is verified once. Whole words, because an enum's bytes that its variant does not use would be
/// undefined, and old verifiers refuse a program that moves such bytes.
#[repr(C)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    source: [Cell<u64>; 2],
    destination: [Cell<u64>; 2],
    header: Cell<u64>,
    fragment: Cell<u64>,
    transport: Cell<u64>,
    places: Cell<u64>,
}

const PROTOCOL_SHIFT: u32 = 8;
const EXTENDED: u64 = 1 << 16;
const ROUTER_ALERT: u64 = 1 << 17;
const FRAGMENT_HEADER: u64 = 1 << 18;
const PAYLOAD: u64 = 1 << 19;

const PLACE_BITS: u32 = 20;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

impl From<Facts> for Packet {
    fn from(facts: Facts) -> Self {
        let packet = Self::default();
        packet.set_addresses(facts.source, facts.destination);
        packet.set_header(facts.hop_limit, facts.protocol, facts.router_alert);
        if facts.extended {
            packet.set_extended();
        }
        packet.set_fragment(facts.fragment);
        packet.set_transport(facts.transport);
        packet.set_places(
            facts.network_at as usize,
            facts.transport_at as usize,
            facts.end as usize,
        );
        packet
    }
}

impl Packet {
    /// Source address.
    #[inline(always)]
    #[must_use]
    pub fn source(&self) -> Addr {
        Addr::from_halves(self.source[0].get(), self.source[1].get())
    }

    /// Destination address.
    #[inline(always)]
    #[must_use]
    pub fn destination(&self) -> Addr {
        Addr::from_halves(self.destination[0].get(), self.destination[1].get())
    }

    /// Is it one of IPv4?
    #[inline(always)]
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.source().is_v4()
    }

    /// TTL or hop limit.
    #[inline(always)]
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        self.header.get() as u8
    }

    /// IP protocol behind all extension headers.
    #[inline(always)]
    #[must_use]
    pub fn protocol(&self) -> u8 {
        (self.header.get() >> PROTOCOL_SHIFT) as u8
    }

    /// Does an IPv6 extension header stand before the transport header?
    #[inline(always)]
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.header.get() & EXTENDED != 0
    }

    /// Does a hop-by-hop router alert stand there?
    #[inline(always)]
    #[must_use]
    pub fn has_router_alert(&self) -> bool {
        self.header.get() & ROUTER_ALERT != 0
    }

    /// Part of a datagram.
    #[inline(always)]
    #[must_use]
    pub fn fragment(&self) -> Fragment {
        Fragment::from_word(self.fragment.get())
    }

    /// Is it a datagram of its own?
    #[inline(always)]
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.fragment.get() == 0
    }

    /// The transport header.
    #[inline(always)]
    #[must_use]
    pub fn transport(&self) -> Transport {
        Transport::from_word(self.transport.get())
    }

    /// Both ends of a segment or datagram of this protocol, without a look at what it is.
    #[inline(always)]
    pub(crate) fn ends(&self, protocol: u8) -> Tuple {
        let (remote_port, local_port) = Transport::ports_of(self.transport.get());
        Tuple {
            remote: self.source(),
            local: self.destination(),
            remote_port,
            local_port,
            protocol,
        }
    }

    /// The port of the sender, of a segment or datagram; of any other packet some number.
    #[inline(always)]
    pub(crate) fn source_port(&self) -> u16 {
        Transport::ports_of(self.transport.get()).0
    }

    /// Where the IP header lies in the frame.
    #[inline(always)]
    #[must_use]
    pub fn network_at(&self) -> u32 {
        (self.places.get() & PLACE_MASK) as u32
    }

    /// Where the transport header lies in the frame.
    #[inline(always)]
    #[must_use]
    pub fn transport_at(&self) -> u32 {
        (self.places.get() >> PLACE_BITS & PLACE_MASK) as u32
    }

    /// Where the packet ends in the frame.
    #[inline(always)]
    #[must_use]
    pub fn end(&self) -> u32 {
        (self.places.get() >> (2 * PLACE_BITS)) as u32
    }

    /// One by one.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            source: self.source(),
            destination: self.destination(),
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

    /// Makes it a segment with these flags whose IP header begins at `network_at`, and its transport header, without
    /// options, at `transport_at`.
    #[inline(always)]
    pub(crate) fn set_segment(
        &self,
        tuple: &Tuple,
        flags: TcpFlags,
        (network_at, transport_at): (usize, usize),
    ) {
        self.set_addresses(tuple.remote, tuple.local);
        self.set_header(0, tuple.protocol, false);
        self.set_transport(Transport::Tcp {
            source_port: tuple.remote_port,
            destination_port: tuple.local_port,
            flags,
        });
        self.set_places(network_at, transport_at, transport_at + TCP_LEN);
    }

    #[inline(always)]
    pub(crate) fn set_addresses(&self, source: Addr, destination: Addr) {
        self.source[0].set(source.hi());
        self.source[1].set(source.lo());
        self.destination[0].set(destination.hi());
        self.destination[1].set(destination.lo());
    }

    /// Without extension headers.
    #[inline(always)]
    pub(super) fn set_header(&self, hop_limit: u8, protocol: u8, has_router_alert: bool) {
        let alert = if has_router_alert { ROUTER_ALERT } else { 0 };
        self.header
            .set(u64::from(hop_limit) | u64::from(protocol) << PROTOCOL_SHIFT | alert);
    }

    #[inline(always)]
    pub(super) fn set_protocol(&self, protocol: u8) {
        const MASK: u64 = 0xff << PROTOCOL_SHIFT;
        let rest = self.header.get() & !MASK;
        self.header
            .set(rest | u64::from(protocol) << PROTOCOL_SHIFT);
    }

    #[inline(always)]
    pub(super) fn set_extended(&self) {
        self.header.set(self.header.get() | EXTENDED);
    }

    /// Does a fragment header of IPv6 stand there, of a fragment or not?
    #[inline(always)]
    pub(super) fn has_fragment_header(&self) -> bool {
        self.header.get() & FRAGMENT_HEADER != 0
    }

    /// Does a segment of TCP carry data? Only a completed handshake leads to that.
    #[inline(always)]
    #[must_use]
    pub fn has_payload(&self) -> bool {
        self.header.get() & PAYLOAD != 0
    }

    #[inline(always)]
    pub(super) fn set_payload(&self) {
        self.header.set(self.header.get() | PAYLOAD);
    }

    #[inline(always)]
    pub(super) fn set_fragment_header(&self) {
        self.header.set(self.header.get() | FRAGMENT_HEADER);
    }

    #[inline(always)]
    pub(super) fn set_fragment(&self, fragment: Fragment) {
        self.fragment.set(fragment.to_word());
    }

    #[inline(always)]
    pub(super) fn set_transport(&self, transport: Transport) {
        self.transport.set(transport.to_word());
    }

    /// Where IP header, transport header and end lie; 20 bits each hold any frame.
    #[inline(always)]
    pub(super) fn set_places(&self, network_at: usize, transport_at: usize, end: usize) {
        self.places.set(
            network_at as u64
                | (transport_at as u64) << PLACE_BITS
                | (end as u64) << (2 * PLACE_BITS),
        );
    }

    #[inline(always)]
    pub(super) fn set_transport_at(&self, transport_at: usize) {
        const MASK: u64 = PLACE_MASK << PLACE_BITS;
        let rest = self.places.get() & !MASK;
        self.places
            .set(rest | (transport_at as u64 & PLACE_MASK) << PLACE_BITS);
    }
}
