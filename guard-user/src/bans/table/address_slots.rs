//! Where the entries of the hash table of IPv4 addresses stand, and how one is read and written.

use guard_common::abi::ban::{ADDRESS_WAYS, AddressEntry, BanMap, Expiry};

use super::Memory;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressSlot {
    pub(super) bucket: u32,
    pub(super) way: usize,
}

impl AddressSlot {
    pub(super) const fn word(self) -> u32 {
        self.bucket * ADDRESS_WAYS as u32 + self.way as u32
    }

    /// The one that has the mark of its bucket.
    pub(super) const fn is_last(self) -> bool {
        self.way == ADDRESS_WAYS - 1
    }
}

/// Every entry: address and end.
pub(super) fn entries(memory: &impl Memory) -> impl Iterator<Item = (u32, Expiry)> {
    places(memory.sizes().addresses)
        .map(|place| load(memory, place))
        .filter(|entry| entry.end() != Expiry::NONE)
        .map(|entry| (entry.address(), entry.end()))
}

pub(super) fn places(buckets: u32) -> impl Iterator<Item = AddressSlot> {
    (0..buckets).flat_map(ways)
}

pub(super) fn ways(bucket: u32) -> impl Iterator<Item = AddressSlot> {
    (0..ADDRESS_WAYS).map(move |way| AddressSlot { bucket, way })
}

pub(super) fn load(memory: &impl Memory, place: AddressSlot) -> AddressEntry {
    AddressEntry::from_word(memory.load(BanMap::Addresses, place.word()))
}

/// One store; the mark of the bucket stays.
pub(super) fn store(memory: &mut impl Memory, place: AddressSlot, entry: AddressEntry) {
    let is_crowded = place.is_last() && load(memory, place).is_crowded();
    let word = entry.crowded(is_crowded).to_word();
    memory.store(BanMap::Addresses, place.word(), word);
}
