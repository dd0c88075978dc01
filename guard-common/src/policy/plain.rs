//! Plain packets: TCP or UDP in IPv4 without options or in IPv6 without extensions, whole, with one tag at most.
//! They are read in one piece. What is not so plain, or not quite right, is nothing here: the full path knows why.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Admission, Searches, ban,
    essential::{DHCP_CLIENT, DHCPV6_CLIENT},
    tcp,
};
use crate::{
    abi::{
        addr::Addr,
        flow::Tuple,
        service::{Service, protocol},
        switch::SlotState,
    },
    packet::{
        ETHERNET_LEN, Ethernet, Head, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET, IPV4_PLAIN,
        IPV6_LEN, Ipv4, Ipv6, Packet, PacketReader, TAG_LEN, TCP_LEN, Tag, TcpFlags, UDP_LEN,
        link::{IPV4, IPV6, SERVICE_VLAN, VLAN},
    },
};

/// What is read of a frame in one piece: its link, its IP header, and what of TCP or UDP must be known.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct Headers<L, I> {
    link: L,
    ip: I,
    head: Head,
}

/// What a frame begins with: [`Untagged`] or [`Tagged`].
pub(super) trait Link: FromBytes + Immutable + KnownLayout + Unaligned {
    /// Tags.
    const TAGS: u8;
}

/// Without a tag.
pub(super) type Untagged = Ethernet;

/// With one.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
pub(super) struct Tagged {
    ethernet: Ethernet,
    tag: Tag,
}

impl Link for Untagged {
    const TAGS: u8 = 0;
}

impl Link for Tagged {
    const TAGS: u8 = 1;
}

/// Sources from 1.0.0.0 on, up to 223.255.255.255.
const FIRST_SOURCE: u32 = 1 << 24;
const SOURCES: u32 = 223 << 24;
/// The first octet of a loopback address.
const LOOPBACK: u32 = 127;
/// More fragments, and the offset.
const FRAGMENT: u16 = IPV4_MORE_FRAGMENTS | IPV4_OFFSET;

/// May a frame be one of untagged IPv4?
#[inline(always)]
pub(super) fn is_v4<R: PacketReader + ?Sized>(reader: &R) -> bool {
    ether_type(reader, ETHERNET_LEN) == Some(IPV4)
}

/// Which other form a frame has, by its EtherTypes.
#[inline(always)]
pub(super) fn other<R: PacketReader + ?Sized>(reader: &R) -> Option<Form> {
    match ether_type(reader, ETHERNET_LEN)? {
        IPV6 => Some(Form::V6),
        VLAN | SERVICE_VLAN => match ether_type(reader, ETHERNET_LEN + TAG_LEN)? {
            IPV4 => Some(Form::TAGGED_V4),
            IPV6 => Some(Form::TAGGED_V6),
            _ => None,
        },
        _ => None,
    }
}

/// The EtherType of what begins at `at`.
#[inline(always)]
fn ether_type<R: PacketReader + ?Sized>(reader: &R, at: usize) -> Option<u16> {
    let bytes: [u8; 2] = reader.read(at - size_of::<[u8; 2]>())?;
    Some(u16::from_be_bytes(bytes))
}

/// A plain packet.
#[derive(Clone, Copy)]
pub(super) struct PlainPacket<S> {
    /// Who sent it.
    pub source: S,
    /// Our address.
    pub local: Addr,
    /// What it asks for.
    pub request: ServiceRequest,
    /// How it stands in its frame.
    pub form: Form,
}

/// Family and tags of a plain packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    is_v4: bool,
    tags: u8,
}

impl Form {
    /// Untagged IPv4.
    pub(super) const V4: Self = Self {
        is_v4: true,
        tags: 0,
    };
    /// Untagged IPv6.
    pub(super) const V6: Self = Self {
        is_v4: false,
        tags: 0,
    };
    /// IPv4 behind a tag.
    pub(super) const TAGGED_V4: Self = Self {
        is_v4: true,
        tags: 1,
    };
    /// IPv6 behind a tag.
    pub(super) const TAGGED_V6: Self = Self {
        is_v4: false,
        tags: 1,
    };

    /// Where the IP header begins.
    #[inline(always)]
    pub(super) const fn network_at(self) -> usize {
        ETHERNET_LEN + self.tags as usize * TAG_LEN
    }

    /// As a number of 16 bits.
    #[inline(always)]
    pub(super) const fn bits(self) -> u32 {
        self.is_v4 as u32 | (self.tags as u32) << 8
    }

    /// The inverse of [`Form::bits`].
    #[inline(always)]
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self {
            is_v4: bits & 1 != 0,
            tags: (bits >> 8) as u8,
        }
    }

    /// Puts a plain packet of this form into the scratch, as [`read_again`] does.
    #[inline(always)]
    pub(super) fn read_again<R: PacketReader + ?Sized>(
        self,
        reader: &R,
        packet: &Packet,
    ) -> Option<()> {
        match self {
            Self::V4 => put::<R, Untagged, Ipv4>(reader, packet),
            Self::TAGGED_V4 => put::<R, Tagged, Ipv4>(reader, packet),
            Self::V6 => put::<R, Untagged, Ipv6>(reader, packet),
            _ => put::<R, Tagged, Ipv6>(reader, packet),
        }
    }

    /// Of one that is let in.
    #[inline(always)]
    pub(super) fn admission<T: Searches>(self, tables: &T, request: ServiceRequest) -> Admission {
        if request.opens() {
            Admission::plain(self.is_v4, self.tags, tables.port_marks(request.port()))
        } else {
            Admission::NONE
        }
    }
}

/// A source in as few registers as it takes.
pub(super) trait SourceAddr: Copy {
    /// As an address.
    fn addr(self) -> Addr;
    /// Is it banned, and not on the never list?
    fn is_banned<T: Searches>(self, tables: &T, state: SlotState) -> bool;
    /// An IPv4 address; of another family nothing that counts.
    fn number(self) -> u32;
}

impl SourceAddr for u32 {
    #[inline(always)]
    fn addr(self) -> Addr {
        Addr::from_v4(self)
    }

    #[inline(always)]
    fn is_banned<T: Searches>(self, tables: &T, state: SlotState) -> bool {
        ban::is_dropped_v4(tables, state, self)
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self
    }
}

impl SourceAddr for Addr {
    #[inline(always)]
    fn addr(self) -> Addr {
        self
    }

    #[inline(always)]
    fn is_banned<T: Searches>(self, tables: &T, state: SlotState) -> bool {
        ban::is_dropped(tables, state, self)
    }

    #[inline(always)]
    fn number(self) -> u32 {
        0
    }
}

/// What a plain packet asks for, in one number, so that it takes one register of the few that a call
/// leaves alone: `port (16 bits) | UDP (1) | SYN (1)`.
#[derive(Clone, Copy)]
pub(super) struct ServiceRequest(pub(super) u32);

impl ServiceRequest {
    const UDP: u32 = 1 << 16;
    const OPENS: u32 = 1 << 17;

    #[inline(always)]
    pub(super) const fn opens(self) -> bool {
        self.0 & Self::OPENS != 0
    }

    #[inline(always)]
    pub(super) const fn is_udp(self) -> bool {
        self.0 & Self::UDP != 0
    }

    /// Is it what limits count?
    #[inline(always)]
    pub(super) const fn is_charged(self) -> bool {
        self.0 & (Self::UDP | Self::OPENS) != 0
    }

    #[inline(always)]
    pub(super) const fn protocol(self) -> u8 {
        if self.is_udp() {
            protocol::UDP
        } else {
            protocol::TCP
        }
    }

    #[inline(always)]
    pub(super) const fn port(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    pub(super) const fn service(self) -> Service {
        Service::of_port(self.0 & (Self::OPENS - 1))
    }
}

/// The ends of a plain packet's conversation, read again where they are wanted: keeping them costs more.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub destination: u32,
    pub source_port: u16,
}

impl Ends {
    #[inline(always)]
    pub(super) fn read<R: PacketReader + ?Sized>(reader: &R) -> Option<Self> {
        let headers: Headers<Untagged, Ipv4> = reader.read(0)?;
        Some(Self {
            destination: u32::from_be_bytes(headers.ip.destination),
            source_port: u16::from_be_bytes(headers.head.source_port),
        })
    }
}

/// Puts a plain packet of untagged IPv4 into the scratch, as far as the last word on it needs to know it. Segments have
/// flags, and of a datagram nobody asks for any.
#[inline(always)]
pub(super) fn read_again<R: PacketReader + ?Sized>(reader: &R, packet: &Packet) {
    // Without a scratch's worth of headers it would not have come here.
    let _read = put::<R, Untagged, Ipv4>(reader, packet);
}

/// What of an IP header tells who talks to whom.
trait EndsOfHeader: FromBytes + Immutable + KnownLayout + Unaligned {
    fn ends(&self) -> (Addr, Addr);
    fn protocol(&self) -> u8;
}

impl EndsOfHeader for Ipv4 {
    #[inline(always)]
    fn ends(&self) -> (Addr, Addr) {
        let of = |bytes| Addr::from_v4(u32::from_be_bytes(bytes));
        (of(self.source), of(self.destination))
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.protocol
    }
}

impl EndsOfHeader for Ipv6 {
    #[inline(always)]
    fn ends(&self) -> (Addr, Addr) {
        (
            Addr::from_v6(self.source_hi, self.source_lo),
            Addr::from_v6(self.destination_hi, self.destination_lo),
        )
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.next_header
    }
}

#[inline(always)]
fn put<R, L, I>(reader: &R, packet: &Packet) -> Option<()>
where
    R: PacketReader + ?Sized,
    L: Link,
    I: EndsOfHeader,
{
    let headers: Headers<L, I> = reader.read(0)?;
    let (remote, local) = headers.ip.ends();
    let tuple = Tuple {
        remote,
        local,
        remote_port: u16::from_be_bytes(headers.head.source_port),
        local_port: u16::from_be_bytes(headers.head.destination_port),
        protocol: headers.ip.protocol(),
    };
    let network_at = size_of::<L>();
    let places = (network_at, network_at + size_of::<I>());
    packet.set_segment(&tuple, TcpFlags(headers.head.flags), places);
    Some(())
}

/// Reads a frame whose EtherType is that of IPv4.
#[inline(always)]
pub(super) fn read_v4<R, L>(reader: &R) -> Option<PlainPacket<u32>>
where
    R: PacketReader + ?Sized,
    L: Link,
{
    let headers: Headers<L, Ipv4> = reader.read(0)?;
    let ip = &headers.ip;
    if ip.version_ihl != IPV4_PLAIN || ip.fragment_field() & FRAGMENT != 0 {
        return None;
    }
    let total_len = usize::from(u16::from_be_bytes(ip.total_len));
    if size_of::<L>() + total_len > reader.len() {
        return None;
    }
    let source = u32::from_be_bytes(ip.source);
    // Martians, or nearly.
    if source.wrapping_sub(FIRST_SOURCE) >= SOURCES || source >> 24 == LOOPBACK {
        return None;
    }
    Some(PlainPacket {
        source,
        local: Addr::from_v4(u32::from_be_bytes(ip.destination)),
        request: request(&headers.head, ip.protocol, IPV4_LEN, total_len, DHCP_CLIENT)?,
        form: Form {
            is_v4: true,
            tags: L::TAGS,
        },
    })
}

/// Reads a frame whose EtherType is that of IPv6.
#[inline(always)]
pub(super) fn read_v6<R>(reader: &R, form: Form, network_at: usize) -> Option<PlainPacket<Addr>>
where
    R: PacketReader + ?Sized,
{
    const VERSION: u8 = 6;
    const MULTICAST: u64 = 0xff;
    let headers: Headers<[u8; 0], Ipv6> = reader.read(network_at)?;
    let ip = &headers.ip;
    if ip.version_class_flow[0] >> 4 != VERSION {
        return None;
    }
    let len = IPV6_LEN + usize::from(u16::from_be_bytes(ip.payload_len));
    if network_at + len > reader.len() {
        return None;
    }
    let source = Addr::from_v6(ip.source_hi, ip.source_lo);
    let local = Addr::from_v6(ip.destination_hi, ip.destination_lo);
    // Martians and mapped addresses, or nearly.
    if source.hi() == 0 || source.hi() >> 56 == MULTICAST || local.hi() == 0 {
        return None;
    }
    Some(PlainPacket {
        source,
        local,
        request: request(&headers.head, ip.next_header, IPV6_LEN, len, DHCPV6_CLIENT)?,
        form,
    })
}

/// What a transport header asks for, behind an IP header of `ip_len` bytes in a packet of `len`. The port of a
/// client of DHCP is none of a plain packet.
#[inline(always)]
fn request(
    head: &Head,
    protocol: u8,
    ip_len: usize,
    len: usize,
    client: u16,
) -> Option<ServiceRequest> {
    let port = u16::from_be_bytes(head.destination_port);
    let kind = match protocol {
        protocol::TCP => {
            let header_len = head.tcp_header_len();
            let flags = TcpFlags(head.flags);
            if header_len < TCP_LEN || ip_len + header_len > len || !tcp::is_possible(flags) {
                return None;
            }
            if flags.opens() {
                ServiceRequest::OPENS
            } else {
                0
            }
        }
        protocol::UDP => {
            let udp_len = usize::from(u16::from_be_bytes(head.udp_len));
            if udp_len < UDP_LEN || ip_len + udp_len > len || port == client {
                return None;
            }
            ServiceRequest::UDP
        }
        _ => return None,
    };
    Some(ServiceRequest(kind | u32::from(port)))
}
