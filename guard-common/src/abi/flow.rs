//! Flows: what this host started, so that the answers pass, and the TCP sessions that others have with it, so
//! that nothing else does that looks like a part of one. A fixed table that only outgoing packets
//! fill. An entry is a keyed 64-bit tag of the tuple and a word of state; eight entries share a
//! bucket, and their tags one cache line. Four of the eight are for sessions that others began: whoever opens
//! sessions takes the place of such, and of nothing that this host began.
//!
//! The tag is two strongly universal 32-bit hashes (multilinear, Lemire and Kaser 2013) of the whole
//! tuple under keys of this boot, so two tuples share it with probability 2^-64 whoever chose them,
//! as long as he does not know the keys. With 2^16 buckets of eight, a random packet is taken for a
//! reply with probability 2^-46 at most.

mod state;

pub use state::{Event, FlowState, Phase};

use super::{addr::Addr, service::protocol};

/// Buckets of the table where the policy says nothing else, a power of two: 65 536 x 8 flows, 8 MB.
pub const BUCKETS: u32 = 1 << 16;
/// The fewest: 65 536 flows in 1 MB.
pub const MIN_BUCKETS: u32 = 1 << 13;
/// The most: 16 777 216 flows in 256 MB. A tag has 32 bits beside those that choose among so many.
pub const MAX_BUCKETS: u32 = 1 << 21;
/// Entries of a bucket.
pub const WAYS: usize = 8;
/// Those of them that are for what this host began; the others are for sessions that somebody else began.
pub const OWN_WAYS: usize = 4;
/// Words of a bucket: tags, then states.
pub const BUCKET_WORDS: usize = 2 * WAYS;
/// Keys of the hash: a constant term and ten 32-bit chunks, twice.
pub const KEYS: usize = 22;
const HALF: usize = KEYS / 2;
const _: () = assert!(WAYS == 2 * OWN_WAYS);

/// A bucket as it lies in the map.
pub type BucketWords = [u64; BUCKET_WORDS];

/// The keys of a boot from its seed (SplitMix64).
#[must_use]
pub fn keys(seed: u64) -> [u64; KEYS] {
    let mut state = seed;
    core::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut key = state;
        key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        key ^ key >> 31
    })
}

/// One conversation, seen from this host: what the packets that arrive carry. An echo has its
/// identifier as local port and no remote one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// The other end.
    pub remote: Addr,
    /// This end, as the network sees it (behind source NAT).
    pub local: Addr,
    /// Port of the other end.
    pub remote_port: u16,
    /// Port of this end.
    pub local_port: u16,
    /// IP protocol.
    pub protocol: u8,
}

#[cfg(feature = "std")]
impl Tuple {
    /// That of these two ends.
    #[must_use]
    pub fn between(
        remote: std::net::SocketAddr,
        local: std::net::SocketAddr,
        protocol: u8,
    ) -> Self {
        Self {
            remote: remote.ip().into(),
            local: local.ip().into(),
            remote_port: remote.port(),
            local_port: local.port(),
            protocol,
        }
    }
}

impl Tuple {
    /// The tag under these keys; `key(i)` is the i-th of [`keys`]. Never 0.
    #[inline(always)]
    #[must_use]
    pub fn tag(&self, key: impl Fn(usize) -> u64) -> Tag {
        let high = self.sum(&key) >> 32;
        let low = self.sum(|index| key(HALF + index)) >> 32;
        let tag = high << 32 | low;
        Tag(if tag == 0 { 1 } else { tag })
    }

    #[inline(always)]
    fn sum(&self, key: impl Fn(usize) -> u64) -> u64 {
        const V6: u64 = 0x100;
        let (remote, local) = (self.remote, self.local);
        let ports = (self.remote_port as u64) << 16 | self.local_port as u64;
        let is_v4 = remote.is_v4();
        let protocol = self.protocol as u64 | if is_v4 { 0 } else { V6 };
        let mut sum = key(0)
            .wrapping_add(key(1).wrapping_mul(remote.lo() & 0xffff_ffff))
            .wrapping_add(key(2).wrapping_mul(local.lo() & 0xffff_ffff))
            .wrapping_add(key(3).wrapping_mul(ports))
            .wrapping_add(key(4).wrapping_mul(protocol));
        if !is_v4 {
            sum = sum
                .wrapping_add(key(5).wrapping_mul(remote.lo() >> 32))
                .wrapping_add(key(6).wrapping_mul(remote.hi() & 0xffff_ffff))
                .wrapping_add(key(7).wrapping_mul(remote.hi() >> 32))
                .wrapping_add(key(8).wrapping_mul(local.lo() >> 32))
                .wrapping_add(key(9).wrapping_mul(local.hi() & 0xffff_ffff))
                .wrapping_add(key(10).wrapping_mul(local.hi() >> 32));
        }
        sum
    }
}

/// Stands for a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As stored; 0 stands for an empty place.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Number of its bucket, where `mask` is the number of buckets less one.
    #[inline(always)]
    #[must_use]
    pub const fn bucket(self, mask: u32) -> u32 {
        self.0 as u32 & mask
    }
}

/// What is known of a local port, a byte each, so that a flood of packets to ports that nothing uses
/// costs one look into 64 KB: 65 536 ports in rows of 64. Two CPUs that mark one port at once may lose a
/// mark, which the next packet sets again.
pub const PORT_ROWS: u32 = 1024;
/// Ports of a row.
pub const PORTS_PER_ROW: usize = 64;

/// Mark of a port: it has, or had, TCP sessions that the flow table need not know.
pub const HAS_SESSIONS: u8 = 1;
/// Mark of a port: a TCP flow began from it.
pub const HAS_TCP_FLOWS: u8 = 2;
/// Mark of a port: a UDP flow began from it.
pub const HAS_UDP_FLOWS: u8 = 4;
/// Mark of an echo identifier.
pub const HAS_ECHOES: u8 = 8;

/// Mark of a port: a question to a group went out from it (multicast DNS, SSDP).
pub const HAS_QUESTIONS: u8 = 0x10;

/// Mark of a port: a session of it lost its entry or found no place, so the kernel's socket table is asked about
/// segments to it even in a flood.
pub const LOST_SESSIONS: u8 = 0x20;

/// Mark of a port: this host, or what is behind it, answered from there (with SYN+ACK or RST) by an interface whose
/// way out is seen. Where the answers leave by another way, no entry could begin, and nothing is out of state.
pub const ANSWERS: u8 = 0x40;

/// Mark of a port: the last service that answered there was behind this host, not on it.
pub const IS_FORWARDED: u8 = 0x80;

/// The mark of the ports that flows of a protocol began from; 0 = it has no flows.
#[inline(always)]
#[must_use]
pub const fn flow_mark(protocol: u8) -> u8 {
    match protocol {
        protocol::TCP => HAS_TCP_FLOWS,
        protocol::UDP => HAS_UDP_FLOWS,
        protocol::ICMP | protocol::ICMPV6 => HAS_ECHOES,
        _ => 0,
    }
}

/// Row and place of a port.
#[inline(always)]
#[must_use]
pub const fn port_place(port: u16) -> (u32, usize) {
    (port as u32 >> 6, port as usize & (PORTS_PER_ROW - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(remote: u32, remote_port: u16) -> Tuple {
        Tuple {
            remote: Addr::from_v4(remote),
            local: Addr::from_v4(0xc000_0201),
            remote_port,
            local_port: 40_000,
            protocol: protocol::TCP,
        }
    }

    #[test]
    fn every_part_of_a_tuple_counts() {
        let keys = keys(7);
        let tag = |tuple: Tuple| tuple.tag(|index| keys[index]);
        let base = tuple(0x0102_0304, 443);
        let v6 = |hi, lo| Addr::from_halves(hi, lo);
        let mut others = vec![
            tuple(0x0102_0305, 443),
            tuple(0x0102_0304, 444),
            Tuple {
                local: Addr::from_v4(1),
                ..base
            },
            Tuple {
                local_port: 1,
                ..base
            },
            Tuple {
                protocol: protocol::UDP,
                ..base
            },
            Tuple {
                remote_port: 40_000,
                local_port: 443,
                ..base
            },
        ];
        for (remote, local) in [
            (v6(1, 2), v6(3, 4)),
            (v6(1 << 32, 2), v6(3, 4)),
            (v6(1, 2 << 32), v6(3, 4)),
            (v6(1, 2), v6(3 << 32, 4)),
            (v6(1, 2), v6(3, 4 << 32)),
            (v6(3, 4), v6(1, 2)),
        ] {
            others.push(Tuple {
                remote,
                local,
                ..base
            });
        }
        let mut tags: Vec<u64> = others.into_iter().map(|other| tag(other).bits()).collect();
        tags.push(tag(base).bits());
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), count);
        assert_eq!(tag(base), tag(base));
    }
}
