//! Bans: is this source banned at this moment? A filter answers for nearly everybody.

use super::{Searches, rules, slot::Slot};
use crate::abi::{
    addr::Addr,
    ban::{
        ADDRESS_WAYS, AddressEntry, BanTag, Cell, ChunkPlace, Expiry, FINGERPRINT_LAST, FIRST_V6,
        FilterBits, Fingerprint, LEVEL_ADDRESS, LEVEL_BLOCK, LEVEL_SUBNET_V6, LEVELS_WORD, STEP_V6,
        Top, Until, WAYS, first_bucket, has_others, has_rest, level_bit, second_bucket,
    },
    image::HAS_NEVER,
    switch::SlotState,
};

/// Is this source banned, and not on the never list?
#[inline(always)]
pub(super) fn is_dropped<T: Searches>(tables: &T, state: SlotState, source: Addr) -> bool {
    may_be_banned(tables, source)
        && tables.is_banned(source)
        && !rules::is_never(&Slot::of(tables, state), state.flags(), source)
}

/// The same, without a call where an IPv4 source is banned by itself.
#[inline(always)]
pub(super) fn is_dropped_here<T: Searches>(tables: &T, state: SlotState, source: Addr) -> bool {
    if !source.is_v4() {
        return is_dropped(tables, state, source);
    }
    // Made anew for those who call: else the compiler keeps it from the beginning on.
    let addr = || Addr::from_v4(T::hide(u64::from(source.v4())) as u32);
    (is_listed(tables, source)
        || has(tables, FilterBits::v4_network(source)) && tables.is_in_banned_prefix(addr()))
        && !(state.flags() & HAS_NEVER != 0
            && Slot::of(tables, state).is_on_never_list(state.flags(), addr()))
}

/// Is exactly this IPv4 address banned? Nearly everybody is not, so the filter is asked first. While banned
/// sources come one after the other, the two filters would share what cache there is, and the first says
/// nothing that the fingerprints do not say: so behind a source that was banned, these are asked first.
#[inline(always)]
fn is_listed<T: Searches>(tables: &T, source: Addr) -> bool {
    let has_fingerprints = tables.has_ban_fingerprints();
    let are_fingerprints_first = has_fingerprints && tables.came_banned();
    if !are_fingerprints_first && !has(tables, FilterBits::v4_address(source)) {
        return false;
    }
    let is_banned = match ask_fingerprints(tables, source) {
        FingerprintAnswer::Banned => true,
        FingerprintAnswer::NotBanned => false,
        FingerprintAnswer::Open => {
            (!are_fingerprints_first || has(tables, FilterBits::v4_address(source)))
                && is_in_table(tables, source)
        }
    };
    if has_fingerprints && is_banned != are_fingerprints_first {
        tables.note_banned(is_banned);
    }
    is_banned
}

/// Does some ban touch the neighbourhood of this source?
#[inline(always)]
fn may_be_banned<T: Searches>(tables: &T, source: Addr) -> bool {
    if source.is_v4() {
        return has(tables, FilterBits::v4_address(source))
            || has(tables, FilterBits::v4_network(source));
    }
    let key = |index| tables.flow_key(index);
    has(tables, FilterBits::long_v6(source, key)) || has(tables, FilterBits::short_v6(source, key))
}

#[inline(always)]
fn has<T: Searches>(tables: &T, bits: FilterBits) -> bool {
    bits.are_in(tables.ban_filter(bits.word))
}

/// Is a ban of this source in force?
#[inline(always)]
pub fn is_banned<T: Searches>(tables: &T, source: Addr) -> bool {
    source.is_v4() && is_banned_address(tables, source) || tables.is_in_banned_prefix(source)
}

/// What the fingerprint filter says of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintAnswer {
    /// A ban of exactly this address is in force.
    Banned,
    /// There is none.
    NotBanned,
    /// The table knows.
    Open,
}

/// Asks the fingerprint filter about an IPv4 address. What it says is what the table would say.
#[inline(always)]
pub fn ask_fingerprints<T: Searches>(tables: &T, source: Addr) -> FingerprintAnswer {
    if !tables.has_ban_fingerprints() {
        return FingerprintAnswer::Open;
    }
    let place = Fingerprint::of(source.v4(), |index| tables.flow_key(index));
    let bucket = tables.ban_fingerprints(place.bucket);
    // First, since it is written last: rests that are read behind it are those that it speaks of, or newer.
    let last = bucket.word(FINGERPRINT_LAST);
    let words = core::array::from_fn(|at| {
        if at == FINGERPRINT_LAST {
            last
        } else {
            bucket.word(at)
        }
    });
    let is_held = has_rest(words, place.rest);
    if !is_held && has_others(last) {
        return FingerprintAnswer::Open;
    }
    let until = Until::of(last);
    let is_right = until == Until::NEVER_ENDS || until.is_live(tables.eighths());
    if is_held && is_right {
        FingerprintAnswer::Banned
    } else if !is_held && (is_right || until == Until::NOTHING) {
        FingerprintAnswer::NotBanned
    } else {
        FingerprintAnswer::Open
    }
}

/// Is a ban of exactly this IPv4 address in force?
#[inline(always)]
fn is_banned_address<T: Searches>(tables: &T, source: Addr) -> bool {
    match ask_fingerprints(tables, source) {
        FingerprintAnswer::Banned => true,
        FingerprintAnswer::NotBanned => false,
        FingerprintAnswer::Open => is_in_table(tables, source),
    }
}

/// Does the table of addresses have a ban of this one that is in force?
#[inline(always)]
fn is_in_table<T: Searches>(tables: &T, source: Addr) -> bool {
    let mask = tables.ban_address_mask();
    let address = source.v4();
    let bucket = first_bucket(address, mask, |index| tables.flow_key(index));
    let (end, is_crowded) = look_into(&tables.banned_addresses(bucket), address);
    if is_live(tables, end) {
        return true;
    }
    if !is_crowded {
        return false;
    }
    let bucket = second_bucket(address, mask, |index| tables.flow_key(index));
    let (end, _) = look_into(&tables.banned_addresses(bucket), address);
    is_live(tables, end)
}

/// Asks the clock where that matters.
#[inline(always)]
fn is_live<T: Searches>(tables: &T, end: Expiry) -> bool {
    end == Expiry::NEVER || end != Expiry::NONE && end.is_live(tables.eighths())
}

/// End of the ban of an address in a bucket, and whether it may stand elsewhere. The first place is where
/// it is as long as there are few bans. Behind that without jumps: which place it has is nothing that a
/// CPU could foresee.
#[inline(always)]
fn look_into<B: BanWords>(bucket: &B, address: u32) -> (Expiry, bool) {
    let mut last = bucket.word(0);
    if last as u32 == address {
        let entry = AddressEntry::from_word(last);
        if entry.end() != Expiry::NONE {
            return (entry.end(), false);
        }
    }
    let mut found = 0;
    for way in 1..ADDRESS_WAYS {
        last = bucket.word(way);
        let difference = (last ^ u64::from(address)) & 0xffff_ffff;
        // All ones where there is no difference.
        let is_same = (difference.wrapping_sub(1) as i64 >> 63) as u64;
        found |= last & B::hide(is_same);
    }
    let is_crowded = AddressEntry::from_word(last).is_crowded();
    (AddressEntry::from_word(found).end(), is_crowded)
}

/// Is a ban in force of a prefix that holds this source? An IPv4 address by itself is none here.
#[inline(always)]
pub fn is_in_banned_prefix<T: Searches>(tables: &T, source: Addr) -> bool {
    let now = tables.eighths();
    if source.is_v4() {
        is_in_banned_prefix_v4(tables, source, now)
    } else {
        is_in_banned_prefix_v6(tables, source, now)
    }
}

#[inline(always)]
fn is_in_banned_prefix_v4<T: Searches>(tables: &T, source: Addr, now: u32) -> bool {
    let top = Top::from_word(tables.ban_top(Top::at(source)));
    if top.cell.expiry().is_live(now) {
        return true;
    }
    if top.parts & Top::part(source) == 0 {
        return false;
    }
    let place = ChunkPlace::of(top.chunk, source);
    let cell = place.get(tables.ban_chunk(place.word));
    if cell.expiry().is_live(now) {
        return true;
    }
    cell.has_longer()
        && tables
            .find_ban(source.masked(LEVEL_BLOCK), LEVEL_BLOCK)
            .expiry()
            .is_live(now)
}

#[inline(always)]
fn is_in_banned_prefix_v6<T: Searches>(tables: &T, source: Addr, now: u32) -> bool {
    let levels = tables.ban_filter(LEVELS_WORD);
    let mut level = FIRST_V6;
    while level <= LEVEL_ADDRESS {
        if levels & level_bit(level) != 0 {
            let cell = tables.find_ban(source.masked(level), level);
            if cell.expiry().is_live(now) {
                return true;
            }
            if level == LEVEL_SUBNET_V6 && !cell.has_longer() {
                return false;
            }
        }
        level += STEP_V6;
    }
    false
}

/// The cell of exactly this prefix in the set.
#[inline(always)]
pub fn find_ban<T: Searches>(tables: &T, prefix: Addr, level: u32) -> Cell {
    let tag = BanTag::new(prefix, level, |index| tables.flow_key(index));
    for bucket in tag.buckets(tables.ban_mask()) {
        let bucket = tables.ban_bucket(bucket);
        for way in 0..WAYS {
            if bucket.tag(way) == tag.bits() {
                return Cell::from_bits(bucket.cell(way) as u32);
            }
        }
    }
    Cell::EMPTY
}

/// A bucket of banned IPv4 addresses, or of the fingerprint filter of them. Places are taken modulo its length.
pub trait BanWords {
    /// A word: [`AddressEntry`], or one of [`crate::abi::ban::FingerprintWords`].
    fn word(&self, way: usize) -> u64;

    /// The same value, of which the compiler knows nothing.
    #[inline(always)]
    fn hide(value: u64) -> u64 {
        value
    }
}

/// A bucket of the set. Places are taken modulo [`WAYS`].
pub trait BanBucket {
    /// Tag in a place, 0 = empty.
    fn tag(&self, way: usize) -> u64;
    /// Cell in a place.
    fn cell(&self, way: usize) -> u64;
}
