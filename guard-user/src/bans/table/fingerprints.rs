//! The fingerprint filter of banned IPv4 addresses: what is written to the table is written here too where there is
//! room and the ban holds long enough. A bucket that lacks one says so, and the table is asked then, which
//! costs its packets time and nothing else.
//!
//! A word of a bucket is stored as a whole, and the last says what the rests are worth; the kernel reads it
//! first. Of a bucket that speaks for its rests, none is moved or taken away that holds, so a packet that
//! is between its words misses no ban. What cannot be had that way waits for [`refill`], which lets
//! packets in flight pass: a bucket whose time is over, or that sends everybody to the table.

use guard_common::abi::{
    ban::{
        BanMap, Expiry, FINGERPRINT_BUCKETS, FINGERPRINT_LAST, FINGERPRINT_WAYS, FINGERPRINT_WORDS,
        Fingerprint, FingerprintBucket, Until,
    },
    flow,
};

use super::{Memory, address_slots::entries};

/// Keys of the permutation.
type Keys = [u64; flow::KEYS];

/// Buckets that are made anew at a time: an eighth of the table's entries are held for it.
const STRETCH: u32 = FINGERPRINT_BUCKETS / 8;

/// An address stands in the table and is banned until then.
pub(super) fn put(memory: &mut impl Memory, keys: &Keys, address: u32, end: Expiry, now: u32) {
    if !memory.sizes().has_fingerprints() {
        return;
    }
    let (bucket, rest) = place(keys, address);
    let mut after = load(memory, bucket);
    let until = Until::before(end, now);
    if after.until == Until::NOTHING {
        if until == Until::NOTHING {
            after.has_others = true;
        } else if !after.has_others {
            after.rests = [rest; FINGERPRINT_WAYS];
            after.until = until;
        }
    } else if after.until.is_live(now) {
        let is_held = after.rests.contains(&rest);
        if !after.until.is_within(until) {
            // It would end the bucket. One that has it already cannot speak for all of its rests any more.
            after.has_others = true;
            if is_held {
                after.until = Until::NOTHING;
            }
        } else if !is_held {
            match repeated(&after) {
                Some(free) => after.rests[free] = rest,
                None => after.has_others = true,
            }
        }
    } else {
        after.has_others = true;
    }
    store(memory, bucket, after);
}

/// An address is banned no more, or will be in a moment: the table is written after this.
pub(super) fn remove(memory: &mut impl Memory, keys: &Keys, address: u32) {
    if !memory.sizes().has_fingerprints() {
        return;
    }
    let (bucket, rest) = place(keys, address);
    let mut after = load(memory, bucket);
    if after.until == Until::NOTHING || !after.rests.contains(&rest) {
        return;
    }
    // Another one's rest stands in its places then; a bucket that had nobody else says nothing.
    match after.rests.into_iter().find(|other| *other != rest) {
        Some(other) => {
            let places = after.rests.iter_mut().filter(|place| **place == rest);
            places.for_each(|place| *place = other);
        }
        None => after.until = Until::NOTHING,
    }
    store(memory, bucket, after);
}

/// Makes every bucket say the most of what the table has: bans that end last come first.
pub(super) fn refill(memory: &mut impl Memory, keys: &Keys, now: u32) {
    if !memory.sizes().has_fingerprints() {
        return;
    }
    for first in (0..FINGERPRINT_BUCKETS).step_by(STRETCH as usize) {
        let stretch = first..first + STRETCH;
        let mut held: Vec<(u32, u16, Expiry)> = entries(memory)
            .filter(|(_, end)| end.is_live(now))
            .map(|(address, end)| {
                let (bucket, rest) = place(keys, address);
                (bucket, rest, end)
            })
            .filter(|(bucket, ..)| stretch.contains(bucket))
            .collect();
        held.sort_unstable_by_key(|(bucket, rest, end)| {
            let left = end.remaining(now).unwrap_or(u32::MAX);
            (*bucket, u32::MAX - left, *rest)
        });
        let mut held = held.as_slice();
        let mut changes = Vec::new();
        for bucket in stretch {
            let count = held.iter().take_while(|(of, ..)| *of == bucket).count();
            let (own, others) = held.split_at(count);
            held = others;
            let before = load(memory, bucket);
            let after = best(before, own, now);
            if after != before {
                changes.push((bucket, after));
            }
        }
        if changes.is_empty() {
            continue;
        }
        for (bucket, _) in &changes {
            take_back(memory, *bucket);
        }
        // Whoever read what these buckets said is through when their rests change.
        memory.let_packets_pass();
        for (bucket, after) in changes {
            store(memory, bucket, after);
        }
    }
}

/// What a bucket should say of these, of which the last to end come first. What it has stays where it is.
fn best(before: FingerprintBucket, own: &[(u32, u16, Expiry)], now: u32) -> FingerprintBucket {
    let lasting = own
        .iter()
        .map(|(_, rest, end)| (*rest, Until::before(*end, now)))
        .take_while(|(_, until)| *until != Until::NOTHING)
        .take(FINGERPRINT_WAYS);
    let lasting: Vec<(u16, Until)> = lasting.collect();
    let Some((_, until)) = lasting.last() else {
        return FingerprintBucket {
            until: Until::NOTHING,
            has_others: !own.is_empty(),
            ..before
        };
    };
    let mut rests: [Option<u16>; FINGERPRINT_WAYS] = [None; FINGERPRINT_WAYS];
    for (at, rest) in before.rests.into_iter().enumerate() {
        if !rests.contains(&Some(rest)) && lasting.iter().any(|(wanted, _)| *wanted == rest) {
            rests[at] = Some(rest);
        }
    }
    for (rest, _) in &lasting {
        if !rests.contains(&Some(*rest))
            && let Some(free) = rests.iter_mut().find(|place| place.is_none())
        {
            *free = Some(*rest);
        }
    }
    let any = lasting[0].0;
    FingerprintBucket {
        rests: rests.map(|rest| rest.unwrap_or(any)),
        until: *until,
        has_others: lasting.len() < own.len(),
    }
}

/// A place whose rest stands in an earlier one too.
fn repeated(bucket: &FingerprintBucket) -> Option<usize> {
    let rests = &bucket.rests;
    (1..FINGERPRINT_WAYS).find(|at| rests.iter().take(*at).any(|rest| *rest == rests[*at]))
}

fn place(keys: &Keys, address: u32) -> (u32, u16) {
    let place = Fingerprint::of(address, |index| keys[index]);
    (place.bucket, place.rest as u16)
}

fn word(bucket: u32, at: usize) -> u32 {
    bucket * FINGERPRINT_WORDS as u32 + at as u32
}

fn load(memory: &impl Memory, bucket: u32) -> FingerprintBucket {
    let load = |at| memory.load(BanMap::Fingerprints, word(bucket, at));
    FingerprintBucket::from_words(core::array::from_fn(load))
}

/// From here on the table is asked.
fn take_back(memory: &mut impl Memory, bucket: u32) {
    let nothing = FingerprintBucket {
        until: Until::NOTHING,
        has_others: true,
        ..load(memory, bucket)
    };
    let last = nothing.to_words()[FINGERPRINT_LAST];
    memory.store(BanMap::Fingerprints, word(bucket, FINGERPRINT_LAST), last);
}

/// In order of its words. What is as it was is not written.
fn store(memory: &mut impl Memory, bucket: u32, after: FingerprintBucket) {
    for (at, value) in after.to_words().into_iter().enumerate() {
        if memory.load(BanMap::Fingerprints, word(bucket, at)) != value {
            memory.store(BanMap::Fingerprints, word(bucket, at), value);
        }
    }
}
