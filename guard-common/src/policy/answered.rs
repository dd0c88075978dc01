//! Sources that this host answers over UDP: a conversation is no licence to flood. What one sends is charged to it, what
//! this host sends back is credited, and who owes too much is a stranger again until he has paid. An upload is answered
//! often enough never to be near that; a flood in the name of a client is not. A service that answers everything would
//! bear out any flood, so no more answers count than the fastest client needs.

use super::{
    Searches,
    ceiling::{ANSWERED_SALT, CREDITED_SALT, now_us, prefix},
};
use crate::abi::{
    addr::Addr,
    ceiling::{self, ANSWERS_COUNT, Ceiling},
};

/// The two meters of a source at a port. An address of IPv4 has its own, so that neighbours take nothing from it.
#[inline(always)]
fn meters<T: Searches>(tables: &T, source: Addr, port: u16, salt: u64) -> [u32; 2] {
    const V4: u64 = 1 << 47;
    let source = if source.is_v4() {
        V4 | u64::from(source.v4())
    } else {
        prefix(source)
    };
    ceiling::prefix_meters(source, port, tables.seed() ^ salt)
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
    for meter in meters(tables, source, port, ANSWERED_SALT) {
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

/// Credits the peer with a datagram on its way to him out of this port. Who owes little is not credited: what he owes
/// ends by itself, and nothing is written for him.
#[inline(always)]
pub(super) fn credit<T: Searches>(tables: &T, ceiling: Ceiling, peer: Addr, port: u16) {
    let (pace, now) = (ceiling.of_answered(T::hide), now_us(tables));
    let [first, second] = meters(tables, peer, port, ANSWERED_SALT);
    let first_debt = pace.debt(tables.ceiling(first), now);
    let second_debt = pace.debt(tables.ceiling(second), now);
    if !pace.is_tight(first_debt)
        || !pace.is_tight(second_debt)
        || !counts(tables, ceiling, peer, port)
    {
        return;
    }
    for meter in [first, second] {
        // Less than is owed, or nothing would be.
        tables.add_to_ceiling(meter, (pace.interval * ANSWERS_COUNT).wrapping_neg());
    }
}

/// Does one more answer count? So many do in a second as bear out the fastest client.
#[inline(always)]
fn counts<T: Searches>(tables: &T, ceiling: Ceiling, peer: Addr, port: u16) -> bool {
    let (pace, now) = (ceiling.of_answers(T::hide), now_us(tables));
    let [first, second] = meters(tables, peer, port, CREDITED_SALT);
    let first_debt = pace.debt(tables.ceiling(first), now);
    let second_debt = pace.debt(tables.ceiling(second), now);
    if !pace.admits(first_debt) && !pace.admits(second_debt) {
        return false;
    }
    for (meter, debt) in [(first, first_debt), (second, second_debt)] {
        if !pace.is_full(debt) {
            super::ceiling::charge(tables, meter, debt, now, pace.interval);
        }
    }
    true
}
