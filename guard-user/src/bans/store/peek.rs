//! A look at the store that changes nothing and waits for nobody: not under the lock of commands.

use std::{collections::BinaryHeap, path::Path};

use redb::{Builder, ReadableDatabase as _, ReadableTable as _};

use super::{
    super::prefix::Prefix,
    BANS, META, ORIGINS,
    change::{read_counts, read_origins},
    record::{self, BanEnd, BanRow, Now},
};
use crate::{
    database,
    state_file::{self, FileKind},
};

/// Most entries that are looked at.
const MOST_READ: usize = 100_000;
/// Pages that a look holds.
const CACHE_BYTES: usize = 4 << 20;

/// The first `most` banned sources, in order, that begin with `start`. None when the store is not there, is being
/// changed, must be mended first, or is not for this user.
#[must_use]
pub fn peek(path: &Path, start: &str, most: usize) -> Vec<String> {
    // A pipe or a folder in its place is nobody's store.
    let FileKind::File { .. } = state_file::found(path) else {
        return Vec::new();
    };
    let read = || -> Result<Vec<String>, redb::Error> {
        let database = Builder::new().open_read_only(path)?;
        let bans = database.begin_read()?.open_table(BANS)?;
        let mut found = Vec::new();
        for entry in bans.iter()?.take(MOST_READ) {
            let (key, _) = entry?;
            let Some((prefix, _)) = record::parse_key(key.value()) else {
                continue;
            };
            let shown = prefix.to_string();
            if shown.starts_with(start) && found.last() != Some(&shown) {
                found.push(shown);
                if found.len() == most {
                    break;
                }
            }
        }
        Ok(found)
    };
    database::guarded(read).unwrap_or_default()
}

/// Which bans end first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// How many there are; some may be over and not yet swept.
    pub number: u64,
    /// Those that end first, the next one first; permanent ones last.
    pub soonest: Vec<BanRow>,
    /// Those of the sources that were asked about, as they were banned.
    pub of_sources: Vec<BanRow>,
    /// There were more than are looked at.
    pub is_partial: bool,
}

/// The `most` bans that end first, and those of these sources. None when the store is being changed, must be mended
/// first, or is not for this user.
#[must_use]
pub fn peek_ends(path: &Path, now: &Now, most: usize, sources: &[Prefix]) -> Option<Ends> {
    let FileKind::File { .. } = state_file::found(path) else {
        return None;
    };
    let read = || -> Result<Ends, redb::Error> {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .open_read_only(path)?;
        let transaction = database.begin_read()?;
        let origins = read_origins(&transaction.open_table(ORIGINS)?)?;
        let number = read_counts(&transaction.open_table(META)?)?.total();
        let bans = transaction.open_table(BANS)?;
        // The latest of the soonest on top, to give way.
        let mut soonest: BinaryHeap<(BanEnd, Vec<u8>)> = BinaryHeap::with_capacity(most + 1);
        let mut read = 0;
        for entry in bans.iter()?.take(MOST_READ) {
            let (key, value) = entry?;
            read += 1;
            let end = record::end(value.value());
            let is_later = soonest.len() == most && soonest.peek().is_none_or(|(at, _)| *at <= end);
            if most == 0 || is_later || end.is_over(now) {
                continue;
            }
            soonest.push((end, key.value().to_vec()));
            if soonest.len() > most {
                soonest.pop();
            }
        }
        let row = |key: &[u8]| -> Result<Option<BanRow>, redb::Error> {
            let value = bans.get(key)?;
            Ok(value.and_then(|value| record::read(key, value.value(), &origins)))
        };
        let mut found = Ends {
            number,
            soonest: Vec::new(),
            of_sources: Vec::new(),
            is_partial: read == MOST_READ,
        };
        for (_, key) in soonest.into_sorted_vec() {
            found.soonest.extend(row(&key)?);
        }
        for source in sources {
            let (first, last) = (record::key(*source, 0), record::key(*source, u32::MAX));
            for entry in bans.range(first.as_slice()..=last.as_slice())? {
                let (key, value) = entry?;
                let ban = record::read(key.value(), value.value(), &origins);
                found
                    .of_sources
                    .extend(ban.filter(|ban| !ban.end.is_over(now)));
            }
        }
        Ok(found)
    };
    database::guarded(read).ok()
}
