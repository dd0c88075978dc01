//! Plain packets: TCP or UDP in IPv4 without options or in IPv6 without extensions, whole, with one tag at most.
//! They are read in one piece. What is not so plain, or not quite right, is nothing here: the full path knows why.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{
    Scratch, Searches,
    essential::{DHCP_CLIENT, DHCPV6_CLIENT},
    tcp,
};
use crate::{
    abi::{
        addr::Addr,
        flow::Tuple,
        service::{
            Service,
            protocol::{TCP, UDP},
        },
    },
    packet::{
        ETHERNET_LEN, Head, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET, IPV4_PLAIN, IPV6_LEN, Ipv4,
        Ipv6, PacketReader, TAG_LEN, TCP_LEN, TcpFlags, UDP_LEN,
        link::{IPV4, IPV6, SERVICE_VLAN, VLAN},
    },
};

/// What is read of a packet in one piece: its IP header, and what of TCP or UDP must be known.
#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct Headers<I> {
    ip: I,
    head: Head,
}

/// A plain packet.
#[derive(Clone, Copy)]
pub(super) struct PlainPacket {
    /// Who sent it.
    pub source: Addr,
    /// Our address.
    pub local: Addr,
    /// What it asks for.
    pub request: ServiceRequest,
}

/// Family and tags of a plain packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub is_v4: bool,
    pub tags: u8,
}

impl Form {
    /// IPv4 behind so many tags, one at most.
    #[inline(always)]
    pub(super) const fn v4(tags: u8) -> Self {
        Self { is_v4: true, tags }
    }

    /// That of a frame with these EtherTypes.
    #[inline(always)]
    pub(super) fn of(reader: &(impl PacketReader + ?Sized)) -> Option<Self> {
        let ether_type = |at| reader.read(at).map(u16::from_be_bytes);
        let form = |ether_type, tags| match ether_type {
            IPV4 => Some(Self { is_v4: true, tags }),
            IPV6 => Some(Self { is_v4: false, tags }),
            _ => None,
        };
        match ether_type(ETHERNET_LEN - 2)? {
            VLAN | SERVICE_VLAN => form(ether_type(ETHERNET_LEN + TAG_LEN - 2)?, 1),
            untagged => form(untagged, 0),
        }
    }

    /// Where the IP header begins.
    #[inline(always)]
    const fn network_at(self) -> usize {
        ETHERNET_LEN + self.tags as usize * TAG_LEN
    }

    #[inline(always)]
    const fn ip_len(self) -> usize {
        if self.is_v4 { IPV4_LEN } else { IPV6_LEN }
    }

    /// Reads a frame of IPv4.
    #[inline(always)]
    pub(super) fn read_v4(self, reader: &(impl PacketReader + ?Sized)) -> Option<PlainPacket> {
        let Headers { ip, head } = reader.read::<Headers<Ipv4>>(self.network_at())?;
        let is_part = ip.fragment_field() & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET) != 0;
        // Below 1.0.0.0 or from 224.0.0.0 on, or of a loopback: martians, or nearly.
        let first = ip.source().v4() >> 24;
        if ip.version_ihl != IPV4_PLAIN || is_part || first.wrapping_sub(1) >= 223 || first == 127 {
            return None;
        }
        let len = usize::from(u16::from_be_bytes(ip.total_len));
        let (source, local) = (ip.source(), ip.destination());
        let request = self.request(reader, (&head, ip.protocol), len)?;
        Some(PlainPacket {
            source,
            local,
            request,
        })
    }

    /// Reads a frame of IPv6.
    #[inline(always)]
    pub(super) fn read_v6(self, reader: &(impl PacketReader + ?Sized)) -> Option<PlainPacket> {
        let Headers { ip, head } = reader.read::<Headers<Ipv6>>(self.network_at())?;
        let len = IPV6_LEN + usize::from(u16::from_be_bytes(ip.payload_len));
        let (source, local) = (ip.source(), ip.destination());
        // From or to the first of all prefixes, where mapped addresses are, or from a group: martians, or nearly.
        let is_martian = source.hi() == 0 || source.hi() >> 56 == 0xff || local.hi() == 0;
        if ip.version_class_flow[0] >> 4 != 6 || is_martian {
            return None;
        }
        let request = self.request(reader, (&head, ip.next_header), len)?;
        Some(PlainPacket {
            source,
            local,
            request,
        })
    }

    /// What a transport header asks for that is part of an IP packet of `len` bytes. Answers of DHCP are no plain packets.
    #[inline(always)]
    fn request<R>(self, reader: &R, (head, of): (&Head, u8), len: usize) -> Option<ServiceRequest>
    where
        R: PacketReader + ?Sized,
    {
        let port = u16::from_be_bytes(head.destination_port);
        let (flags, tcp_len) = (TcpFlags(head.flags), head.tcp_header_len());
        let udp_len = u16::from_be_bytes(head.udp_len).into();
        let (kind, header_len, least) = match of {
            TCP if !tcp::is_possible(flags) => return None,
            TCP if flags.opens() => (ServiceRequest::OPENS, tcp_len, TCP_LEN),
            TCP => (0, tcp_len, TCP_LEN),
            UDP if port == DHCP_CLIENT || port == DHCPV6_CLIENT => return None,
            UDP => (ServiceRequest::IS_UDP, udp_len, UDP_LEN),
            _ => return None,
        };
        let is_whole = header_len >= least && self.ip_len() + header_len <= len;
        if !is_whole || self.network_at() + len > reader.len() {
            return None;
        }
        let mut tags = usize::from(self.tags);
        if self == Self::v4(1) {
            // To the verifier one way lies behind a tag and none, and not two.
            tags = reader.hidden(tags) & 1;
        }
        let tags = (tags as u32) << ServiceRequest::TAGS_SHIFT;
        Some(ServiceRequest(kind | tags | u32::from(port)))
    }

    /// Both ends of a packet of this form, and the flags if it is a segment. They are read again where they are
    /// wanted: keeping them costs more.
    #[inline(always)]
    pub(super) fn ends(self, reader: &(impl PacketReader + ?Sized)) -> Option<(Tuple, TcpFlags)> {
        let (remote, local, protocol, head) = if self.is_v4 {
            let Headers { ip, head } = reader.read::<Headers<Ipv4>>(self.network_at())?;
            (ip.source(), ip.destination(), ip.protocol, head)
        } else {
            let Headers { ip, head } = reader.read::<Headers<Ipv6>>(self.network_at())?;
            (ip.source(), ip.destination(), ip.next_header, head)
        };
        let ends = Tuple {
            remote,
            local,
            remote_port: u16::from_be_bytes(head.source_port),
            local_port: u16::from_be_bytes(head.destination_port),
            protocol,
        };
        Some((ends, TcpFlags(head.flags)))
    }

    /// Puts a packet of this form into the scratch, as far as the last word on it needs to know it. Segments have flags,
    /// and of a datagram nobody asks for any.
    #[inline(always)]
    pub(super) fn note<'s>(
        self,
        reader: &(impl PacketReader + ?Sized),
        scratch: &'s Scratch,
    ) -> Option<&'s Scratch> {
        let (ends, flags) = self.ends(reader)?;
        let places = (self.network_at(), self.network_at() + self.ip_len());
        scratch.packet.set_segment(&ends, flags, places);
        Some(scratch)
    }
}

/// What a plain packet asks for, in one number, so that it takes one register of the few that a call leaves alone:
/// `port (16 bits) | UDP (1) | SYN (1) | may a rule name its source (1) | tags (1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRequest(pub u32);

impl ServiceRequest {
    const IS_UDP: u32 = 1 << 16;
    const OPENS: u32 = 1 << 17;
    pub(super) const IS_NAMED: u32 = 1 << 18;
    const TAGS_SHIFT: u32 = 19;

    /// Tags that it stands behind.
    #[inline(always)]
    pub(super) const fn tags(self) -> u8 {
        (self.0 >> Self::TAGS_SHIFT) as u8 & 1
    }

    /// Both ends of a packet of IPv4 that asks for it.
    #[inline(always)]
    pub(super) fn ends_v4(self, reader: &(impl PacketReader + ?Sized)) -> Option<Tuple> {
        Some(Form::v4(self.tags()).ends(reader)?.0)
    }

    /// The same, of which the compiler keeps this and nothing that it is made of.
    #[inline(always)]
    pub(super) fn hidden<T: Searches>(self) -> Self {
        Self(T::hide(self.0.into()) as u32)
    }

    /// The same, known to be no datagram.
    #[inline(always)]
    pub(super) const fn of_segment(self) -> Self {
        Self(self.0 & !Self::IS_UDP)
    }

    /// Is it the first segment of a connection?
    #[inline(always)]
    pub(super) const fn opens(self) -> bool {
        self.0 & Self::OPENS != 0
    }

    #[inline(always)]
    pub(super) const fn is_udp(self) -> bool {
        self.0 & Self::IS_UDP != 0
    }

    #[inline(always)]
    pub(super) const fn protocol(self) -> u8 {
        if self.is_udp() { UDP } else { TCP }
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
