//! Bans: is this source banned at this moment? A filter answers for nearly everybody.

use super::{Tables, rules, slot::Slot};
use crate::abi::{
    addr::Addr,
    ban::{
        BanTag, Cell, ChunkPlace, FIRST_V6, FilterBit, LEVEL_ADDRESS, LEVEL_BLOCK, LEVEL_SUBNET_V6,
        LEVELS_WORD, STEP_V6, Top, WAYS, level_bit,
    },
    switch::SlotState,
};

/// Is this source banned, and not on the never list?
#[inline(always)]
pub(super) fn cuts<T: Tables>(tables: &T, state: SlotState, source: Addr) -> bool {
    may_be_banned(tables, source)
        && tables.is_banned(source)
        && !rules::is_never(&Slot::of(tables, state), state.flags(), source)
}

/// Does some ban touch the neighbourhood of this source?
#[inline(always)]
fn may_be_banned<T: Tables>(tables: &T, source: Addr) -> bool {
    if source.is_v4() {
        return has(tables, FilterBit::v4(source));
    }
    has(tables, FilterBit::long_v6(source)) || has(tables, FilterBit::short_v6(source))
}

#[inline(always)]
fn has<T: Tables>(tables: &T, bit: FilterBit) -> bool {
    tables.ban_filter(bit.word()) & bit.mask() != 0
}

/// Is a ban of this source in force?
#[inline(always)]
pub fn is_banned<T: Tables>(tables: &T, source: Addr) -> bool {
    let now = tables.eighths();
    if source.is_v4() {
        is_banned_v4(tables, source, now)
    } else {
        is_banned_v6(tables, source, now)
    }
}

#[inline(always)]
fn is_banned_v4<T: Tables>(tables: &T, source: Addr, now: u32) -> bool {
    let top = Top::from_word(tables.ban_top(Top::at(source)));
    if top.cell.expiry().is_live(now) {
        return true;
    }
    let mut has_blocks = false;
    if top.chunk != 0 {
        let place = ChunkPlace::of(top.chunk, source);
        let cell = place.get(tables.ban_chunk(place.word));
        if cell.expiry().is_live(now) {
            return true;
        }
        has_blocks = cell.has_longer();
    }
    find(tables, source, LEVEL_ADDRESS).expiry().is_live(now)
        || has_blocks && find(tables, source, LEVEL_BLOCK).expiry().is_live(now)
}

#[inline(always)]
fn is_banned_v6<T: Tables>(tables: &T, source: Addr, now: u32) -> bool {
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

#[inline(always)]
fn find<T: Tables>(tables: &T, source: Addr, level: u32) -> Cell {
    tables.find_ban(source.masked(level), level)
}

/// The cell of exactly this prefix in the set.
#[inline(always)]
pub fn find_ban<T: Tables>(tables: &T, prefix: Addr, level: u32) -> Cell {
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

/// A bucket of the set. Places are taken modulo [`WAYS`].
pub trait BanBucket {
    /// Tag in a place, 0 = empty.
    fn tag(&self, way: usize) -> u64;
    /// Cell in a place.
    fn cell(&self, way: usize) -> u64;
}
