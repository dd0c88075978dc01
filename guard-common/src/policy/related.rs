//! ICMP errors: believed only when they are about a packet that this host can have sent, that is, of
//! a flow of ours, an answer of a service that a rule opens to that peer, or a TCP socket of ours.
//! Without them path MTU discovery fails and large transfers stall; all of them let in, anybody could
//! slow or end our sessions.

use super::Tables;
use crate::{
    abi::{addr::Addr, flow::Tuple},
    packet::{Fragment, Packet, PacketReader, Transport, quoted},
};

/// Is this an ICMP error? Unreachable (with fragmentation needed), time exceeded and parameter
/// problem; for IPv6 packet too big as well. Source quench is obsolete (RFC 6633).
#[inline(always)]
pub(super) fn is_error(packet: &Packet) -> bool {
    match packet.transport() {
        Transport::Icmp { kind, .. } => {
            packet.source.is_v4() && matches!(kind, 3 | 11 | 12) && is_whole(packet)
        }
        Transport::Icmpv6 { kind, .. } => {
            !packet.source.is_v4() && matches!(kind, 1..=4) && is_whole(packet)
        }
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Other | Transport::None => false,
    }
}

#[inline(always)]
fn is_whole(packet: &Packet) -> bool {
    matches!(packet.fragment(), Fragment::Whole)
}

/// Where an ICMP error lies in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotation {
    /// First byte of the ICMP header.
    pub at: u32,
    /// End of the packet.
    pub end: u32,
    /// Family of the error and of what it quotes.
    pub is_v4: bool,
}

/// A part of a quoted tuple. The kernel asks for one after the other, because a function that its
/// verifier checks alone returns one number; errors are rare enough.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotedPart {
    /// Ports and protocol, `local port (16 bits) | remote port (16) | protocol (8) | 1`; 0 = no tuple.
    Ports = 0,
    /// Upper half of our address.
    LocalHigh = 1,
    /// Lower half of our address.
    LocalLow = 2,
    /// Upper half of the other address.
    RemoteHigh = 3,
    /// Lower half of the other address.
    RemoteLow = 4,
}

impl QuotedPart {
    /// The part with this number.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::LocalHigh,
            2 => Self::LocalLow,
            3 => Self::RemoteHigh,
            4 => Self::RemoteLow,
            _ => Self::Ports,
        }
    }
}

const IS_TUPLE: u64 = 1 << 40;

/// A part of the tuple that an error quotes.
#[inline(always)]
pub fn quoted_part<R: PacketReader + ?Sized>(
    reader: &R,
    quotation: Quotation,
    part: QuotedPart,
) -> u64 {
    let (at, end) = (quotation.at as usize, quotation.end as usize);
    let Some(tuple) = quoted(reader, at, end, quotation.is_v4) else {
        return 0;
    };
    match part {
        QuotedPart::Ports => {
            tuple.local_port as u64
                | (tuple.remote_port as u64) << 16
                | (tuple.protocol as u64) << 32
                | IS_TUPLE
        }
        QuotedPart::LocalHigh => tuple.local.hi(),
        QuotedPart::LocalLow => tuple.local.lo(),
        QuotedPart::RemoteHigh => tuple.remote.hi(),
        QuotedPart::RemoteLow => tuple.remote.lo(),
    }
}

/// The tuple that an error quotes. Whoever is told is whoever sent it: an error to another address of
/// ours than the quoted one is none.
#[inline(always)]
pub(super) fn quoted_tuple<R, T>(reader: &R, tables: &T, packet: &Packet) -> Option<Tuple>
where
    R: PacketReader + ?Sized,
    T: Tables,
{
    let quotation = Quotation {
        at: packet.transport_at(),
        end: packet.end(),
        is_v4: packet.source.is_v4(),
    };
    let part = |part| tables.quoted_part(reader, quotation, part);
    let ports = part(QuotedPart::Ports);
    if ports & IS_TUPLE == 0 {
        return None;
    }
    let local = Addr::from_halves(part(QuotedPart::LocalHigh), part(QuotedPart::LocalLow));
    if local != packet.destination {
        return None;
    }
    Some(Tuple {
        remote: Addr::from_halves(part(QuotedPart::RemoteHigh), part(QuotedPart::RemoteLow)),
        local,
        remote_port: (ports >> 16) as u16,
        local_port: ports as u16,
        protocol: (ports >> 32) as u8,
    })
}
