//! The first segment of a connection that the rules let in. A listener of this host whose queue is full
//! answers it with a cookie, which costs no memory; where there is no listener (the port belongs to
//! a container) or no way to answer, a ceiling on all sources together bounds what a flood costs.
//!
//! DHCP answers have a ceiling too: of what passes without a rule they alone can be sent from anywhere. One that
//! belongs to a flow of this host, as that to the renewal of a lease does, is under none.

use super::{Found, Judgement, Slot, Tables, classify, flow, slot, tcp};
use crate::{
    abi::{
        addr::Addr,
        ceiling::{self, Ceiling},
        flow::{Event, IS_FORWARDED, Tuple},
        image::{FAMILY_CLASSES, HAS_NEVER, HEADER_CEILING, MONITOR},
        reason::{Action, Reason, Verdict},
        service::{Service, ServiceKind, protocol},
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
    pub(super) fn of<T: Tables>(tables: &T, packet: &Packet, verdict: Verdict) -> Self {
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
        let is_v4 = packet.source.is_v4();
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
pub fn is_monitor<T: Tables>(tables: &T) -> bool {
    slot::in_force(tables).flags() & MONITOR != 0
}

/// What becomes of an opening. In the kernel a program of its own does this.
#[inline(always)]
pub(super) fn settle<R, T>(reader: &R, tables: &T, judgement: Judgement) -> Judgement
where
    R: PacketReader + ?Sized,
    T: Tables,
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

/// What the ceiling of a port says of one more connection, or one more answer of DHCP.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headroom {
    /// It fits, or there is no ceiling for it.
    Fits = 0,
    /// It is one too many.
    Above = 1,
    /// It is one too many, but monitor mode lets it go.
    Monitored = 2,
}

/// Is one more connection to this port, or one more answer of DHCP, too much? Charges it if not. A source on
/// the never list is under no ceiling.
#[inline(always)]
pub fn under_ceiling<R, T>(reader: &R, tables: &T, opening: Opening, port: u16) -> Headroom
where
    R: PacketReader + ?Sized,
    T: Tables,
{
    let state = slot::in_force(tables);
    let policy = &Slot::of(tables, state);
    let mut ceiling = Ceiling::from_word(policy.word(HEADER_CEILING));
    if ceiling.is_none() {
        return Headroom::Fits;
    }
    let Some([source, local]) = addresses(reader, opening) else {
        return Headroom::Fits;
    };
    let flags = state.flags();
    if flags & HAS_NEVER != 0 && policy.is_on_never_list(flags, source) {
        return Headroom::Fits;
    }
    if !opening.is_syn() {
        if is_awaited(tables, source, local) {
            return Headroom::Fits;
        }
        ceiling = Ceiling::DHCP;
    }
    let jiffies = tables.jiffies();
    let now = jiffies.wrapping_mul(tables.jiffy_us());
    let (whole, part) = (ceiling.of_port(), ceiling.of_prefix());
    let port_meter = ceiling::port_meter(port);
    let [first, second] = ceiling::prefix_meters(prefix(source), port, tables.seed());
    let debt = whole.debt(tables.ceiling(port_meter), now);
    let first_debt = part.debt(tables.ceiling(first), now);
    let second_debt = part.debt(tables.ceiling(second), now);
    let is_within_part = part.admits(first_debt) || part.admits(second_debt);
    if whole.admits(debt) && (is_within_part || !whole.is_tight(debt)) {
        charge(tables, port_meter, debt, now, whole.interval);
        for (meter, debt) in [(first, first_debt), (second, second_debt)] {
            if !part.is_full(debt) {
                charge(tables, meter, debt, now, part.interval);
            }
        }
        return Headroom::Fits;
    }
    if flags & MONITOR != 0 {
        return Headroom::Monitored;
    }
    // What is noted here is about connections.
    if !opening.is_syn() {
        return Headroom::Above;
    }
    // A SYN that no listener is asked about says nothing of the others.
    let is_of_all = opening.is_answerable() || tables.port_marks(port) & IS_FORWARDED != 0;
    if is_of_all {
        let by_prefix = if whole.admits(debt) {
            ceiling::SPENT_BY_PREFIX
        } else {
            0
        };
        let mark = ceiling::spent_mark(jiffies, ceiling::fold(local)) | by_prefix;
        tables.set_ceiling(ceiling::spent(port), mark);
    }
    tables.add_to_ceiling(ceiling::refused(port), 1);
    Headroom::Above
}

/// Is an answer of DHCP one to what this host has sent to that server?
#[inline(always)]
fn is_awaited<T: Tables>(tables: &T, remote: Addr, local: Addr) -> bool {
    const SERVER: u16 = 67;
    const CLIENT: u16 = 68;
    let tuple = Tuple {
        remote,
        local,
        remote_port: SERVER,
        local_port: CLIENT,
        protocol: protocol::UDP,
    };
    let marks = tables.port_marks(CLIENT);
    matches!(
        flow::find(tables, &tuple, marks, Event::Arrives),
        Found::Living
    )
}

/// What is asked about the ceiling of a port ahead of everything else, in numbers that fit a call between BPF
/// functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentPlace {
    /// First word of the policy's slot.
    pub base: u32,
    /// Flags of the policy.
    pub flags: u32,
    /// The port.
    pub port: u16,
    /// The address of ours ([`ceiling::fold`]).
    pub local: u32,
}

/// Is a connection of this source above the ceiling of the port, whatever else would be asked about it, because
/// another one was in this very jiffy? Only the never list lets anybody in then, and whoever may be
/// on it takes the long way. It is counted as refused.
#[inline(always)]
pub fn is_spent<T: Tables>(tables: &T, place: SpentPlace, source: Addr) -> bool {
    let SpentPlace {
        base,
        flags,
        port,
        local,
    } = place;
    let mark = ceiling::spent_mark(tables.jiffies(), local);
    let difference = tables.spent_mark(port) ^ mark;
    if difference & !ceiling::SPENT_BY_PREFIX != 0 {
        return false;
    }
    let policy = &Slot::at(tables, base);
    if flags & HAS_NEVER != 0
        && (flags & FAMILY_CLASSES != 0 || classify::may_be_named(policy, source))
    {
        return false;
    }
    if difference != 0 && !tables.is_prefix_spent(base, prefix(source), port) {
        return false;
    }
    tables.add_to_ceiling(ceiling::refused(port), 1);
    true
}

/// Has a source prefix used its part of the ceiling of a port?
#[inline(always)]
pub fn is_prefix_spent<T: Tables>(tables: &T, base: u32, prefix: u64, port: u16) -> bool {
    let ceiling = Ceiling::from_word(Slot::at(tables, base).word(HEADER_CEILING));
    let part = ceiling.of_prefix();
    let now = tables.jiffies().wrapping_mul(tables.jiffy_us());
    let is_full = |meter| !part.admits(part.debt(tables.ceiling(meter), now));
    let [first, second] = ceiling::prefix_meters(prefix, port, tables.seed());
    !ceiling.is_none() && is_full(first) && is_full(second)
}

/// A meter that is behind the clock begins at the clock.
#[inline(always)]
fn charge<T: Tables>(tables: &T, meter: u32, debt: u64, now: u64, interval: u64) {
    if debt == 0 {
        tables.set_ceiling(meter, now.wrapping_add(interval));
    } else {
        // Other CPUs charge the same meter.
        tables.add_to_ceiling(meter, interval);
    }
}

/// Who opens it, and the address of ours that he asks for.
#[inline(always)]
fn addresses<R: PacketReader + ?Sized>(reader: &R, opening: Opening) -> Option<[Addr; 2]> {
    const ADDRESSES_V4: usize = 12;
    const ADDRESSES_V6: usize = 8;
    let at = opening.network_at();
    if opening.is_v4() {
        let ends: [[u8; 4]; 2] = reader.read(at + ADDRESSES_V4)?;
        Some(ends.map(|end| Addr::from_v4(u32::from_be_bytes(end))))
    } else {
        let ends: [[[u8; 8]; 2]; 2] = reader.read(at + ADDRESSES_V6)?;
        Some(ends.map(|[hi, lo]| Addr::from_v6(hi, lo)))
    }
}

/// The /24 or /48 that shares a meter.
#[inline(always)]
fn prefix(source: Addr) -> u64 {
    const V4: u64 = 1 << 47;
    if source.is_v4() {
        V4 | u64::from(source.v4() >> 8)
    } else {
        source.hi() >> 16
    }
}
