//! What was taken out of databases by this process: a daemon reads the policy often, and a database seldom changes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Extract, Selector};
use crate::bans::feed::Fingerprint;

/// Extracts that are kept; beyond that the oldest goes.
const KEPT: usize = 64;

/// An extract and its text.
#[derive(Clone, Debug)]
pub(in crate::ruleset) struct Kept {
    pub(in crate::ruleset) extract: Extract,
    pub(in crate::ruleset) text: Arc<str>,
}

struct Entry {
    path: PathBuf,
    fingerprint: Fingerprint,
    selector: Selector,
    kept: Kept,
}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// What was taken out of this version of the file; `None` when it must be read.
pub(in crate::ruleset) fn find(
    path: &Path,
    fingerprint: Fingerprint,
    selector: &Selector,
) -> Option<Kept> {
    let entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |entry: &&Entry| {
        entry.path == path && entry.fingerprint == fingerprint && entry.selector == *selector
    };
    entries.iter().find(is_it).map(|entry| entry.kept.clone())
}

/// Keeps it. The fingerprint is of before the file was read.
pub(in crate::ruleset) fn keep(
    path: &Path,
    fingerprint: Fingerprint,
    selector: &Selector,
    kept: Kept,
) {
    let mut entries = ENTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    entries.retain(|entry| entry.path != path || entry.selector != *selector);
    if entries.len() >= KEPT {
        entries.remove(0);
    }
    entries.push(Entry {
        path: path.to_owned(),
        fingerprint,
        selector: selector.clone(),
        kept,
    });
}
