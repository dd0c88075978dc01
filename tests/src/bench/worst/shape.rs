//! A packet as decisions that can be changed one at a time: what a search for the most expensive one mutates.

use std::net::IpAddr;

use guard_common::{
    abi::service::protocol,
    testing::{PacketBuilder, packet, random::Random},
};

/// What a shape may be made of: addresses and ports that the policy and the tables know, and others.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    /// Sources, IPv4 and IPv6.
    pub sources: [Vec<IpAddr>; 2],
    /// Destinations, IPv4 and IPv6.
    pub destinations: [Vec<IpAddr>; 2],
    /// Ports, of either end.
    pub ports: Vec<u16>,
}

/// Number of an extension header and its length in units of eight bytes behind the first.
type Extension = (u8, u8);

/// Hop-by-hop, routing, destination options, mobility; authentication counts in units of four.
const EXTENSIONS: [u8; 5] = [0, 43, 60, 135, 51];
const VLANS: [u16; 2] = [0x8100, 0x88a8];
/// ICMP errors and an echo: kind and code, of IPv4 and IPv6.
const ICMP: [[(u8, u8); 4]; 2] = [
    [(3, 4), (3, 3), (11, 0), (8, 0)],
    [(2, 0), (1, 4), (3, 0), (128, 0)],
];
/// More than guard reads.
const MOST_EXTENSIONS: usize = 6;
const MOST_OPTIONS: usize = 40;
const MOST_PAYLOAD: usize = 1400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp(u8),
    Udp,
    /// An index of [`ICMP`]; its errors quote the other shape.
    Icmp(usize),
    Other(u8),
}

/// A packet, or what an ICMP error quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    source: usize,
    destination: usize,
    source_port: usize,
    port: usize,
    transport: Transport,
    extensions: Vec<Extension>,
    /// Bytes of IPv4 options.
    options: usize,
    fragment: Option<(u16, bool)>,
    payload: usize,
}

/// All decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    is_v6: bool,
    tags: Vec<u16>,
    layer: Layer,
    quoted: Layer,
    /// Bytes that are something else than they were built as.
    broken: Vec<(usize, u8)>,
}

impl Shape {
    /// Any.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        let mut shape = Self {
            is_v6: random.once_in(2),
            tags: Vec::new(),
            layer: Layer::random(random),
            quoted: Layer::random(random),
            broken: Vec::new(),
        };
        for _ in 0..random.below(4) {
            shape.mutate(random);
        }
        shape
    }

    /// One to three decisions are made anew.
    #[must_use]
    pub fn mutated(&self, random: &mut Random) -> Self {
        let mut shape = self.clone();
        for _ in 0..=random.below(3) {
            shape.mutate(random);
        }
        shape
    }

    fn mutate(&mut self, random: &mut Random) {
        match random.below(10) {
            0 => self.is_v6 = !self.is_v6,
            1 => {
                self.tags = (0..random.below(4)).map(|_| random.pick(&VLANS)).collect();
            }
            2 => self.broken.clear(),
            3 => self.broken.push((random.below(120), random.number() as u8)),
            4..=6 => self.quoted.mutate(random),
            _ => self.layer.mutate(random),
        }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self, palette: &Palette) -> Vec<u8> {
        let mut builder = self.layer.builder(self.is_v6, palette, false);
        if let Transport::Icmp(index) = self.layer.transport {
            let (kind, code) = ICMP[usize::from(self.is_v6)][index];
            // What it quotes went the other way.
            const ETHERNET: usize = 14;
            let quoted = self.quoted.builder(self.is_v6, palette, true).build();
            let number = if self.is_v6 {
                protocol::ICMPV6
            } else {
                protocol::ICMP
            };
            let head = [kind, code, 0, 0, 0, 0, 5, 0];
            builder = builder.protocol(number, &[&head, &quoted[ETHERNET..]].concat());
        }
        for tag in &self.tags {
            builder = builder.vlan(*tag);
        }
        let mut frame = builder.build();
        for (at, byte) in &self.broken {
            if let Some(place) = frame.get_mut(*at) {
                *place = *byte;
            }
        }
        frame
    }
}

impl Layer {
    fn random(random: &mut Random) -> Self {
        let mut layer = Self {
            source: 0,
            destination: 0,
            source_port: 0,
            port: 0,
            transport: Transport::Tcp(0),
            extensions: Vec::new(),
            options: 0,
            fragment: None,
            payload: 24,
        };
        for _ in 0..8 {
            layer.mutate(random);
        }
        layer
    }

    fn mutate(&mut self, random: &mut Random) {
        match random.below(10) {
            0 => self.source = random.below(1 << 16),
            1 => self.destination = random.below(1 << 16),
            2 => self.source_port = random.below(1 << 16),
            3 => self.port = random.below(1 << 16),
            4 | 5 => {
                self.transport = match random.below(6) {
                    0 | 1 => Transport::Tcp(random.pick(&[0x02, 0x10, 0x12, 0x04, 0x11, 0x18])),
                    2 => Transport::Udp,
                    3 => Transport::Tcp(random.number() as u8),
                    4 => Transport::Icmp(random.below(ICMP[0].len())),
                    _ => Transport::Other(random.number() as u8),
                }
            }
            6 => {
                if self.extensions.len() >= MOST_EXTENSIONS || random.once_in(4) {
                    self.extensions.clear();
                } else {
                    let length = random.below(5) as u8;
                    self.extensions.push((random.pick(&EXTENSIONS), length));
                }
            }
            7 => self.options = random.below(MOST_OPTIONS / 4 + 1) * 4,
            8 => {
                self.fragment = match random.below(3) {
                    0 => Some((0, true)),
                    1 => Some((random.below(200) as u16, random.once_in(2))),
                    _ => None,
                }
            }
            _ => self.payload = random.below(MOST_PAYLOAD),
        }
    }

    fn builder(&self, is_v6: bool, palette: &Palette, is_outgoing: bool) -> PacketBuilder {
        let of = |list: &[IpAddr], index: usize| list[index % list.len()];
        let port = |index: usize| palette.ports[index % palette.ports.len()];
        let family = usize::from(is_v6);
        let theirs = of(&palette.sources[family], self.source);
        let ours = of(&palette.destinations[family], self.destination);
        let (mut from, mut to) = (port(self.source_port), port(self.port));
        let mut builder = packet();
        builder = if is_outgoing {
            std::mem::swap(&mut from, &mut to);
            builder.from_ip(ours).to_ip(theirs)
        } else {
            builder.from_ip(theirs).to_ip(ours)
        };
        builder = match self.transport {
            Transport::Tcp(flags) => builder.tcp_between(from, to, flags),
            Transport::Udp => builder.udp_between(from, to),
            Transport::Icmp(index) => {
                let (kind, code) = ICMP[family][index];
                builder.icmp(kind, code)
            }
            Transport::Other(number) => builder.protocol(number, &[0; 24]),
        };
        if is_v6 {
            for (number, length) in &self.extensions {
                builder = builder.extension(*number, &extension(*number, *length));
            }
        } else if self.options > 0 {
            builder = builder.options(&vec![1; self.options]);
        }
        if let Some((offset, more)) = self.fragment {
            builder = builder.fragment(offset, more, 7);
        }
        builder.payload(self.payload)
    }
}

/// What stands behind "next header": the length, and options that say nothing.
fn extension(number: u8, length: u8) -> Vec<u8> {
    const AUTHENTICATION: u8 = 51;
    let bytes = (usize::from(length) + 1) * 8;
    let mut rest = vec![0; bytes - 1];
    // Authentication counts units of four bytes, less two.
    rest[0] = if number == AUTHENTICATION {
        length * 2
    } else {
        length
    };
    if number != AUTHENTICATION {
        // One option of padding over the rest.
        rest[1] = 1;
        rest[2] = (bytes - 4) as u8;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette() -> Palette {
        let address = |text: &str| text.parse().expect("an address");
        Palette {
            sources: [vec![address("203.0.113.7")], vec![address("2001:db8::7")]],
            destinations: [vec![address("192.0.2.1")], vec![address("2001:db8:2::1")]],
            ports: vec![22, 80, 40_000],
        }
    }

    #[test]
    fn shapes_of_one_seed_are_the_same_and_mutations_of_a_shape_differ() {
        let of = |seed| Shape::random(&mut Random::new(seed));
        assert_eq!(of(1).frame(&palette()), of(1).frame(&palette()));
        let mut random = Random::new(2);
        let shape = of(1);
        let other = (0..100).filter(|_| shape.mutated(&mut random) != shape);
        assert!(other.count() > 80);
    }

    #[test]
    fn every_kind_of_packet_comes_up() {
        let mut random = Random::new(3);
        let frames: Vec<Vec<u8>> = (0..2000)
            .map(|_| Shape::random(&mut random).frame(&palette()))
            .collect();
        for ether_type in [[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], [0x88, 0xa8]] {
            assert!(frames.iter().any(|frame| frame[12..14] == ether_type));
        }
    }
}
