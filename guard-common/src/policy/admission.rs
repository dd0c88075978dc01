//! Admission of new connections. The first segment of a connection that the rules let in costs memory. A listener of
//! this host whose queue is full answers it with a cookie, which costs no memory; where there is no listener (the
//! port belongs to a container) or no way to answer, a ceiling on all sources together bounds what a flood costs.
//! An answer of DHCP, which passes without a rule, is bounded likewise, and so are fragments that nothing vouches
//! for, which the kernel must keep until the rest has come.

use super::{RulesAnswer, Searches, plain::ServiceRequest, service_of};
use crate::{
    abi::{
        flow::IS_FORWARDED,
        reason::{Action, Reason, Verdict},
    },
    packet::{
        ETHERNET_LEN, Fragment, IPV4_LEN, IPV6_LEN, Packet, SynAckV4, SynAckV6, TAG_LEN, Transport,
    },
};

/// Whether a packet passes below a ceiling only, which one, and how the packet stands in its frame, in seven bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission(u8);

/// What a ceiling is for.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionKind {
    /// None: any other packet.
    None = 0,
    /// The first segment of a connection.
    Syn = 1,
    /// An answer of DHCP.
    Dhcp = 2,
    /// A fragment that nothing vouches for: a first one that is no reply, or one ahead of its first one.
    Fragment = 3,
}

impl Admission {
    /// Any other packet.
    pub const NONE: Self = Self(0);
    /// Bits of the number.
    pub const BITS: u32 = 7;
    /// Set where it depends on whom this host knows, and the packet in the scratch is asked about.
    const BY_STATE: u8 = 1 << 6;
    /// A segment to an open port, which must be part of a session.
    pub(super) const SEGMENT: Self = Self(Self::BY_STATE);
    /// A datagram to an open port.
    pub(super) const DATAGRAM: Self = Self(Self::BY_STATE | 1);
    /// An echo request.
    pub(super) const ECHO: Self = Self(Self::BY_STATE | 2);
    const KIND: u8 = 3;
    const IS_V4: u8 = 4;
    const ANSWERABLE: u8 = 8;
    const TAGS_SHIFT: u8 = 4;

    #[inline(always)]
    const fn new(kind: AdmissionKind, is_v4: bool, network_at: u32) -> Self {
        let tags = network_at.wrapping_sub(ETHERNET_LEN as u32) / TAG_LEN as u32;
        let family = if is_v4 { Self::IS_V4 } else { 0 };
        Self(kind as u8 | family | (tags as u8 & 3) << Self::TAGS_SHIFT)
    }

    /// What a packet that passes with this verdict is.
    #[inline(always)]
    pub(super) fn of<T: Searches>(tables: &T, packet: &Packet, verdict: Verdict) -> Self {
        if !matches!(verdict.action, Action::Pass) {
            return Self::NONE;
        }
        let is_v4 = packet.is_v4();
        let of_kind = |kind| Self::new(kind, is_v4, packet.network_at());
        let reason = verdict.reason;
        // A server of DHCPv6 on the link needs no ceiling: nobody else can be one there.
        if matches!(reason, Reason::Dhcpv4)
            || matches!(reason, Reason::Dhcpv6) && !packet.source().is_link_local_v6()
        {
            return of_kind(AdmissionKind::Dhcp);
        }
        if matches!(reason, Reason::FragmentEarly) {
            return of_kind(AdmissionKind::Fragment);
        }
        if !matches!(reason, Reason::RuleAllow | Reason::DefaultAllow) {
            return Self::NONE;
        }
        if let Fragment::First(_) = packet.fragment() {
            return of_kind(AdmissionKind::Fragment);
        }
        let (destination_port, flags) = match packet.transport() {
            Transport::Tcp {
                destination_port,
                flags,
                ..
            } => (destination_port, flags),
            Transport::Udp { .. } => return Self::DATAGRAM,
            Transport::Icmp { .. }
            | Transport::Icmpv6 { .. }
            | Transport::Other
            | Transport::None => {
                return match service_of(packet) {
                    Some(service) if service.is_icmp_request() => Self::ECHO,
                    _ => Self::NONE,
                };
            }
        };
        if !flags.opens() {
            return Self::SEGMENT;
        }
        let header = if is_v4 { IPV4_LEN } else { IPV6_LEN } as u32;
        // An answer is written over the SYN, which must be of the plainest form for that.
        let is_plain = packet.transport_at() == packet.network_at() + header;
        let is_answerable = is_plain && tables.port_marks(destination_port) & IS_FORWARDED == 0;
        let bits = of_kind(AdmissionKind::Syn).0;
        Self(if is_answerable {
            bits | Self::ANSWERABLE
        } else {
            bits
        })
    }

    /// Of a plain packet of this form, of which the rules say this.
    #[inline(always)]
    pub(super) fn plain<T: Searches>(
        tables: &T,
        is_v4: bool,
        request: ServiceRequest,
        answer: RulesAnswer,
    ) -> Self {
        if !answer.lets_in() {
            return Self::NONE;
        } else if request.is_udp() {
            return Self::DATAGRAM.plain_v4(request);
        } else if !request.opens() {
            return Self::SEGMENT.plain_v4(request);
        }
        let answerable = if tables.port_marks(request.port()) & IS_FORWARDED == 0 {
            Self::ANSWERABLE
        } else {
            0
        };
        let family = if is_v4 { Self::IS_V4 } else { 0 };
        Self(AdmissionKind::Syn as u8 | family | answerable | request.tags() << Self::TAGS_SHIFT)
    }

    /// The inverse of [`Admission::bits`].
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
        self.0 & (Self::KIND | Self::BY_STATE) == 0
    }

    /// What the ceiling is for.
    #[inline(always)]
    #[must_use]
    pub const fn kind(self) -> AdmissionKind {
        match self.0 & Self::KIND {
            1 => AdmissionKind::Syn,
            2 => AdmissionKind::Dhcp,
            3 => AdmissionKind::Fragment,
            _ => AdmissionKind::None,
        }
    }

    /// Does it depend on whom this host knows?
    #[inline(always)]
    #[must_use]
    pub const fn is_by_state(self) -> bool {
        self.0 & Self::BY_STATE != 0
    }

    /// The same, known not to do so.
    #[inline(always)]
    #[must_use]
    pub const fn not_by_state(self) -> Self {
        Self(self.0 & !Self::BY_STATE)
    }

    /// Is it a segment of TCP that must be part of a session?
    #[inline(always)]
    #[must_use]
    pub const fn is_segment(self) -> bool {
        self.0 & (Self::BY_STATE | Self::KIND) == Self::SEGMENT.0
    }

    /// Is it an echo request?
    #[inline(always)]
    #[must_use]
    pub const fn is_echo(self) -> bool {
        self.0 & Self::KIND == Self::ECHO.0 & Self::KIND
    }

    /// The same, of a packet of plain IPv4 that is not in the scratch.
    #[inline(always)]
    #[must_use]
    pub(super) const fn plain_v4(self, request: ServiceRequest) -> Self {
        Self(self.0 | Self::IS_V4 | request.tags() << Self::TAGS_SHIFT)
    }

    /// Tags that it stands behind, one at most.
    #[inline(always)]
    pub(super) const fn tags(self) -> u8 {
        self.0 >> Self::TAGS_SHIFT & 1
    }

    /// The same, of which it is known that what costs least to ask does not vouch for it.
    #[inline(always)]
    #[must_use]
    pub(super) const fn stray(self) -> Self {
        Self(self.0 | Self::ANSWERABLE)
    }

    /// Is that known?
    #[inline(always)]
    #[must_use]
    pub(super) const fn is_stray(self) -> bool {
        self.0 & Self::ANSWERABLE != 0
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
        ETHERNET_LEN + (self.0 >> Self::TAGS_SHIFT & 3) as usize * TAG_LEN
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
