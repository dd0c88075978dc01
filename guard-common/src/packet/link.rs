//! Ethernet and up to two VLAN tags.

use super::{ETHERNET_LEN, PacketReader, ParseError, TAG_LEN};

pub(crate) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(super) const SLOW_PROTOCOL: u16 = 0x8809;
pub(super) const EAPOL: u16 = 0x888e;
pub(super) const LLDP: u16 = 0x88cc;
pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const SERVICE_VLAN: u16 = 0x88a8;

/// Tags that guard looks behind: one customer and one service tag (802.1ad).
pub const MAX_VLAN_TAGS: usize = 2;

/// Below this the field is the length of a frame of 802.3.
const FIRST_ETHER_TYPE: u16 = 0x600;
/// The group of bridges (802.1D, 7.12.3).
const BRIDGE_GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];
/// Destination and source service access point of bridges, unnumbered information.
const BRIDGE_LLC: [u8; 3] = [0x42, 0x42, 0x03];

/// Does an untagged frame with this length field carry a bridge protocol data unit?
#[inline(always)]
pub(super) fn is_spanning_tree<R: PacketReader + ?Sized>(reader: &R, len: u16) -> bool {
    len < FIRST_ETHER_TYPE
        && reader.read(0) == Some(BRIDGE_GROUP)
        && reader.read(ETHERNET_LEN) == Some(BRIDGE_LLC)
}

/// The EtherType behind the tags and the offset of what it announces.
#[inline(always)]
pub(super) fn parse<R: PacketReader + ?Sized>(reader: &R) -> Result<(u16, usize), ParseError> {
    // Nearly every frame is untagged IPv4: a constant offset here saves the bookkeeping of a loop.
    let field: [u8; 2] = reader.read(ETHERNET_LEN - 2).ok_or(ParseError::Truncated)?;
    if u16::from_be_bytes(field) == IPV4 {
        return Ok((IPV4, ETHERNET_LEN));
    }
    let mut at = ETHERNET_LEN;
    for _ in 0..=MAX_VLAN_TAGS {
        let field: [u8; 2] = reader.read(at - 2).ok_or(ParseError::Truncated)?;
        let ether_type = u16::from_be_bytes(field);
        if ether_type != VLAN && ether_type != SERVICE_VLAN {
            return Ok((ether_type, reader.hidden(at)));
        }
        at += TAG_LEN;
    }
    Err(ParseError::TooManyTags)
}
