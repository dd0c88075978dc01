//! The ceiling: is one more connection to a port too much, or one more answer of DHCP? DHCP has one because of what
//! passes without a rule it alone can be sent from anywhere; what belongs to a flow of this host, as the
//! answer to the renewal of a lease does, is under none.

use super::{
    Admission, AdmissionKind, Found, Scratch, Searches, Slot, classify,
    essential::{DHCP_CLIENT, DHCP_SERVER},
    flow, fragment, peer, rules, slot,
};
use crate::{
    abi::{
        addr::Addr,
        ceiling::{self, Ceiling},
        ceiling_map,
        flow::{Event, IS_FORWARDED, Tuple},
        image::{FAMILY_CLASSES, HAS_NEVER, HEADER_CEILING, MONITOR},
        peers::Peer,
        reason::Reason,
        service::protocol,
    },
    packet::{IPV4_LEN, IPV6_LEN, PacketReader},
};

/// What a ceiling says of one packet more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headroom {
    /// It fits, or there is no ceiling for it.
    Fits,
    /// It is one too many, for this reason.
    Above(Reason),
    /// It is one too many, but monitor mode lets it go.
    Monitored(Reason),
}

impl Headroom {
    const MONITORED: u32 = 1 << 8;

    /// In one number, 0 = it fits; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Fits => 0,
            Self::Above(reason) => reason as u32,
            Self::Monitored(reason) => reason as u32 | Self::MONITORED,
        }
    }

    /// Does it go on according to this number?
    #[inline(always)]
    #[must_use]
    pub const fn passes(number: u32) -> bool {
        number == 0 || number & Self::MONITORED != 0
    }
}

/// [`under_ceiling`], for the packet in the scratch: the rest of a datagram may follow a fragment that fits.
#[inline(always)]
pub fn is_under_ceiling<'s, R, T>(
    reader: &R,
    tables: &T,
    scratch: impl FnOnce() -> Option<&'s Scratch>,
    admission: Admission,
    port: u16,
) -> Headroom
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let headroom = under_ceiling(reader, tables, admission, port);
    if let AdmissionKind::Fragment = admission.kind()
        && !matches!(headroom, Headroom::Above(_))
        && let Some(scratch) = scratch()
    {
        fragment::remember(tables, &scratch.packet);
    }
    headroom
}

/// Is one more connection to this port, one more answer of DHCP or one more fragment too much? Charges it if
/// not. A source on the never list is under no ceiling.
#[inline(always)]
pub fn under_ceiling<R, T>(reader: &R, tables: &T, admission: Admission, port: u16) -> Headroom
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let state = slot::in_force(tables);
    let policy = &Slot::of(tables, state);
    let of_ports = Ceiling::from_word(policy.word(HEADER_CEILING));
    let kind = admission.kind();
    if of_ports.is_none() {
        return Headroom::Fits;
    }
    let Some([source, local]) = addresses(reader, admission) else {
        return Headroom::Fits;
    };
    let flags = state.flags();
    if flags & HAS_NEVER != 0 && policy.is_on_never_list(flags, source) {
        return Headroom::Fits;
    }
    let above = |reason| above(flags, reason);
    let mut charge = Charge {
        ceiling: of_ports,
        meter: ceiling::port_meter(port),
        port,
    };
    match kind {
        AdmissionKind::Dhcp => {
            if is_awaited(reader, tables, admission, source, local) {
                return Headroom::Fits;
            }
            if !may_be_for_us(policy, flags, local) {
                return above(Reason::DhcpUnasked);
            }
            charge.ceiling = Ceiling::DHCP;
        }
        AdmissionKind::Fragment => {
            charge = Charge {
                ceiling: Ceiling::OF_FRAGMENTS,
                meter: ceiling_map::FRAGMENTS,
                port: 0,
            };
        }
        AdmissionKind::Syn | AdmissionKind::None => {}
    }
    let room = charge.one(tables, source, SALT);
    if let Room::Some = room {
        return Headroom::Fits;
    }
    if let AdmissionKind::Fragment = kind {
        return above(Reason::FragmentCeiling);
    }
    if let AdmissionKind::Dhcp = kind {
        return above(Reason::Ceiling);
    }
    if tables.is_known(source) {
        let known = Charge {
            meter: ceiling::known_meter(port),
            ..charge
        };
        if known.whole(tables) {
            return Headroom::Fits;
        }
    }
    if flags & MONITOR != 0 {
        return Headroom::Monitored(Reason::Ceiling);
    }
    // A SYN that no listener is asked about says nothing of the others.
    let is_of_all = admission.is_answerable() || tables.port_marks(port) & IS_FORWARDED != 0;
    if is_of_all {
        let by_prefix = if let Room::Part = room {
            ceiling::EXCEEDED_BY_PREFIX
        } else {
            0
        };
        let mark = ceiling::exceeded_mark(tables.jiffies(), ceiling::fold(local)) | by_prefix;
        tables.set_ceiling(ceiling::exceeded(port), mark);
    }
    tables.add_to_ceiling(ceiling::refused(port), 1);
    Headroom::Above(Reason::Ceiling)
}

/// One too many.
#[inline(always)]
pub(super) const fn above(flags: u32, reason: Reason) -> Headroom {
    if flags & MONITOR != 0 {
        Headroom::Monitored(reason)
    } else {
        Headroom::Above(reason)
    }
}

/// Is there room for one more?
pub(super) enum Room {
    /// Yes.
    Some,
    /// Only for prefixes that have used less.
    Part,
    /// None at all.
    None,
}

/// What one more is charged to.
#[derive(Clone, Copy)]
pub(super) struct Charge {
    ceiling: Ceiling,
    /// Meter of all sources together.
    meter: u32,
    /// Beside the prefix, what the meters of a prefix are chosen by.
    port: u16,
}

/// The same beside it: another one for what has meters of its own.
const SALT: u64 = 0;
/// For segments that nothing vouches for.
pub(super) const OUT_OF_STATE_SALT: u64 = 0x6f75_7420_6f66_2073;
/// For datagrams and echo requests.
pub(super) const DATAGRAM_SALT: u64 = 0x6461_7461_6772_616d;
/// For datagrams of sources that this host answers.
pub(super) const ANSWERED_SALT: u64 = 0x616e_7377_6572_6564;
/// For what this host answers them.
pub(super) const CREDITED_SALT: u64 = 0x6372_6564_6974_6564;
/// For datagrams that are sent again.
pub(super) const REPEAT_SALT: u64 = 0x7265_7065_6174_6564;

impl Charge {
    /// Of echo requests.
    pub(super) const ECHOES: Self = Self::new(Ceiling::OF_ECHOES, ceiling_map::ECHOES, 0);

    #[inline(always)]
    pub(super) const fn new(ceiling: Ceiling, meter: u32, port: u16) -> Self {
        Self {
            ceiling,
            meter,
            port,
        }
    }

    /// For a segment that nothing vouches for.
    #[inline(always)]
    pub(super) fn out_of_state(ceiling: Ceiling, port: u16) -> Self {
        Self {
            ceiling,
            meter: ceiling::out_of_state_meter(port),
            port,
        }
    }

    /// Is there room for one more of this source? Charges nothing.
    #[inline(always)]
    pub(super) fn room<T: Searches>(self, tables: &T, source: Addr, salt: u64) -> Room {
        let now = now_us(tables);
        let (whole, part) = (self.ceiling.of_port(), self.ceiling.of_prefix());
        let debt = whole.debt(tables.ceiling(self.meter), now);
        if !whole.admits(debt) {
            return Room::None;
        }
        if !whole.is_tight(debt) {
            return Room::Some;
        }
        let meters = self.prefix_meters(tables, source, salt);
        let fits = |meter| part.admits(part.debt(tables.ceiling(meter), now));
        if fits(meters[0]) || fits(meters[1]) {
            Room::Some
        } else {
            Room::Part
        }
    }

    /// Is less than half of the burst of all sources together used up?
    #[inline(always)]
    pub(super) fn is_calm<T: Searches>(self, tables: &T) -> bool {
        let whole = self.ceiling.of_port();
        let debt = whole.debt(tables.ceiling(self.meter), now_us(tables));
        !whole.is_tight(debt)
    }

    #[inline(always)]
    fn prefix_meters<T: Searches>(self, tables: &T, source: Addr, salt: u64) -> [u32; 2] {
        ceiling::prefix_meters(prefix(source), self.port, tables.seed() ^ salt)
    }

    /// Charges the meter of all and those of the source's prefix, if there is room.
    #[inline(always)]
    pub(super) fn one<T: Searches>(self, tables: &T, source: Addr, salt: u64) -> Room {
        let now = now_us(tables);
        let (whole, part) = (self.ceiling.of_port(), self.ceiling.of_prefix());
        let [first, second] = self.prefix_meters(tables, source, salt);
        let debt = whole.debt(tables.ceiling(self.meter), now);
        let first_debt = part.debt(tables.ceiling(first), now);
        let second_debt = part.debt(tables.ceiling(second), now);
        let is_within_part = part.admits(first_debt) || part.admits(second_debt);
        if !whole.admits(debt) {
            return Room::None;
        }
        if !is_within_part && whole.is_tight(debt) {
            return Room::Part;
        }
        charge(tables, self.meter, debt, now, whole.interval);
        for (meter, debt) in [(first, first_debt), (second, second_debt)] {
            if !part.is_full(debt) {
                charge(tables, meter, debt, now, part.interval);
            }
        }
        Room::Some
    }

    /// Charges the meter of all alone, if there is room.
    #[inline(always)]
    fn whole<T: Searches>(self, tables: &T) -> bool {
        let (now, whole) = (now_us(tables), self.ceiling.of_port());
        let debt = whole.debt(tables.ceiling(self.meter), now);
        let fits = whole.admits(debt);
        if fits {
            charge(tables, self.meter, debt, now, whole.interval);
        }
        fits
    }
}

/// Is one more ICMP error too much? Charges it if not.
#[inline(always)]
pub(super) fn is_error_above<T: Searches>(tables: &T) -> bool {
    let policy = &Slot::of(tables, slot::in_force(tables));
    if Ceiling::from_word(policy.word(HEADER_CEILING)).is_none() {
        return false;
    }
    let errors = Charge {
        ceiling: Ceiling::OF_ERRORS,
        meter: ceiling_map::ERRORS,
        port: 0,
    };
    !errors.whole(tables)
}

#[inline(always)]
pub(super) fn now_us<T: Searches>(tables: &T) -> u64 {
    tables.jiffies().wrapping_mul(tables.jiffy_us())
}

/// Has somebody of the source's prefix completed a handshake with a service behind this host?
#[inline(always)]
pub fn is_known<T: Searches>(tables: &T, source: Addr) -> bool {
    peer::is_marked(tables, Peer::ShookHands(source))
}

/// Is an answer of DHCP one to what this host has asked, that is, of a transaction that it has begun or of the
/// server that it has sent to?
#[inline(always)]
fn is_awaited<R, T>(reader: &R, tables: &T, admission: Admission, remote: Addr, local: Addr) -> bool
where
    R: PacketReader + ?Sized,
    T: Searches,
{
    let at = admission.network_at();
    let transaction = if admission.is_v4() {
        peer::transaction(reader, at + IPV4_LEN, true)
    } else {
        peer::transaction(reader, at + IPV6_LEN, false)
    };
    if transaction.is_some_and(|transaction| peer::is_marked(tables, transaction)) {
        return true;
    }
    if !admission.is_v4() {
        return false;
    }
    let tuple = Tuple {
        remote,
        local,
        remote_port: DHCP_SERVER,
        local_port: DHCP_CLIENT,
        protocol: protocol::UDP,
    };
    let marks = tables.port_marks(DHCP_CLIENT);
    matches!(
        flow::find(tables, &tuple, marks, Event::Arrives),
        Found::Living
    )
}

/// May an answer to this address be for this host? Before it has one, answers go to all.
#[inline(always)]
fn may_be_for_us<T: Searches>(policy: &Slot<'_, T>, flags: u32, local: Addr) -> bool {
    local == Addr::from_v4(u32::MAX)
        || local.is_link_local_v6()
        || rules::is_own(policy, flags, local)
}

/// What is asked about the ceiling of a port ahead of everything else, in numbers that fit a call between BPF
/// functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CeilingQuery {
    /// First word of the policy's slot.
    pub base: u32,
    /// Flags of the policy.
    pub flags: u32,
    /// The port.
    pub port: u16,
    /// The address of ours ([`ceiling::fold`]).
    pub local: u32,
}

impl CeilingQuery {
    /// About a port of this address, of a policy with these flags.
    #[inline(always)]
    pub(super) fn of<T: Searches>(
        policy: &Slot<'_, T>,
        flags: u32,
        port: u16,
        local: Addr,
    ) -> Self {
        Self {
            base: policy.base(),
            flags,
            port,
            local: ceiling::fold(local),
        }
    }
}

/// Is a connection of this source above the ceiling of the port, whatever else would be asked about it, because
/// another one was in this very jiffy? Only the never list lets anybody in then, and whoever may be
/// on it takes the long way. It is counted as refused.
#[inline(always)]
pub fn is_ceiling_exceeded<T: Searches>(tables: &T, query: CeilingQuery, source: Addr) -> bool {
    let CeilingQuery {
        base,
        flags,
        port,
        local,
    } = query;
    let mark = ceiling::exceeded_mark(tables.jiffies(), local);
    let difference = tables.exceeded_mark(port) ^ mark;
    if difference & !ceiling::EXCEEDED_BY_PREFIX != 0 {
        return false;
    }
    let policy = &Slot::at(tables, base);
    if flags & HAS_NEVER != 0
        && (flags & FAMILY_CLASSES != 0 || classify::may_be_named(policy, source))
    {
        return false;
    }
    if difference != 0 && !tables.is_prefix_ceiling_exceeded(base, prefix(source), port) {
        return false;
    }
    if tables.is_known(source) {
        return false;
    }
    tables.add_to_ceiling(ceiling::refused(port), 1);
    true
}

/// Has a source prefix used its part of the ceiling of a port?
#[inline(always)]
pub fn is_prefix_ceiling_exceeded<T: Searches>(
    tables: &T,
    base: u32,
    prefix: u64,
    port: u16,
) -> bool {
    let ceiling = Ceiling::from_word(Slot::at(tables, base).word(HEADER_CEILING));
    let part = ceiling.of_prefix();
    let now = tables.jiffies().wrapping_mul(tables.jiffy_us());
    let is_full = |meter| !part.admits(part.debt(tables.ceiling(meter), now));
    let [first, second] = ceiling::prefix_meters(prefix, port, tables.seed());
    !ceiling.is_none() && is_full(first) && is_full(second)
}

/// A meter that is behind the clock begins at the clock.
#[inline(always)]
pub(super) fn charge<T: Searches>(tables: &T, meter: u32, debt: u64, now: u64, interval: u64) {
    if debt == 0 {
        tables.set_ceiling(meter, now.wrapping_add(interval));
    } else {
        // Other CPUs charge the same meter.
        tables.add_to_ceiling(meter, interval);
    }
}

/// Who sent it, and the address of ours that it is for.
#[inline(always)]
fn addresses<R: PacketReader + ?Sized>(reader: &R, admission: Admission) -> Option<[Addr; 2]> {
    const ADDRESSES_V4: usize = 12;
    const ADDRESSES_V6: usize = 8;
    let at = admission.network_at();
    if admission.is_v4() {
        let ends: [[u8; 4]; 2] = reader.read(at + ADDRESSES_V4)?;
        Some(ends.map(|end| Addr::from_v4(u32::from_be_bytes(end))))
    } else {
        let ends: [[[u8; 8]; 2]; 2] = reader.read(at + ADDRESSES_V6)?;
        Some(ends.map(|[hi, lo]| Addr::from_v6(hi, lo)))
    }
}

/// The /24 or /48 that shares a meter.
#[inline(always)]
pub(super) fn prefix(source: Addr) -> u64 {
    const V4: u64 = 1 << 47;
    if source.is_v4() {
        V4 | u64::from(source.v4() >> 8)
    } else {
        source.hi() >> 16
    }
}
