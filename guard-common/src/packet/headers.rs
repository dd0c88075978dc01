//! The headers of the wire: each one, and its length, stands here and nowhere else. All fields are bytes in
//! network order, so any of them may lie at any offset.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::abi::addr::Addr;

/// Declares a header and checks its length against the one that its standard says.
macro_rules! header {
    ($(#[$doc:meta])* $name:ident, $len:ident = $bytes:literal, { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        #[doc = concat!("Bytes of [`", stringify!($name), "`].")]
        pub const $len: usize = $bytes;
        const _: () = assert!(size_of::<$name>() == $len);
    };
}

header!(
    /// Ethernet II.
    Ethernet, ETHERNET_LEN = 14, {
        /// To whom.
        destination: [u8; 6],
        /// From whom.
        source: [u8; 6],
        /// What follows.
        ether_type: [u8; 2],
    }
);

header!(
    /// A VLAN tag (802.1Q), as it stands behind the EtherType that announces it.
    Tag, TAG_LEN = 4, {
        /// Priority and number.
        control: [u8; 2],
        /// What follows.
        ether_type: [u8; 2],
    }
);

header!(
    /// IPv4 without options (RFC 791).
    Ipv4, IPV4_LEN = 20, {
        /// Version (4 bits), words of the header (4).
        version_ihl: u8,
        /// Type of service.
        service: u8,
        /// Bytes of header and payload.
        total_len: [u8; 2],
        /// Number of the datagram.
        id: [u8; 2],
        /// Flags (3 bits), offset in units of eight bytes (13).
        fragment: [u8; 2],
        /// Time to live.
        ttl: u8,
        /// What follows.
        protocol: u8,
        /// Sum over the header.
        checksum: [u8; 2],
        /// Where from.
        source: [u8; 4],
        /// Where to.
        destination: [u8; 4],
    }
);

header!(
    /// The fixed header of IPv6 (RFC 8200).
    Ipv6, IPV6_LEN = 40, {
        /// Version (4 bits), traffic class (8), flow label (20).
        version_class_flow: [u8; 4],
        /// Bytes of what follows.
        payload_len: [u8; 2],
        /// What follows.
        next_header: u8,
        /// Time to live.
        hop_limit: u8,
        /// Where from, the upper half.
        source_hi: [u8; 8],
        /// The lower half.
        source_lo: [u8; 8],
        /// Where to, the upper half.
        destination_hi: [u8; 8],
        /// The lower half.
        destination_lo: [u8; 8],
    }
);

header!(
    /// The first eight bytes of every IPv6 extension header that guard steps over.
    Extension, EXTENSION_LEN = 8, {
        /// What follows.
        next_header: u8,
        /// Length in a unit of the header's own.
        len: u8,
        /// The first bytes of the content.
        body: [u8; 6],
    }
);

header!(
    /// TCP without options (RFC 9293).
    Tcp, TCP_LEN = 20, {
        /// Where from.
        source_port: [u8; 2],
        /// Where to.
        destination_port: [u8; 2],
        /// Number of the first byte.
        sequence: [u8; 4],
        /// Number of the byte that is expected next.
        acknowledgement: [u8; 4],
        /// Words of the header (4 bits), reserved (4).
        data_offset: u8,
        /// FIN, SYN, RST, PSH, ACK, URG and two more.
        flags: u8,
        /// How much the sender takes.
        window: [u8; 2],
        /// Sum over addresses, header and data.
        checksum: [u8; 2],
        /// Where urgent data ends.
        urgent: [u8; 2],
    }
);

header!(
    /// UDP (RFC 768).
    Udp, UDP_LEN = 8, {
        /// Where from.
        source_port: [u8; 2],
        /// Where to.
        destination_port: [u8; 2],
        /// Bytes of header and data.
        len: [u8; 2],
        /// Sum over addresses, header and data.
        checksum: [u8; 2],
    }
);

header!(
    /// The first eight bytes, which every ICMP (RFC 792) and ICMPv6 (RFC 4443) message has.
    Icmp, ICMP_LEN = 8, {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Sum over the message.
        checksum: [u8; 2],
        /// Identifier, of echoes.
        id: [u8; 2],
        /// Sequence number, of echoes.
        sequence: [u8; 2],
    }
);

header!(
    /// The first bytes of a transport header of which it is not known yet whether it is of TCP or UDP.
    Head, HEAD_LEN = 14, {
        /// Where from, of both.
        source_port: [u8; 2],
        /// Where to, of both.
        destination_port: [u8; 2],
        /// UDP: bytes of header and data. TCP: the upper half of the number of the first byte.
        udp_len: [u8; 2],
        /// TCP: the other half, and the number that is expected next.
        numbers: [u8; 6],
        /// TCP: words of the header (4 bits), reserved (4).
        data_offset: u8,
        /// TCP: flags.
        flags: u8,
    }
);

/// IPv4: the bits of the offset of a fragment.
pub const IPV4_OFFSET: u16 = 0x1fff;
/// IPv4: more fragments follow.
pub const IPV4_MORE_FRAGMENTS: u16 = 0x2000;
/// IPv4: version and length of a header without options.
pub const IPV4_PLAIN: u8 = 0x45;

impl Ipv4 {
    /// Bytes of the header as it says, below 64.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        (self.version_ihl & 0x0f) as usize * 4
    }

    /// Flags and offset.
    #[inline(always)]
    #[must_use]
    pub const fn fragment_field(&self) -> u16 {
        u16::from_be_bytes(self.fragment)
    }

    /// Who sent it.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> Addr {
        Addr::from_v4(u32::from_be_bytes(self.source))
    }

    /// Whom it is for.
    #[inline(always)]
    #[must_use]
    pub const fn destination(&self) -> Addr {
        Addr::from_v4(u32::from_be_bytes(self.destination))
    }
}

impl Ipv6 {
    /// Who sent it.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> Addr {
        Addr::from_v6(self.source_hi, self.source_lo)
    }

    /// Whom it is for.
    #[inline(always)]
    #[must_use]
    pub const fn destination(&self) -> Addr {
        Addr::from_v6(self.destination_hi, self.destination_lo)
    }
}

impl Tcp {
    /// Bytes of the header as it says, below 64.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        (self.data_offset >> 4) as usize * 4
    }
}

impl Head {
    /// Of TCP: bytes of the header as it says, below 64.
    #[inline(always)]
    #[must_use]
    pub const fn tcp_header_len(&self) -> usize {
        (self.data_offset >> 4) as usize * 4
    }
}
