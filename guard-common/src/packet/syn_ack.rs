//! The answer to a SYN that asks for a cookie: IP and TCP header with the one option that a cookie
//! can remember, checksums included.

use zerocopy::{Immutable, IntoBytes, Unaligned};

use super::{IPV4_LEN, IPV4_PLAIN, IPV6_LEN, Ipv4, Ipv6, TCP_LEN, Tcp, TcpFlags};
use crate::abi::service::protocol;

/// TTL or hop limit of an answer.
const HOP_LIMIT: u8 = 64;
/// What Linux offers with its default buffers: 44 segments of 1460 bytes.
const WINDOW: u16 = 64_240;
/// Kind and length of the MSS option.
const MSS_OPTION: [u8; 2] = [2, 4];
const WORDS: u8 = 6;
/// Bytes of the segment.
const SEGMENT_LEN: u16 = WORDS as u16 * 4;
const _: () = assert!(SEGMENT_LEN as usize == TCP_LEN + 4);

/// What the answer says beside that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The sequence number: all that is remembered of the SYN.
    pub sequence: u32,
    /// The largest segment that this end takes.
    pub mss: u16,
}

/// The TCP header of an answer and its one option.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
struct Segment {
    tcp: Tcp,
    option: [u8; 2],
    mss: [u8; 2],
}

/// The answer over IPv4.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
pub struct SynAckV4 {
    ip: Ipv4,
    segment: Segment,
}

/// The answer over IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
pub struct SynAckV6 {
    ip: Ipv6,
    segment: Segment,
}

impl SynAckV4 {
    /// Length in bytes.
    pub const LEN: usize = size_of::<Self>();
    /// Bytes of header before the TCP options of a segment that fills an MTU.
    pub const HEADERS: u16 = (IPV4_LEN + TCP_LEN) as u16;

    /// The answer to a SYN with these headers.
    #[inline(always)]
    #[must_use]
    pub fn new(ip: Ipv4, syn: Tcp, cookie: Cookie) -> Self {
        const DONT_FRAGMENT: u16 = 0x4000;
        let addresses = quad(ip.source) + quad(ip.destination);
        let constant = ((IPV4_PLAIN as u64) << 8)
            + Self::LEN as u64
            + DONT_FRAGMENT as u64
            + (u64::from(HOP_LIMIT) << 8)
            + protocol::TCP as u64;
        Self {
            ip: Ipv4 {
                version_ihl: IPV4_PLAIN,
                service: 0,
                total_len: (Self::LEN as u16).to_be_bytes(),
                id: [0; 2],
                fragment: DONT_FRAGMENT.to_be_bytes(),
                ttl: HOP_LIMIT,
                protocol: protocol::TCP,
                checksum: checksum(addresses + constant),
                source: ip.destination,
                destination: ip.source,
            },
            segment: Segment::new(addresses, syn, cookie),
        }
    }
}

impl SynAckV6 {
    /// Length in bytes.
    pub const LEN: usize = size_of::<Self>();
    /// As [`SynAckV4::HEADERS`].
    pub const HEADERS: u16 = (IPV6_LEN + TCP_LEN) as u16;

    /// The answer to a SYN with these headers.
    #[inline(always)]
    #[must_use]
    pub fn new(ip: Ipv6, syn: Tcp, cookie: Cookie) -> Self {
        let addresses = half(ip.source_hi)
            + half(ip.source_lo)
            + half(ip.destination_hi)
            + half(ip.destination_lo);
        Self {
            ip: Ipv6 {
                version_class_flow: [0x60, 0, 0, 0],
                payload_len: SEGMENT_LEN.to_be_bytes(),
                next_header: protocol::TCP,
                hop_limit: HOP_LIMIT,
                source_hi: ip.destination_hi,
                source_lo: ip.destination_lo,
                destination_hi: ip.source_hi,
                destination_lo: ip.source_lo,
            },
            segment: Segment::new(addresses, syn, cookie),
        }
    }
}

impl Segment {
    #[inline(always)]
    fn new(addresses: u64, syn: Tcp, cookie: Cookie) -> Self {
        const FLAGS: u8 = TcpFlags::SYN | TcpFlags::ACK;
        let acknowledgement = u32::from_be_bytes(syn.sequence).wrapping_add(1);
        let sum = addresses
            + u64::from(protocol::TCP)
            + u64::from(SEGMENT_LEN)
            + pair(syn.source_port)
            + pair(syn.destination_port)
            + u64::from(cookie.sequence)
            + u64::from(acknowledgement)
            + (u64::from(WORDS) << 12 | u64::from(FLAGS))
            + u64::from(WINDOW)
            + pair(MSS_OPTION)
            + u64::from(cookie.mss);
        Self {
            tcp: Tcp {
                source_port: syn.destination_port,
                destination_port: syn.source_port,
                sequence: cookie.sequence.to_be_bytes(),
                acknowledgement: acknowledgement.to_be_bytes(),
                data_offset: WORDS << 4,
                flags: FLAGS,
                window: WINDOW.to_be_bytes(),
                checksum: checksum(sum),
                urgent: [0; 2],
            },
            option: MSS_OPTION,
            mss: cookie.mss.to_be_bytes(),
        }
    }
}

/// Half an address of IPv6 as a sum of 32-bit words.
#[inline(always)]
const fn half(bytes: [u8; 8]) -> u64 {
    let half = u64::from_be_bytes(bytes);
    (half >> 32) + (half & 0xffff_ffff)
}

#[inline(always)]
const fn pair(bytes: [u8; 2]) -> u64 {
    u16::from_be_bytes(bytes) as u64
}

#[inline(always)]
const fn quad(bytes: [u8; 4]) -> u64 {
    u32::from_be_bytes(bytes) as u64
}

/// The Internet checksum of words whose sum this is. (2^16 is 1 modulo 2^16 - 1, so 32-bit words may
/// be added as they are.)
#[inline(always)]
const fn checksum(sum: u64) -> [u8; 2] {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u32 {
        bytes
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low)))
            .sum()
    }

    /// A right checksum makes the whole sum to 0xffff.
    fn folded(mut sum: u32) -> u32 {
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum
    }

    const SYN: Tcp = Tcp {
        source_port: [0xfe, 0xdc],
        destination_port: [0, 80],
        sequence: [0xff; 4],
        acknowledgement: [0; 4],
        data_offset: 0x50,
        flags: TcpFlags::SYN,
        window: [0xff; 2],
        checksum: [1; 2],
        urgent: [0; 2],
    };
    const COOKIE: Cookie = Cookie {
        sequence: 0xdead_beef,
        mss: 1460,
    };

    fn v4(source: [u8; 4], destination: [u8; 4]) -> Ipv4 {
        Ipv4 {
            version_ihl: IPV4_PLAIN,
            service: 0xff,
            total_len: [0, 40],
            id: [0xff; 2],
            fragment: [0; 2],
            ttl: 3,
            protocol: protocol::TCP,
            checksum: [2; 2],
            source,
            destination,
        }
    }

    #[test]
    fn checksums_are_right_whatever_the_numbers() {
        for last in [0, 1, 0x7f, 0xff] {
            let answer = SynAckV4::new(v4([198, 51, 100, last], [192, 0, 2, last]), SYN, COOKIE);
            let answer = answer.as_bytes();
            assert_eq!(answer.len(), 44);
            assert_eq!(folded(sum(&answer[..20])), 0xffff, "IPv4 header");
            let pseudo = sum(&answer[12..20]) + 6 + 24;
            assert_eq!(folded(pseudo + sum(&answer[20..])), 0xffff, "TCP");

            let v6 = Ipv6 {
                version_class_flow: [0x6f, 0xff, 0xff, 0xff],
                payload_len: [0, 20],
                next_header: protocol::TCP,
                hop_limit: 3,
                source_hi: [0x20, 1, 0xd, 0xb8, last, 0xff, last, 1],
                source_lo: [last; 8],
                destination_hi: [0xff, 0xff, last, 1, 0xff, 0xff, last, 1],
                destination_lo: [0xff, 0xff, last, 1, 0, 0, 0, last],
            };
            let answer = SynAckV6::new(v6, SYN, COOKIE);
            let answer = answer.as_bytes();
            assert_eq!(answer.len(), 64);
            let pseudo = sum(&answer[8..40]) + 6 + 24;
            assert_eq!(folded(pseudo + sum(&answer[40..])), 0xffff, "TCP over IPv6");
        }
    }

    #[test]
    fn the_answer_goes_back_and_acknowledges_the_syn() {
        let answer = SynAckV4::new(v4([1, 2, 3, 4], [5, 6, 7, 8]), SYN, COOKIE);
        assert_eq!(
            (answer.ip.source, answer.ip.destination),
            ([5, 6, 7, 8], [1, 2, 3, 4])
        );
        let tcp = answer.segment.tcp;
        assert_eq!(
            (tcp.source_port, tcp.destination_port),
            ([0, 80], [0xfe, 0xdc])
        );
        assert_eq!(tcp.sequence, 0xdead_beef_u32.to_be_bytes());
        assert_eq!(tcp.acknowledgement, [0; 4], "wraps behind 2^32 - 1");
        assert_eq!((tcp.flags, tcp.data_offset), (0x12, 0x60));
        let option = (answer.segment.option, answer.segment.mss);
        assert_eq!(option, ([2, 4], 1460u16.to_be_bytes()));
    }
}
