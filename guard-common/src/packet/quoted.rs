//! The packet that an ICMP error is about: it quotes the beginning of what somebody sent.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{PacketReader, ipv4, ipv6, read_within};
use crate::abi::{addr::Addr, flow::Tuple, service::protocol};

/// Bytes of ICMP before the quotation (RFC 792, RFC 4443).
pub const ICMP_LEN: usize = 8;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

#[repr(C)]
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
struct FragmentHeader {
    next_header: u8,
    reserved: u8,
    offset: [u8; 2],
    id: [u8; 4],
}

/// Every error quotes at least eight bytes of the transport header.
type Head = [u8; 8];

/// The conversation that the packet quoted by the ICMP error at `at` belongs to: what was its source
/// is our end. `None` when the quotation is cut short, a later fragment or of another family.
#[inline(always)]
pub fn quoted<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    end: usize,
    is_v4: bool,
) -> Option<Tuple> {
    // Older verifiers do not learn from a comparison of `at` what it says of `at + 8`: the sums
    // are hidden from the compiler, so that what is compared is what is read at.
    let at = R::forget((at + ICMP_LEN) as u64) as usize;
    if is_v4 {
        let header: ipv4::Header = read_within(reader, at, end)?;
        let header_len = usize::from(header.version_ihl & 0x0f) * 4;
        const OFFSET: u16 = 0x1fff;
        if header.version_ihl >> 4 != 4
            || header_len < size_of::<ipv4::Header>()
            || u16::from_be_bytes(header.fragment) & OFFSET != 0
        {
            return None;
        }
        let at = R::forget((at + header_len) as u64) as usize;
        let head: Head = read_within(reader, at, end)?;
        conversation(
            Addr::from_v4(u32::from_be_bytes(header.source)),
            Addr::from_v4(u32::from_be_bytes(header.destination)),
            header.protocol,
            head,
        )
    } else {
        let header: ipv6::Header = read_within(reader, at, end)?;
        if header.version_class_flow[0] >> 4 != 6 {
            return None;
        }
        let mut next_header = header.next_header;
        let mut at = R::forget((at + size_of::<ipv6::Header>()) as u64) as usize;
        if next_header == protocol::FRAGMENT {
            let fragment: FragmentHeader = read_within(reader, at, end)?;
            if u16::from_be_bytes(fragment.offset) >> 3 != 0 {
                return None;
            }
            next_header = fragment.next_header;
            at = R::forget((at + size_of::<FragmentHeader>()) as u64) as usize;
        }
        let head: Head = read_within(reader, at, end)?;
        let remote = Addr::from_v6(header.destination_hi, header.destination_lo);
        if remote.is_v4() {
            // On no wire; it would be taken for a conversation of the other family.
            return None;
        }
        conversation(
            Addr::from_v6(header.source_hi, header.source_lo),
            remote,
            next_header,
            head,
        )
    }
}

#[inline(always)]
fn conversation(local: Addr, remote: Addr, protocol: u8, head: Head) -> Option<Tuple> {
    let first = u16::from_be_bytes([head[0], head[1]]);
    let second = u16::from_be_bytes([head[2], head[3]]);
    let third = u16::from_be_bytes([head[4], head[5]]);
    let (local_port, remote_port) = match protocol {
        protocol::TCP | protocol::UDP => (first, second),
        // Type and code, then checksum, then identifier. An error about an error is never sent.
        protocol::ICMP if head[0] == ECHO_REQUEST => (third, 0),
        protocol::ICMPV6 if head[0] == ECHO_REQUEST_V6 => (third, 0),
        protocol::ICMP | protocol::ICMPV6 => return None,
        _ => (0, 0),
    };
    Some(Tuple {
        remote,
        local,
        remote_port,
        local_port,
        protocol,
    })
}
