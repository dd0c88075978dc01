//! TCP segments that no stack sends: dropped on every port, open or not.

use crate::{
    abi::reason::Reason,
    packet::{Packet, TcpFlags, Transport},
};

/// Is this the first segment of a connection?
#[inline(always)]
pub(super) fn opens_connection(packet: &Packet) -> bool {
    matches!(packet.transport(), Transport::Tcp { flags, .. } if flags.opens())
}

/// Is this any other segment?
#[inline(always)]
pub(super) fn continues_connection(packet: &Packet) -> bool {
    matches!(packet.transport(), Transport::Tcp { flags, .. } if !flags.opens())
}

/// The reason to drop the segment, if its flags are impossible.
#[inline(always)]
pub(super) fn bad_flags(packet: &Packet) -> Option<Reason> {
    let Transport::Tcp { flags, .. } = packet.transport() else {
        return None;
    };
    impossible(flags)
}

/// Does some stack send segments with these flags? Told by a bit each, without a jump.
#[inline(always)]
pub(super) const fn is_possible(flags: TcpFlags) -> bool {
    POSSIBLE >> (flags.0 & (TOLD_BY - 1)) & 1 != 0
}

/// The flags that matter are the lowest: FIN, SYN, RST, PSH, ACK and URG.
const TOLD_BY: u8 = 1 << 6;

const POSSIBLE: u64 = {
    let (mut possible, mut flags) = (0, 0);
    while flags < TOLD_BY {
        if impossible(TcpFlags(flags)).is_none() {
            possible |= 1 << flags;
        }
        flags += 1;
    }
    possible
};

/// The reason to drop a segment with these flags, if no stack sends them.
#[inline(always)]
pub(super) const fn impossible(flags: TcpFlags) -> Option<Reason> {
    if flags.has_any(TcpFlags::SYN) {
        if flags.has_any(TcpFlags::FIN) {
            return Some(Reason::TcpSynFin);
        }
        if flags.has_any(TcpFlags::RST) {
            return Some(Reason::TcpSynRst);
        }
        return None;
    }
    // Behind the handshake every segment but a reset acknowledges something (RFC 9293, 3.10.7), and a reset
    // does not end a stream in order.
    let is_reset = flags.has_any(TcpFlags::RST) && !flags.has_any(TcpFlags::FIN);
    if flags.has_any(TcpFlags::ACK) || is_reset {
        return None;
    }
    Some(
        if flags.has(TcpFlags::FIN | TcpFlags::PSH | TcpFlags::URG) {
            Reason::TcpXmas
        } else if flags.has_any(TcpFlags::FIN) {
            Reason::TcpBareFin
        } else if flags.has_any(TcpFlags::PSH | TcpFlags::URG) {
            Reason::TcpNoAck
        } else {
            Reason::TcpNull
        },
    )
}
