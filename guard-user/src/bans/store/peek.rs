//! A look at the store that changes nothing and waits for nobody: not under the lock of commands.

use std::path::Path;

use redb::{Builder, ReadableDatabase as _, ReadableTable as _};

use super::{BANS, record};
use crate::{
    database,
    state_file::{self, FileKind},
};

/// Most entries that are looked at.
const MOST_READ: usize = 100_000;

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
