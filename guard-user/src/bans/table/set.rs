//! The hash table: every entry stands in one of its two buckets of four.
//!
//! The kernel looks into the first bucket, then into the second. An entry is moved only from its first
//! to its second, and copied before it is cleared: whoever looks meanwhile meets it at least once.

use guard_common::abi::ban::{BUCKET_WORDS, BanMap, BanTag, Cell, WAYS};

use super::{Full, Memory};

/// Entries that may be moved for a new one.
const MOST_MOVES: usize = 4;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetSlot {
    bucket: u32,
    way: usize,
}

impl SetSlot {
    fn tag_word(self) -> u32 {
        self.bucket * BUCKET_WORDS as u32 + self.way as u32
    }

    fn cell_word(self) -> u32 {
        self.tag_word() + WAYS as u32
    }
}

/// Cell of an entry.
pub(super) fn get(memory: &impl Memory, tag: BanTag) -> Option<Cell> {
    find(memory, tag).map(|place| cell(memory, place))
}

/// Writes the cell of an entry, which is made if it is not there.
pub(super) fn put(memory: &mut impl Memory, tag: BanTag, new: Cell, now: u32) -> Result<(), Full> {
    if let Some(place) = find(memory, tag) {
        memory.store(BanMap::Set, place.cell_word(), u64::from(new.bits()));
        return Ok(());
    }
    let [first, second] = tag.buckets(memory.sizes().mask());
    let (in_first, in_second) = (free(memory, first, now), free(memory, second, now));
    let place = match (in_first.count, in_second.count) {
        (0, 0) => make_room(memory, first, now, MOST_MOVES)
            .or_else(|| make_room(memory, second, now, MOST_MOVES)),
        // The emptier one; of equals the first, from where an entry can still be moved.
        (here, there) if here >= there => in_first.place,
        _ => in_second.place,
    };
    match place {
        Some(place) => {
            write(memory, place, tag.bits(), new);
            Ok(())
        }
        None => Err(Full::Set),
    }
}

/// Removes an entry.
pub(super) fn remove(memory: &mut impl Memory, tag: BanTag) {
    if let Some(place) = find(memory, tag) {
        clear(memory, place);
    }
}

/// Every entry: tag and cell.
pub(super) fn entries(memory: &impl Memory) -> impl Iterator<Item = (u64, Cell)> {
    places(memory.sizes().mask()).filter_map(|place| {
        let tag = memory.load(BanMap::Set, place.tag_word());
        (tag != 0).then(|| (tag, cell(memory, place)))
    })
}

/// Gives every entry the cell that `keep` says, or removes it.
pub(super) fn retain(memory: &mut impl Memory, mut keep: impl FnMut(u64) -> Option<Cell>) {
    for place in places(memory.sizes().mask()) {
        let tag = memory.load(BanMap::Set, place.tag_word());
        if tag == 0 {
            continue;
        }
        match keep(tag) {
            Some(new) if new != cell(memory, place) => {
                memory.store(BanMap::Set, place.cell_word(), u64::from(new.bits()));
            }
            Some(_) => {}
            None => clear(memory, place),
        }
    }
}

fn places(mask: u32) -> impl Iterator<Item = SetSlot> {
    (0..=mask).flat_map(|bucket| (0..WAYS).map(move |way| SetSlot { bucket, way }))
}

fn find(memory: &impl Memory, tag: BanTag) -> Option<SetSlot> {
    tag.buckets(memory.sizes().mask())
        .into_iter()
        .find_map(|bucket| {
            (0..WAYS)
                .map(|way| SetSlot { bucket, way })
                .find(|place| memory.load(BanMap::Set, place.tag_word()) == tag.bits())
        })
}

fn cell(memory: &impl Memory, place: SetSlot) -> Cell {
    Cell::from_bits(memory.load(BanMap::Set, place.cell_word()) as u32)
}

/// What is over and marks nothing is as good as empty.
fn is_free(memory: &impl Memory, place: SetSlot, now: u32) -> bool {
    let cell = cell(memory, place);
    memory.load(BanMap::Set, place.tag_word()) == 0
        || !cell.has_longer() && !cell.expiry().is_live(now)
}

struct FreePlaces {
    count: usize,
    place: Option<SetSlot>,
}

fn free(memory: &impl Memory, bucket: u32, now: u32) -> FreePlaces {
    let mut found = FreePlaces {
        count: 0,
        place: None,
    };
    for way in 0..WAYS {
        let place = SetSlot { bucket, way };
        if is_free(memory, place, now) {
            found.count += 1;
            found.place = found.place.or(Some(place));
        }
    }
    found
}

/// A place in a full bucket that is free because what stood there stands in its second bucket now.
fn make_room(memory: &mut impl Memory, bucket: u32, now: u32, moves: usize) -> Option<SetSlot> {
    let movable = |memory: &dyn Fn(SetSlot) -> u64, mask: u32| -> Vec<(SetSlot, u64, u32)> {
        (0..WAYS)
            .map(|way| SetSlot { bucket, way })
            .filter_map(|place| {
                let tag = memory(place);
                let [first, second] = BanTag::from_bits(tag).buckets(mask);
                (first == bucket && second != bucket).then_some((place, tag, second))
            })
            .collect()
    };
    let mask = memory.sizes().mask();
    let candidates = movable(&|place| memory.load(BanMap::Set, place.tag_word()), mask);
    for (place, tag, second) in &candidates {
        if let Some(target) = free(memory, *second, now).place {
            return Some(shift(memory, *place, *tag, target));
        }
    }
    for (place, tag, second) in candidates {
        if moves > 1
            && let Some(target) = make_room(memory, second, now, moves - 1)
        {
            // Making room there may have moved things here: the entry is looked at again.
            if memory.load(BanMap::Set, place.tag_word()) == tag {
                return Some(shift(memory, place, tag, target));
            }
        }
    }
    None
}

/// Copies, then clears.
fn shift(memory: &mut impl Memory, from: SetSlot, tag: u64, to: SetSlot) -> SetSlot {
    let moved = cell(memory, from);
    write(memory, to, tag, moved);
    clear(memory, from);
    from
}

/// The tag comes last: it vouches for the cell.
fn write(memory: &mut impl Memory, place: SetSlot, tag: u64, cell: Cell) {
    memory.store(BanMap::Set, place.tag_word(), 0);
    memory.store(BanMap::Set, place.cell_word(), u64::from(cell.bits()));
    memory.store(BanMap::Set, place.tag_word(), tag);
}

fn clear(memory: &mut impl Memory, place: SetSlot) {
    memory.store(BanMap::Set, place.tag_word(), 0);
    memory.store(BanMap::Set, place.cell_word(), 0);
}
