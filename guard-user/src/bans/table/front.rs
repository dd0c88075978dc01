//! The front of the table of IPv4 addresses: what is written to the table is written here too where there is
//! room and the ban holds long enough. Whatever does not fit is in the table alone, which costs its
//! packets time and nothing else.
//!
//! A word of a bucket is stored as a whole, and until when a bucket is right stands in the last: what begins a
//! bucket writes that one last, what ends it, first.

use guard_common::abi::{
    ban::{BanMap, Expiry, FRONT_PLACES, FRONT_WORDS, FrontBucket, FrontPlace, Until},
    flow,
};

use super::Memory;

/// Keys of the permutation.
type Keys = [u64; flow::KEYS];

/// An address is banned until then, and stands in the table.
pub(super) fn put(memory: &mut impl Memory, keys: &Keys, address: u32, end: Expiry, now: u32) {
    if !memory.sizes().has_front() {
        return;
    }
    let (place, rest) = place(keys, address);
    let before = load(memory, place.bucket);
    let until = Until::before(end, now);
    if !before.until.is_live(now) {
        if until != Until::NOTHING {
            store(memory, place.bucket, FrontBucket::alone(rest, until));
        }
        return;
    }
    // One that ends sooner would end the bucket.
    if !before.until.is_within(until) {
        take_out(memory, place.bucket, before, rest);
    } else if !before.rests.contains(&rest)
        && let Some(free) = repeated(&before)
    {
        let mut after = before;
        after.rests[free] = rest;
        store(memory, place.bucket, after);
    }
}

/// An address is not banned any more.
pub(super) fn remove(memory: &mut impl Memory, keys: &Keys, address: u32) {
    if memory.sizes().has_front() {
        let (place, rest) = place(keys, address);
        let before = load(memory, place.bucket);
        take_out(memory, place.bucket, before, rest);
    }
}

/// Another one's rest stands in its places then; a bucket that had nobody else says nothing.
fn take_out(memory: &mut impl Memory, bucket: u32, before: FrontBucket, rest: u16) {
    if before.until == Until::NOTHING || !before.rests.contains(&rest) {
        return;
    }
    let mut after = before;
    match before.rests.into_iter().find(|other| *other != rest) {
        Some(other) => {
            let places = after.rests.iter_mut().filter(|place| **place == rest);
            places.for_each(|place| *place = other);
        }
        None => after.until = Until::NOTHING,
    }
    store(memory, bucket, after);
}

/// A place whose rest stands in an earlier one too.
fn repeated(bucket: &FrontBucket) -> Option<usize> {
    let rests = &bucket.rests;
    (1..FRONT_PLACES).find(|at| rests.iter().take(*at).any(|rest| *rest == rests[*at]))
}

fn place(keys: &Keys, address: u32) -> (FrontPlace, u16) {
    let place = FrontPlace::of(address, |index| keys[index]);
    (place, place.rest as u16)
}

fn word(bucket: u32, at: usize) -> u32 {
    bucket * FRONT_WORDS as u32 + at as u32
}

fn load(memory: &impl Memory, bucket: u32) -> FrontBucket {
    let load = |at| memory.load(BanMap::Front, word(bucket, at));
    FrontBucket::from_words(core::array::from_fn(load))
}

/// What is as it was is not written.
fn store(memory: &mut impl Memory, bucket: u32, after: FrontBucket) {
    const LAST: usize = FRONT_WORDS - 1;
    let order = if after.until == Until::NOTHING {
        [LAST, 0, 1, 2]
    } else {
        [0, 1, 2, LAST]
    };
    let words = after.to_words();
    for at in order {
        if memory.load(BanMap::Front, word(bucket, at)) != words[at] {
            memory.store(BanMap::Front, word(bucket, at), words[at]);
        }
    }
}
