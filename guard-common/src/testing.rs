//! Packets as expressions, for the unit tests, guard-tests and the fuzzer. Everything can be wrong
//! on purpose; what is not touched is right, checksums included.

mod broken;
pub mod peers;
pub mod random;
pub mod shared;

pub use broken::{Breaks, Broken};

use std::net::IpAddr;

use crate::{abi::service::protocol, packet::TcpFlags};

const ETHERNET_IPV4: u16 = 0x0800;
const ETHERNET_IPV6: u16 = 0x86dd;

/// A frame under construction.
#[derive(Clone, Debug)]
pub struct PacketBuilder {
    destination_mac: [u8; 6],
    source_mac: [u8; 6],
    tags: Vec<u16>,
    ether_type: Option<u16>,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    options: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    fragment: Option<(u16, bool, u32)>,
    protocol: u8,
    transport: Vec<u8>,
    payload: usize,
}

/// A whole IPv4 packet from 198.51.100.7 to 192.0.2.1, a TCP SYN to port 9000.
#[must_use]
pub fn packet() -> PacketBuilder {
    PacketBuilder {
        destination_mac: [2, 0, 0, 0, 0, 1],
        source_mac: [2, 0, 0, 0, 0, 2],
        tags: Vec::new(),
        ether_type: None,
        source: IpAddr::from([198, 51, 100, 7]),
        destination: IpAddr::from([192, 0, 2, 1]),
        hop_limit: 64,
        options: Vec::new(),
        extensions: Vec::new(),
        fragment: None,
        protocol: protocol::TCP,
        transport: Vec::new(),
        payload: 0,
    }
    .tcp(9000, TcpFlags::SYN)
}

/// The same in IPv6, from 2001:db8:100::7 to 2001:db8:2::1.
#[must_use]
pub fn packet_v6() -> PacketBuilder {
    packet().from("2001:db8:100::7").to("2001:db8:2::1")
}

impl PacketBuilder {
    /// Source address.
    ///
    /// # Panics
    /// When `ip` is not an address.
    #[must_use]
    pub fn from(mut self, ip: &str) -> Self {
        self.source = ip.parse().expect("an address");
        self
    }

    /// Source address.
    #[must_use]
    pub fn from_ip(mut self, ip: IpAddr) -> Self {
        self.source = ip;
        self
    }

    /// Destination address.
    ///
    /// # Panics
    /// When `ip` is not an address.
    #[must_use]
    pub fn to(mut self, ip: &str) -> Self {
        self.destination = ip.parse().expect("an address");
        self
    }

    /// Destination address.
    #[must_use]
    pub fn to_ip(mut self, ip: IpAddr) -> Self {
        self.destination = ip;
        self
    }

    /// Hardware addresses, destination first.
    #[must_use]
    pub fn macs(mut self, destination: [u8; 6], source: [u8; 6]) -> Self {
        self.destination_mac = destination;
        self.source_mac = source;
        self
    }

    /// One more VLAN tag inside those already there, with this EtherType (0x8100, 0x88a8).
    #[must_use]
    pub fn vlan(mut self, ether_type: u16) -> Self {
        self.tags.push(ether_type);
        self
    }

    /// Another EtherType than the addresses say.
    #[must_use]
    pub fn ether_type(mut self, ether_type: u16) -> Self {
        self.ether_type = Some(ether_type);
        self
    }

    /// TTL or hop limit.
    #[must_use]
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// IPv4 options; padded to a multiple of four bytes.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self.options.resize(options.len().next_multiple_of(4), 0);
        self
    }

    /// One more IPv6 extension header: its number and its bytes behind "next header".
    #[must_use]
    pub fn extension(mut self, number: u8, rest: &[u8]) -> Self {
        self.extensions.push((number, rest.to_vec()));
        self
    }

    /// Part of a datagram: offset in units of 8 bytes, more to come, identification. IPv6 gets a
    /// fragment header as its last extension.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool, id: u32) -> Self {
        self.fragment = Some((offset, more, id));
        self
    }

    /// TCP from port 40000.
    #[must_use]
    pub fn tcp(self, port: u16, flags: u8) -> Self {
        self.tcp_between(40_000, port, flags)
    }

    /// TCP.
    #[must_use]
    pub fn tcp_between(mut self, source_port: u16, port: u16, flags: u8) -> Self {
        self.protocol = protocol::TCP;
        self.transport = vec![0; 20];
        self.transport[..2].copy_from_slice(&source_port.to_be_bytes());
        self.transport[2..4].copy_from_slice(&port.to_be_bytes());
        self.transport[12] = 5 << 4;
        self.transport[13] = flags;
        self.transport[14..16].copy_from_slice(&1024u16.to_be_bytes());
        self
    }

    /// TCP options behind the header of a TCP packet, padded to a multiple of four bytes.
    #[must_use]
    pub fn tcp_options(mut self, options: &[u8]) -> Self {
        self.transport.truncate(20);
        self.transport.extend(options);
        self.transport
            .resize(self.transport.len().next_multiple_of(4), 0);
        self.transport[12] = (self.transport.len() as u8 / 4) << 4;
        self
    }

    /// UDP from port 40000.
    #[must_use]
    pub fn udp(self, port: u16) -> Self {
        self.udp_between(40_000, port)
    }

    /// UDP; its length field covers the payload.
    #[must_use]
    pub fn udp_between(mut self, source_port: u16, port: u16) -> Self {
        self.protocol = protocol::UDP;
        self.transport = vec![0; 8];
        self.transport[..2].copy_from_slice(&source_port.to_be_bytes());
        self.transport[2..4].copy_from_slice(&port.to_be_bytes());
        self
    }

    /// ICMP or ICMPv6, by the family of the addresses.
    #[must_use]
    pub fn icmp(mut self, kind: u8, code: u8) -> Self {
        self.protocol = if self.source.is_ipv4() {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };
        self.transport = vec![kind, code, 0, 0, 0, 1, 0, 1];
        self
    }

    /// Any protocol with these bytes.
    #[must_use]
    pub fn protocol(mut self, number: u8, bytes: &[u8]) -> Self {
        self.protocol = number;
        self.transport = bytes.to_vec();
        self
    }

    /// Is it one of IPv4?
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// Zero bytes behind the transport header.
    #[must_use]
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(self.destination_mac);
        frame.extend(self.source_mac);
        for tag in &self.tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 1]);
        }
        let by_family = if self.source.is_ipv4() {
            ETHERNET_IPV4
        } else {
            ETHERNET_IPV6
        };
        frame.extend(self.ether_type.unwrap_or(by_family).to_be_bytes());
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let body = self.body(&source.octets(), &destination.octets());
                frame.extend(self.ipv4(source.octets(), destination.octets(), &body));
            }
            (source, destination) => {
                let octets = |ip| match ip {
                    IpAddr::V4(v4) => std::net::Ipv4Addr::to_ipv6_mapped(&v4).octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                let (source, destination) = (octets(source), octets(destination));
                let body = self.body(&source, &destination);
                frame.extend(self.ipv6(source, destination, &body));
            }
        }
        frame
    }

    /// Transport header and payload, with length and checksum.
    fn body(&self, source: &[u8], destination: &[u8]) -> Vec<u8> {
        let mut body = self.transport.clone();
        body.resize(body.len() + self.payload, 0);
        let len = body.len() as u32;
        let pseudo: Vec<u8> = [
            source,
            destination,
            &len.to_be_bytes(),
            &[0, 0, 0, self.protocol],
        ]
        .concat();
        let place = match self.protocol {
            protocol::TCP if body.len() >= 20 => 16,
            protocol::UDP if body.len() >= 8 => {
                if body[4..6] == [0, 0] {
                    body[4..6].copy_from_slice(&(len as u16).to_be_bytes());
                }
                6
            }
            protocol::ICMP | protocol::ICMPV6 if body.len() >= 4 => 2,
            _ => return body,
        };
        let with_pseudo = self.protocol != protocol::ICMP;
        let pseudo = if with_pseudo { pseudo.as_slice() } else { &[] };
        let sum = checksum(&[pseudo, &body].concat());
        body[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        body
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4], body: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let (offset, more, id) = self.fragment.unwrap_or((0, false, 1));
        let mut header = vec![0; header_len];
        header[0] = 0x40 | (header_len / 4) as u8;
        header[2..4].copy_from_slice(&((header_len + body.len()) as u16).to_be_bytes());
        header[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        let field = offset | if more { 0x2000 } else { 0 };
        header[6..8].copy_from_slice(&field.to_be_bytes());
        header[8] = self.hop_limit;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&source);
        header[16..20].copy_from_slice(&destination);
        header[20..].copy_from_slice(&self.options);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [header, body.to_vec()].concat()
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16], body: &[u8]) -> Vec<u8> {
        let mut chain = self.extensions.clone();
        if let Some((offset, more, id)) = self.fragment {
            let field = offset << 3 | u16::from(more);
            let mut rest = vec![0];
            rest.extend(field.to_be_bytes());
            rest.extend(id.to_be_bytes());
            chain.push((protocol::FRAGMENT, rest));
        }
        let mut next = self.protocol;
        let mut behind = body.to_vec();
        for (number, rest) in chain.iter().rev() {
            behind = [&[next], rest.as_slice(), &behind].concat();
            next = *number;
        }
        let mut header = vec![0; 40];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&(behind.len() as u16).to_be_bytes());
        header[6] = next;
        header[7] = self.hop_limit;
        header[8..24].copy_from_slice(&source);
        header[24..40].copy_from_slice(&destination);
        [header, behind].concat()
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
