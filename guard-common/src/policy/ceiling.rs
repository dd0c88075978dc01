//! The ceiling: is one more connection to a port too much, or one more answer of DHCP? DHCP has one because of what
//! passes without a rule it alone can be sent from anywhere; what belongs to a flow of this host, as the
//! answer to the renewal of a lease does, is under none.

use super::{
    Found, Opening, Searches, Slot, classify,
    essential::{DHCP_CLIENT, DHCP_SERVER},
    flow, slot,
};
use crate::{
    abi::{
        addr::Addr,
        ceiling::{self, Ceiling},
        flow::{Event, IS_FORWARDED, Tuple},
        image::{FAMILY_CLASSES, HAS_NEVER, HEADER_CEILING, MONITOR},
        service::protocol,
    },
    packet::PacketReader,
};

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
    T: Searches,
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
fn is_awaited<T: Searches>(tables: &T, remote: Addr, local: Addr) -> bool {
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
pub fn is_spent<T: Searches>(tables: &T, place: SpentPlace, source: Addr) -> bool {
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
pub fn is_prefix_spent<T: Searches>(tables: &T, base: u32, prefix: u64, port: u16) -> bool {
    let ceiling = Ceiling::from_word(Slot::at(tables, base).word(HEADER_CEILING));
    let part = ceiling.of_prefix();
    let now = tables.jiffies().wrapping_mul(tables.jiffy_us());
    let is_full = |meter| !part.admits(part.debt(tables.ceiling(meter), now));
    let [first, second] = ceiling::prefix_meters(prefix, port, tables.seed());
    !ceiling.is_none() && is_full(first) && is_full(second)
}

/// A meter that is behind the clock begins at the clock.
#[inline(always)]
fn charge<T: Searches>(tables: &T, meter: u32, debt: u64, now: u64, interval: u64) {
    if debt == 0 {
        tables.set_ceiling(meter, now.wrapping_add(interval));
    } else {
        // Other CPUs charge the same meter.
        tables.add_to_ceiling(meter, interval);
    }
}

/// Who sent it, and the address of ours that it is for.
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
