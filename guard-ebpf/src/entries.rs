//! A bucket of the table of meters.

use guard_common::{
    abi::meter::{BucketWords, WAYS},
    policy::MeterBucket,
};

use crate::{count::atomic_add, maps, reader::opaque};

/// Bucket of the table; none reads as empty.
#[inline(always)]
pub(crate) fn bucket(index: u32) -> BpfEntries {
    BpfEntries(maps::METERS.get_ptr_mut(index))
}

pub(crate) struct BpfEntries(Option<*mut BucketWords>);

impl BpfEntries {
    /// A word of the element; `None` when there is none.
    #[inline(always)]
    fn word(&self, way: usize) -> Option<*mut u64> {
        let bucket = self.0?;
        // SAFETY: the place is below the length of the live element.
        Some(unsafe { bucket.cast::<u64>().add(way & (WAYS - 1)) })
    }

    #[inline(always)]
    fn writable(&self, way: usize) -> Option<*mut u64> {
        if maps::explain() != 0 {
            return None;
        }
        self.word(way)
    }
}

impl MeterBucket for BpfEntries {
    #[inline(always)]
    fn load(&self, way: usize) -> u64 {
        match self.word(way) {
            // SAFETY: a live, aligned word; one load.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    #[inline(always)]
    fn store(&self, way: usize, value: u64) {
        if let Some(word) = self.writable(way) {
            // SAFETY: a live, aligned word; one store. Of two sources that are new at once in one
            // bucket, one is counted with its next packet.
            unsafe { word.write_volatile(value) };
        }
    }

    #[inline(always)]
    fn add(&self, way: usize, amount: u64) {
        if let Some(word) = self.writable(way) {
            atomic_add(word, amount);
        }
    }

    #[inline(always)]
    fn hide(value: u64) -> u64 {
        opaque(value)
    }
}
