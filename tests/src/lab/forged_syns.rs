//! Frames of a flood onto the server, each with a source of its own, a quarter of them over IPv6.

use guard_common::{
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6, random::Random},
};

use super::Topology;

/// How many there are.
const FRAMES: usize = 32_768;

/// Where they seem to come from. No host of the lab has such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// One /24 and one /48.
    OneNetwork,
    /// Everywhere.
    Everywhere,
}

impl Topology {
    /// SYNs from the router to a port of the server.
    ///
    /// # Panics
    /// When an interface is missing.
    #[must_use]
    pub fn forged_syns(&self, port: u16, sources: Sources) -> Vec<Vec<u8>> {
        self.forged_segments(port, sources, TcpFlags::SYN, 0)
    }

    /// Segments with these flags and so many bytes of data.
    ///
    /// # Panics
    /// When an interface is missing.
    #[must_use]
    pub fn forged_segments(
        &self,
        port: u16,
        sources: Sources,
        flags: u8,
        payload: usize,
    ) -> Vec<Vec<u8>> {
        self.forged(sources, |base, from| {
            let segment = base.tcp_between(from, port, flags).payload(payload);
            if flags == TcpFlags::SYN {
                segment.tcp_options(&[2, 4, 5, 180])
            } else {
                segment
            }
        })
    }

    /// Datagrams of so many bytes.
    ///
    /// # Panics
    /// When an interface is missing.
    #[must_use]
    pub fn forged_datagrams(&self, port: u16, sources: Sources, payload: usize) -> Vec<Vec<u8>> {
        self.forged(sources, |base, from| {
            base.udp_between(from, port).payload(payload)
        })
    }

    /// Echo requests.
    ///
    /// # Panics
    /// When an interface is missing.
    #[must_use]
    pub fn forged_pings(&self, sources: Sources) -> Vec<Vec<u8>> {
        self.forged(sources, |base, id| {
            let [high, low] = id.to_be_bytes();
            let (protocol, kind) = if base.is_v4() { (1, 8) } else { (58, 128) };
            base.protocol(protocol, &[kind, 0, 0, 0, high, low, 0, 1])
                .payload(56)
        })
    }

    /// Frames that `fill` makes, of a packet with its ends and a number of its own.
    fn forged(
        &self,
        sources: Sources,
        fill: impl Fn(PacketBuilder, u16) -> PacketBuilder,
    ) -> Vec<Vec<u8>> {
        let macs = (self.srv.mac("eth0"), self.wan.mac("srv"));
        let mut random = Random::new(11);
        (0..FRAMES)
            .map(|number| {
                let (base, to) = if number % 4 == 3 {
                    (packet_v6().from(&sources.v6(&mut random)), self.srv.v6)
                } else {
                    (packet().from(&sources.v4(&mut random)), self.srv.v4)
                };
                let from = (1024 + random.below(60_000)) as u16;
                fill(base.to_ip(to).macs(macs.0, macs.1), from).build()
            })
            .collect()
    }
}

impl Sources {
    /// An address of them.
    pub(crate) fn v4(self, random: &mut Random) -> String {
        let [a, b, c, d]: [u8; 4] = random.bytes();
        match self {
            Self::OneNetwork => format!("11.1.1.{d}"),
            // 11.0.0.0 to 99.255.255.255: none of them is of the lab, and none is a martian.
            Self::Everywhere => format!("{}.{b}.{c}.{d}", 11 + a % 89),
        }
    }

    /// An address of them.
    pub(crate) fn v6(self, random: &mut Random) -> String {
        let [a, b, c, d, e, f]: [u8; 6] = random.bytes();
        match self {
            Self::OneNetwork => format!("2001:db8:ffff:{a:02x}{b:02x}::{c:02x}{d:02x}"),
            Self::Everywhere => {
                format!("2001:db8:{a:02x}{b:02x}:{c:02x}{d:02x}::{e:02x}{f:02x}")
            }
        }
    }
}
