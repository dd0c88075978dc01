//! The first segment of a connection that the rules let in. A listener of this host whose queue is full
//! answers it with a cookie, which costs no memory; where there is no listener (the port belongs to
//! a container) or no way to answer, a ceiling on all sources together bounds what a flood costs.
//! An answer of DHCP, which passes without a rule, is bounded likewise.

use super::{
    Judgement, Searches,
    ceiling::{Headroom, under_ceiling},
    slot, tcp,
};
use crate::{
    abi::{
        ceiling,
        flow::IS_FORWARDED,
        image::MONITOR,
        reason::{Action, Reason, Verdict},
        service::{Service, ServiceKind},
    },
    packet::{Packet, PacketReader, SynAckV4, SynAckV6, Transport},
};

const ETHERNET_LEN: u32 = 14;
const TAG_LEN: u32 = 4;
/// Headers without options and extensions.
const IPV4_LEN: u32 = 20;
const IPV6_LEN: u32 = 40;

/// Whether a packet is one, or an answer of DHCP, and how it stands in its frame, in five bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening(u8);

impl Opening {
    /// Any other packet.
    pub const NONE: Self = Self(0);
    /// Bits of the number.
    pub const BITS: u32 = 5;
    const OPENS: u8 = 1;
    const IS_V4: u8 = 2;
    const ANSWERABLE: u8 = 4;
    const TAGS_SHIFT: u8 = 3;

    /// What a packet that passes with this verdict is.
    #[inline(always)]
    pub(super) fn of<T: Searches>(tables: &T, packet: &Packet, verdict: Verdict) -> Self {
        let tags = packet.network_at().wrapping_sub(ETHERNET_LEN) / TAG_LEN;
        let tags = (tags as u8 & 3) << Self::TAGS_SHIFT;
        let Transport::Tcp {
            destination_port, ..
        } = packet.transport()
        else {
            // Without a jump, which verifiers would follow both ways for all that came before.
            let difference = verdict.reason as u32 ^ Reason::Dhcpv4 as u32;
            let is_dhcp = T::hide(u64::from(difference.wrapping_sub(1) >> 31));
            return Self((Self::IS_V4 | tags) & 0u8.wrapping_sub(is_dhcp as u8));
        };
        if !matches!(verdict.action, Action::Pass) || !tcp::opens_connection(packet) {
            return Self::NONE;
        }
        let is_v4 = packet.is_v4();
        let header = if is_v4 { IPV4_LEN } else { IPV6_LEN };
        // An answer is written over the SYN, which must be of the plainest form for that.
        let is_plain = packet.transport_at() == packet.network_at() + header && packet.is_whole();
        let mut bits = Self::OPENS;
        if is_v4 {
            bits |= Self::IS_V4;
        }
        if is_plain && tables.port_marks(destination_port) & IS_FORWARDED == 0 {
            bits |= Self::ANSWERABLE;
        }
        Self(bits | tags)
    }

    /// A SYN over untagged IPv4 without options.
    #[inline(always)]
    pub(super) fn plain_v4(marks: u8) -> Self {
        let answerable = if marks & IS_FORWARDED == 0 {
            Self::ANSWERABLE
        } else {
            0
        };
        Self(Self::OPENS | Self::IS_V4 | answerable)
    }

    /// The inverse of [`Opening::bits`].
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// As one number.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Is it any other packet?
    #[inline(always)]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Is it a SYN?
    #[inline(always)]
    #[must_use]
    pub const fn is_syn(self) -> bool {
        self.0 & Self::OPENS != 0
    }

    /// What it asks for.
    #[inline(always)]
    #[must_use]
    pub const fn service(self, port: u16) -> Service {
        if self.is_syn() {
            Service::tcp(port)
        } else {
            Service::udp(port)
        }
    }

    /// Over IPv4?
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(self) -> bool {
        self.0 & Self::IS_V4 != 0
    }

    /// May it be answered in place, if a listener is there?
    #[inline(always)]
    #[must_use]
    pub const fn is_answerable(self) -> bool {
        self.0 & Self::ANSWERABLE != 0
    }

    /// Where its IP header lies in the frame.
    #[inline(always)]
    #[must_use]
    pub const fn network_at(self) -> usize {
        (ETHERNET_LEN + (self.0 >> Self::TAGS_SHIFT & 3) as u32 * TAG_LEN) as usize
    }

    /// Length of the frame that answers it.
    #[inline(always)]
    #[must_use]
    pub const fn answer_len(self) -> usize {
        self.network_at()
            + if self.is_v4() {
                SynAckV4::LEN
            } else {
                SynAckV6::LEN
            }
    }
}

/// What this host has at the port that a SYN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nothing.
    None,
    /// A listener that takes the SYN, or a connection that it is part of.
    Ready,
    /// A listener whose queue is full.
    Full,
}

/// Does everything pass?
#[inline(always)]
pub fn is_monitor<T: Searches>(tables: &T) -> bool {
    slot::in_force(tables).flags() & MONITOR != 0
}

/// What becomes of an opening. In the kernel a program of its own does this.
#[inline(always)]
pub(super) fn settle<R, T>(reader: &R, tables: &T, judgement: Judgement) -> Judgement
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let opening = judgement.opening;
    let kind = judgement.service.map(|service| service.kind());
    let Some(ServiceKind::Tcp(port) | ServiceKind::Udp(port)) = kind else {
        return judgement;
    };
    let listener = if opening.is_answerable() {
        tables.listener(reader)
    } else {
        Listener::None
    };
    let is_monitor = is_monitor(tables);
    match listener {
        Listener::Ready => judgement,
        Listener::Full if is_monitor => judgement,
        Listener::Full => {
            tables.add_to_ceiling(ceiling::answered(port), 1);
            Judgement {
                verdict: Verdict::of(Reason::SynCookie),
                service: None,
                opening,
            }
        }
        Listener::None => {
            let mut verdict = Verdict::of(Reason::Ceiling);
            match under_ceiling(reader, tables, opening, port) {
                Headroom::Fits => return judgement,
                Headroom::Above => {}
                Headroom::Monitored => verdict.action = Action::Pass,
            }
            Judgement {
                verdict,
                ..judgement
            }
        }
    }
}
