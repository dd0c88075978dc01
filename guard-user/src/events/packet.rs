//! What the first bytes of a frame say. They are the attacker's: whatever cannot be read is left out.

use std::{fmt, net::IpAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpSlice, TransportSlice};

/// The headers of a frame, as far as they could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The EtherType behind all tags, or that of the frame.
    pub ether_type: Option<u16>,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Number of the protocol behind the IP header and its extensions.
    pub protocol: Option<u8>,
    /// Ports of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Flags of TCP, as words.
    pub flags: Vec<&'static str>,
    /// Type and code of ICMP.
    pub icmp: Option<(u8, u8)>,
    /// It is not the first fragment of its datagram.
    pub is_later_fragment: bool,
}

impl Packet {
    /// Reads the headers.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let Ok(sliced) = LaxSlicedPacket::from_ethernet(bytes) else {
            return Self::default();
        };
        let mut packet = Self::default();
        if let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link {
            packet.ether_type = Some(ethernet.ether_type().0);
        }
        match &sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                packet.source = Some(header.source_addr().into());
                packet.destination = Some(header.destination_addr().into());
                packet.protocol = Some(ip.payload().ip_number.0);
                packet.is_later_fragment = header.fragments_offset().value() != 0;
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                packet.source = Some(ip.header().source_addr().into());
                packet.destination = Some(ip.header().destination_addr().into());
                packet.protocol = Some(ip.payload().ip_number.0);
                packet.is_later_fragment = ip.payload().fragmented && sliced.transport.is_none();
            }
            Some(LaxNetSlice::Arp(_)) | None => {}
        }
        match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                packet.ports = Some((tcp.source_port(), tcp.destination_port()));
                packet.flags = flags(tcp);
            }
            Some(TransportSlice::Udp(udp)) => {
                packet.ports = Some((udp.source_port(), udp.destination_port()));
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                packet.icmp = Some((icmp.type_u8(), icmp.code_u8()));
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                packet.icmp = Some((icmp.type_u8(), icmp.code_u8()));
            }
            Some(TransportSlice::Igmp(_)) | None => {}
        }
        packet
    }

    /// Name of the protocol, or its number.
    #[must_use]
    pub fn protocol_name(&self) -> String {
        match self.protocol {
            Some(1) => "icmp".to_owned(),
            Some(2) => "igmp".to_owned(),
            Some(6) => "tcp".to_owned(),
            Some(17) => "udp".to_owned(),
            Some(58) => "icmpv6".to_owned(),
            Some(number) => format!("protocol {number}"),
            None => match self.ether_type {
                Some(0x0806) => "arp".to_owned(),
                Some(number) => format!("ethertype {number:#06x}"),
                None => "no ethernet frame".to_owned(),
            },
        }
    }
}

fn flags(tcp: &TcpSlice<'_>) -> Vec<&'static str> {
    let flags = [
        (tcp.syn(), "SYN"),
        (tcp.ack(), "ACK"),
        (tcp.fin(), "FIN"),
        (tcp.rst(), "RST"),
        (tcp.psh(), "PSH"),
        (tcp.urg(), "URG"),
    ];
    let set = flags.into_iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, name)| name).collect()
}

impl fmt::Display for Packet {
    /// `203.0.113.7:51234 -> 192.0.2.1:22 tcp SYN`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(source), Some(destination)) = (self.source, self.destination) else {
            return f.write_str(&self.protocol_name());
        };
        match self.ports {
            Some((from, to)) => {
                let (source, destination) = ((source, from).into(), (destination, to).into());
                let (source, destination): (std::net::SocketAddr, std::net::SocketAddr) =
                    (source, destination);
                write!(f, "{source} -> {destination} {}", self.protocol_name())?;
            }
            None => write!(f, "{source} -> {destination} {}", self.protocol_name())?,
        }
        if !self.flags.is_empty() {
            write!(f, " {}", self.flags.join("+"))?;
        } else if self.protocol == Some(6) && self.ports.is_some() {
            f.write_str(" no flags")?;
        }
        if let Some((kind, code)) = self.icmp {
            write!(f, " type {kind} code {code}")?;
        }
        if self.is_later_fragment {
            f.write_str(" later fragment")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn frame(build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        build(&mut bytes);
        bytes
    }

    fn syn() -> Vec<u8> {
        frame(|bytes| {
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4([203, 0, 113, 7], [192, 0, 2, 1], 64)
                .tcp(51_234, 22, 1, 1024)
                .syn()
                .write(bytes, &[])
                .expect("a packet");
        })
    }

    #[test]
    fn a_segment_is_told_with_addresses_ports_and_flags() {
        assert_eq!(
            Packet::read(&syn()).to_string(),
            "203.0.113.7:51234 -> 192.0.2.1:22 tcp SYN"
        );
    }

    #[test]
    fn ipv6_behind_a_tag_is_told_with_brackets() {
        let bytes = frame(|bytes| {
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .single_vlan(etherparse::VlanId::try_new(7).expect("a number"))
                .ipv6([0x20; 16], [0x21; 16], 64)
                .udp(53, 4000)
                .write(bytes, &[1; 600])
                .expect("a packet");
        });
        // As a report has it: cut short.
        let text = Packet::read(&bytes[..128]).to_string();
        assert!(
            text.starts_with("[2020:") && text.ends_with("]:4000 udp"),
            "{text}"
        );
    }

    #[test]
    fn what_ends_too_early_is_told_as_far_as_it_goes() {
        let bytes = syn();
        assert_eq!(
            Packet::read(&bytes[..36]).to_string(),
            "203.0.113.7 -> 192.0.2.1 tcp"
        );
        assert_eq!(Packet::read(&bytes[..20]).to_string(), "ethertype 0x0800");
        assert_eq!(Packet::read(&[]).to_string(), "no ethernet frame");
    }

    #[test]
    fn no_bytes_bring_it_down() {
        let mut seed = 1u64;
        for len in 0..2000usize {
            let bytes: Vec<u8> = (0..len % 140)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 33) as u8
                })
                .collect();
            let mut frame = syn();
            frame.truncate(14 + len % 30);
            frame.extend(bytes);
            assert!(!Packet::read(&frame).to_string().is_empty());
        }
    }
}
