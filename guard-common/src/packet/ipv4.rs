//! IPv4: header, options, fragments.

use super::{
    Fragment, IPV4_LEN, IPV4_MORE_FRAGMENTS, IPV4_OFFSET, Ipv4, Packet, PacketReader, ParseError,
    transport_header,
};

const OPTION_LOOSE_ROUTE: u8 = 131;
const OPTION_STRICT_ROUTE: u8 = 137;
/// Fifteen words.
const MAX_HEADER_LEN: usize = 60;

#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    packet: &Packet,
) -> Result<(), ParseError> {
    let header: Ipv4 = reader.read(at).ok_or(ParseError::Truncated)?;
    if header.version_ihl >> 4 != 4 {
        return Err(ParseError::BadIpv4Header);
    }
    let header_len = header.header_len();
    if header_len < IPV4_LEN {
        return Err(ParseError::BadIpv4Header);
    }
    let total_len = usize::from(u16::from_be_bytes(header.total_len));
    if total_len < header_len || at + total_len > reader.len() {
        return Err(ParseError::BadLength);
    }
    if header_len > IPV4_LEN {
        check_options(reader, at, header_len)?;
    }
    let field = header.fragment_field();
    let id = u32::from(u16::from_be_bytes(header.id));
    packet.set_fragment(if field & IPV4_OFFSET != 0 {
        Fragment::Later(id)
    } else if field & IPV4_MORE_FRAGMENTS != 0 {
        Fragment::First(id)
    } else {
        Fragment::Whole
    });
    packet.set_addresses(header.source(), header.destination());
    packet.set_header(header.ttl, header.protocol, false);
    packet.set_places(at, at + header_len, at + total_len);
    transport_header::parse(reader, packet)
}

/// Refuses source routes. Any option byte with the value of such an option counts: a timestamp that
/// happens to hold it is dropped too, and the walk stays short enough for the verifier.
#[inline(always)]
fn check_options<R: PacketReader + ?Sized>(
    reader: &R,
    at: usize,
    header_len: usize,
) -> Result<(), ParseError> {
    let mut found = 0;
    for word in IPV4_LEN / 4..MAX_HEADER_LEN / 4 {
        if word * 4 >= header_len {
            break;
        }
        let options: [u8; 4] = reader.read(at + word * 4).ok_or(ParseError::Truncated)?;
        let options = u32::from_ne_bytes(options);
        // Forty options, one by one, would cost more than all else that is read of a packet.
        found |= has_byte(options, OPTION_LOOSE_ROUTE) | has_byte(options, OPTION_STRICT_ROUTE);
    }
    if found == 0 {
        Ok(())
    } else {
        Err(ParseError::SourceRoute)
    }
}

/// Not 0 if one of the four bytes has this value ("Hacker's Delight", 6-1: the lowest zero byte of the difference
/// borrows into its own highest bit).
#[inline(always)]
const fn has_byte(word: u32, byte: u8) -> u32 {
    const LOW: u32 = 0x0101_0101;
    const HIGH: u32 = 0x8080_8080;
    let difference = word ^ (byte as u32 * LOW);
    difference.wrapping_sub(LOW) & !difference & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands_and_nowhere_else() {
        for byte in [OPTION_LOOSE_ROUTE, OPTION_STRICT_ROUTE] {
            for at in 0..4 {
                for other in 0..=u8::MAX {
                    let mut bytes = [other; 4];
                    let is_there = other == byte;
                    assert_eq!(has_byte(u32::from_ne_bytes(bytes), byte) != 0, is_there);
                    bytes[at] = byte;
                    assert_ne!(has_byte(u32::from_ne_bytes(bytes), byte), 0);
                }
            }
        }
    }
}
