//! Sources that this host answers over UDP: a conversation is no licence to flood. What one sends is charged to it, what
//! this host sends back is credited, and who owes too much is a stranger again until he has paid. Nobody who waits for
//! answers, however rarely they come, is ever near that; who forges an address that a service answers is.

use super::{
    Searches,
    ceiling::{ANSWERED_SALT, now_us, prefix},
};
use crate::abi::{
    addr::Addr,
    ceiling::{self, ANSWERS_COUNT, Ceiling, Pace},
};

/// The two meters of a source at a port. An address of IPv4 has its own, so that neighbours take nothing from it.
#[inline(always)]
fn meters<T: Searches>(tables: &T, source: Addr, port: u16) -> [u32; 2] {
    const V4: u64 = 1 << 47;
    let source = if source.is_v4() {
        V4 | u64::from(source.v4())
    } else {
        prefix(source)
    };
    ceiling::prefix_meters(source, port, tables.seed() ^ ANSWERED_SALT)
}

/// Is a datagram of a source that this host answers borne out by the answers? It is charged either way, up to twice
/// what may be owed: who goes on does not get what a clock tick pays for.
#[inline(always)]
pub(super) fn is_borne_out<T: Searches>(
    tables: &T,
    ceiling: Ceiling,
    source: Addr,
    port: u16,
) -> bool {
    let (pace, now) = (ceiling.of_answered(T::hide), now_us(tables));
    let mut least = u64::MAX;
    for meter in meters(tables, source, port) {
        let word = tables.ceiling(meter);
        let debt = pace.debt(word, now);
        least = least.min(debt);
        if debt < 2 * pace.tolerance {
            // Added, because other CPUs charge the same meter; a meter that is behind the clock is brought there.
            let behind = now.wrapping_add(debt).wrapping_sub(word);
            tables.add_to_ceiling(meter, behind.wrapping_add(pace.interval));
        }
    }
    !pace.is_full(least)
}

/// Credits the peer with a datagram on its way to him out of this port.
#[inline(always)]
pub(super) fn credit<T: Searches>(tables: &T, ceiling: Ceiling, peer: Addr, port: u16) {
    let (pace, now) = (ceiling.of_answered(T::hide), now_us(tables));
    for meter in meters(tables, peer, port) {
        let debt = pace.debt(tables.ceiling(meter), now);
        let credit = credit_of(pace, debt);
        if credit > 0 {
            tables.add_to_ceiling(meter, credit.wrapping_neg());
        }
    }
}

#[inline(always)]
const fn credit_of(pace: Pace, debt: u64) -> u64 {
    let most = pace.interval * ANSWERS_COUNT;
    if debt < most { debt } else { most }
}
