//! What an operator lifted here although others still ban it: their word does not count until it is another.

use redb::{ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableError};

use super::{Store, change::Change, record, waiver_table::WAIVERS};
use crate::{bans::prefix::Prefix, database, failure::Failure};

/// In the place of the number of a ban while it is not known: the next that is heard of is it.
const UNKNOWN: u64 = 0;
/// In the place of an origin: what was lifted whoever banned it.
const OF_ALL: u32 = u32::MAX;
/// After so many seconds no record of then is handed over any more.
const KEPT_S: u64 = 8 * 24 * 3600;

impl Store {
    /// Is anybody's word waived? Without writing anything, for it is asked for each batch of what others ban.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has_waivers(&self) -> Result<bool, Failure> {
        let read = || -> Result<bool, redb::Error> {
            match self.database.begin_read()?.open_table(WAIVERS) {
                Ok(waivers) => Ok(!waivers.is_empty()?),
                Err(TableError::TableDoesNotExist(_)) => Ok(false),
                Err(error) => Err(error.into()),
            }
        };
        database::guarded(read).map_err(|error| self.failed(&error))
    }
}

impl Change<'_> {
    /// The word of this origin about this prefix does not count any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waive(&mut self, prefix: Prefix, origin: u32) -> Result<(), redb::Error> {
        let since = self.now().wall_s;
        let mut waivers = self.transaction().open_table(WAIVERS)?;
        waivers.retain(|_, (_, since_s)| since_s.saturating_add(KEPT_S) > since)?;
        let key = record::key(prefix, origin);
        waivers.insert(key.as_slice(), (UNKNOWN, since))?;
        Ok(())
    }

    /// Is this ban of that origin waived? Another number than the one that was is another ban, and counts. `known`: the
    /// number of the one before, if it is known.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn is_waived(
        &mut self,
        prefix: Prefix,
        origin: u32,
        known: Option<u64>,
        id: u64,
    ) -> Result<bool, redb::Error> {
        let mut waivers = self.transaction().open_table(WAIVERS)?;
        let key = record::key(prefix, origin);
        let found = waivers.get(key.as_slice())?.map(|found| found.value());
        let Some((waived, since)) = found else {
            return Ok(false);
        };
        let waived = match waived {
            UNKNOWN => known.unwrap_or(id),
            waived => waived,
        };
        if waived == id {
            waivers.insert(key.as_slice(), (waived, since))?;
            return Ok(true);
        }
        waivers.remove(key.as_slice())?;
        Ok(false)
    }

    /// Is this the first time that a lift of everything on this prefix is heard of?
    ///
    /// # Errors
    /// When the disk fails.
    pub fn is_new_lift(&mut self, prefix: Prefix, id: u64) -> Result<bool, redb::Error> {
        let since = self.now().wall_s;
        let mut waivers = self.transaction().open_table(WAIVERS)?;
        waivers.retain(|_, (_, since_s)| since_s.saturating_add(KEPT_S) > since)?;
        let key = record::key(prefix, OF_ALL);
        let before = waivers.insert(key.as_slice(), (id, since))?;
        Ok(before.is_none_or(|before| before.value().0 != id))
    }
}
