//! The hash table of IPv4 addresses: every entry stands in one of its two buckets of eight.
//!
//! The kernel looks into the first bucket from its first word to its last, and into the second if the
//! last one says that the bucket is crowded. An entry is moved only from its first bucket to its second,
//! behind that mark, and copied before its place is taken.

use guard_common::abi::{
    ban::{ADDRESS_WAYS, AddressEntry, BanMap, Expiry, first_bucket, second_bucket},
    flow,
};

use super::{
    Full, Memory,
    address_slots::{AddressSlot, load, places, store, ways},
    fingerprints,
};

/// Keys of the hash.
type Keys = [u64; flow::KEYS];

/// End of the ban of an address; [`Expiry::NONE`] where there is none.
pub(super) fn get(memory: &impl Memory, keys: &Keys, address: u32) -> Expiry {
    find(memory, keys, address).map_or(Expiry::NONE, |place| load(memory, place).end())
}

/// Writes the end of a ban, which is made if it is not there.
pub(super) fn put(
    memory: &mut impl Memory,
    keys: &Keys,
    address: u32,
    end: Expiry,
    now: u32,
) -> Result<(), Full> {
    let place = find(memory, keys, address).or_else(|| room(memory, keys, address, now));
    let place = place.ok_or(Full::Addresses)?;
    store(memory, place, AddressEntry::new(address, end));
    fingerprints::put(memory, keys, address, end, now);
    Ok(())
}

/// Removes an entry.
pub(super) fn remove(memory: &mut impl Memory, keys: &Keys, address: u32) {
    if let Some(place) = find(memory, keys, address) {
        fingerprints::remove(memory, keys, address);
        store(memory, place, AddressEntry::EMPTY);
    }
}

/// Gives every entry the end that `keep` says, or removes it.
pub(super) fn retain(
    memory: &mut impl Memory,
    keys: &Keys,
    now: u32,
    mut keep: impl FnMut(u32) -> Expiry,
) {
    for place in places(memory.sizes().addresses) {
        let entry = load(memory, place);
        if entry.end() == Expiry::NONE {
            continue;
        }
        let address = entry.address();
        let end = keep(address);
        if end == Expiry::NONE {
            fingerprints::remove(memory, keys, address);
            store(memory, place, AddressEntry::EMPTY);
        } else if end != entry.end() {
            store(memory, place, AddressEntry::new(address, end));
            fingerprints::put(memory, keys, address, end, now);
        }
    }
}

fn buckets(memory: &impl Memory, keys: &Keys, address: u32) -> [u32; 2] {
    let mask = memory.sizes().address_mask();
    [
        first_bucket(address, mask, |index| keys[index]),
        second_bucket(address, mask, |index| keys[index]),
    ]
}

fn find(memory: &impl Memory, keys: &Keys, address: u32) -> Option<AddressSlot> {
    let mut places = buckets(memory, keys, address).into_iter().flat_map(ways);
    places.find(|place| {
        let entry = load(memory, *place);
        entry.address() == address && entry.end() != Expiry::NONE
    })
}

/// A place for an address that has none: in its first bucket, or in its second, or where another moved
/// away.
fn room(memory: &mut impl Memory, keys: &Keys, address: u32, now: u32) -> Option<AddressSlot> {
    let [first, second] = buckets(memory, keys, address);
    if let Some(place) = free(memory, first, now) {
        return Some(place);
    }
    if let Some(place) = free(memory, second, now) {
        mark_crowded(memory, first);
        return Some(place);
    }
    for bucket in [first, second] {
        if let Some(place) = move_one_away(memory, keys, bucket, now) {
            if bucket == second {
                mark_crowded(memory, first);
            }
            return Some(place);
        }
    }
    None
}

fn free(memory: &impl Memory, bucket: u32, now: u32) -> Option<AddressSlot> {
    ways(bucket).find(|place| !load(memory, *place).end().is_live(now))
}

/// The place of an entry of this bucket that stands in its second bucket now.
fn move_one_away(
    memory: &mut impl Memory,
    keys: &Keys,
    bucket: u32,
    now: u32,
) -> Option<AddressSlot> {
    for place in ways(bucket) {
        let entry = load(memory, place);
        let [first, second] = buckets(memory, keys, entry.address());
        if first == bucket
            && second != bucket
            && let Some(target) = free(memory, second, now)
        {
            mark_crowded(memory, bucket);
            store(
                memory,
                target,
                AddressEntry::new(entry.address(), entry.end()),
            );
            return Some(place);
        }
    }
    None
}

/// Whoever does not find an address here looks into its second bucket from now on. The mark stays: the
/// price of one too many is one look.
fn mark_crowded(memory: &mut impl Memory, bucket: u32) {
    let place = AddressSlot {
        bucket,
        way: ADDRESS_WAYS - 1,
    };
    let entry = load(memory, place);
    if !entry.is_crowded() {
        memory.store(
            BanMap::Addresses,
            place.word(),
            entry.crowded(true).to_word(),
        );
    }
}
