//! The answer to a SYN that asks for a cookie: IP and TCP header with the one option that a cookie
//! can remember, checksums included.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::TcpFlags;
use crate::abi::service::protocol;

/// TTL or hop limit of an answer.
const HOP_LIMIT: u8 = 64;
/// What Linux offers with its default buffers: 44 segments of 1460 bytes.
const WINDOW: u16 = 64_240;
/// Kind and length of the MSS option.
const MSS_OPTION: [u8; 2] = [2, 4];
const TCP_WORDS: u8 = 6;
const TCP_LEN: u16 = TCP_WORDS as u16 * 4;

/// What of a SYN goes into its answer, as it stands in the frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
pub struct Syn {
    /// Source port.
    pub source_port: [u8; 2],
    /// Destination port.
    pub destination_port: [u8; 2],
    /// Sequence number.
    pub sequence: [u8; 4],
}

/// What the answer says beside that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The sequence number: all that is remembered of the SYN.
    pub sequence: u32,
    /// The largest segment that this end takes.
    pub mss: u16,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
struct Tcp {
    source_port: [u8; 2],
    destination_port: [u8; 2],
    sequence: [u8; 4],
    acknowledgement: [u8; 4],
    data_offset: u8,
    flags: u8,
    window: [u8; 2],
    checksum: [u8; 2],
    urgent: [u8; 2],
    option: [u8; 2],
    mss: [u8; 2],
}

/// The answer over IPv4.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
pub struct SynAckV4 {
    version: u8,
    service: u8,
    total_len: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    source: [u8; 4],
    destination: [u8; 4],
    tcp: Tcp,
}

/// The answer over IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable, Unaligned)]
pub struct SynAckV6 {
    version: [u8; 4],
    payload_len: [u8; 2],
    next_header: u8,
    hop_limit: u8,
    source: [[u8; 4]; 4],
    destination: [[u8; 4]; 4],
    tcp: Tcp,
}

impl SynAckV4 {
    /// Length in bytes.
    pub const LEN: usize = size_of::<Self>();
    /// Bytes of header before the TCP options of a segment that fills an MTU.
    pub const HEADERS: u16 = 40;

    /// The answer to a SYN with these addresses, source first.
    #[inline(always)]
    #[must_use]
    pub fn new([source, destination]: [[u8; 4]; 2], syn: Syn, cookie: Cookie) -> Self {
        const DONT_FRAGMENT: u16 = 0x4000;
        let addresses = quad(source) + quad(destination);
        let constant = 0x4500
            + Self::LEN as u64
            + DONT_FRAGMENT as u64
            + (u64::from(HOP_LIMIT) << 8)
            + protocol::TCP as u64;
        Self {
            version: 0x45,
            service: 0,
            total_len: (Self::LEN as u16).to_be_bytes(),
            id: [0; 2],
            fragment: DONT_FRAGMENT.to_be_bytes(),
            ttl: HOP_LIMIT,
            protocol: protocol::TCP,
            checksum: checksum(addresses + constant),
            source: destination,
            destination: source,
            tcp: Tcp::new(addresses, syn, cookie),
        }
    }
}

impl SynAckV6 {
    /// Length in bytes.
    pub const LEN: usize = size_of::<Self>();
    /// As [`SynAckV4::HEADERS`].
    pub const HEADERS: u16 = 60;

    /// The answer to a SYN with these addresses, source first.
    #[inline(always)]
    #[must_use]
    pub fn new([source, destination]: [[[u8; 4]; 4]; 2], syn: Syn, cookie: Cookie) -> Self {
        let half = |[a, b, c, d]: [[u8; 4]; 4]| quad(a) + quad(b) + quad(c) + quad(d);
        Self {
            version: [0x60, 0, 0, 0],
            payload_len: TCP_LEN.to_be_bytes(),
            next_header: protocol::TCP,
            hop_limit: HOP_LIMIT,
            source: destination,
            destination: source,
            tcp: Tcp::new(half(source) + half(destination), syn, cookie),
        }
    }
}

impl Tcp {
    #[inline(always)]
    fn new(addresses: u64, syn: Syn, cookie: Cookie) -> Self {
        const FLAGS: u8 = TcpFlags::SYN | TcpFlags::ACK;
        let acknowledgement = u32::from_be_bytes(syn.sequence).wrapping_add(1);
        let sum = addresses
            + u64::from(protocol::TCP)
            + u64::from(TCP_LEN)
            + pair(syn.source_port)
            + pair(syn.destination_port)
            + u64::from(cookie.sequence)
            + u64::from(acknowledgement)
            + (u64::from(TCP_WORDS) << 12 | u64::from(FLAGS))
            + u64::from(WINDOW)
            + pair(MSS_OPTION)
            + u64::from(cookie.mss);
        Self {
            source_port: syn.destination_port,
            destination_port: syn.source_port,
            sequence: cookie.sequence.to_be_bytes(),
            acknowledgement: acknowledgement.to_be_bytes(),
            data_offset: TCP_WORDS << 4,
            flags: FLAGS,
            window: WINDOW.to_be_bytes(),
            checksum: checksum(sum),
            urgent: [0; 2],
            option: MSS_OPTION,
            mss: cookie.mss.to_be_bytes(),
        }
    }
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

    const SYN: Syn = Syn {
        source_port: [0xfe, 0xdc],
        destination_port: [0, 80],
        sequence: [0xff; 4],
    };
    const COOKIE: Cookie = Cookie {
        sequence: 0xdead_beef,
        mss: 1460,
    };

    #[test]
    fn checksums_are_right_whatever_the_numbers() {
        for last in [0, 1, 0x7f, 0xff] {
            let v4 = [[198, 51, 100, last], [192, 0, 2, last]];
            let answer = SynAckV4::new(v4, SYN, COOKIE);
            let answer = answer.as_bytes();
            assert_eq!(answer.len(), 44);
            assert_eq!(folded(sum(&answer[..20])), 0xffff, "IPv4 header");
            let pseudo = sum(&answer[12..20]) + 6 + 24;
            assert_eq!(folded(pseudo + sum(&answer[20..])), 0xffff, "TCP");

            let mut v6 = [[[0x20, 1, 0xd, 0xb8]; 4], [[0xff, 0xff, last, 1]; 4]];
            v6[0][3] = [last; 4];
            let answer = SynAckV6::new(v6, SYN, COOKIE);
            let answer = answer.as_bytes();
            assert_eq!(answer.len(), 64);
            let pseudo = sum(&answer[8..40]) + 6 + 24;
            assert_eq!(folded(pseudo + sum(&answer[40..])), 0xffff, "TCP over IPv6");
        }
    }

    #[test]
    fn the_answer_goes_back_and_acknowledges_the_syn() {
        let answer = SynAckV4::new([[1, 2, 3, 4], [5, 6, 7, 8]], SYN, COOKIE);
        assert_eq!(
            (answer.source, answer.destination),
            ([5, 6, 7, 8], [1, 2, 3, 4])
        );
        let tcp = answer.tcp;
        assert_eq!(
            (tcp.source_port, tcp.destination_port),
            ([0, 80], [0xfe, 0xdc])
        );
        assert_eq!(tcp.sequence, 0xdead_beef_u32.to_be_bytes());
        assert_eq!(tcp.acknowledgement, [0; 4], "wraps behind 2^32 - 1");
        assert_eq!((tcp.flags, tcp.data_offset), (0x12, 0x60));
        assert_eq!((tcp.option, tcp.mss), ([2, 4], 1460u16.to_be_bytes()));
    }
}
