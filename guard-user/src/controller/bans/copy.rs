//! A second copy of the store of bans, so that a file that cannot be read any more costs the bans of the
//! last minutes at most, and those only with the next restart of the host.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use super::super::{Controller, Lock};
use super::session;
use crate::{
    bans::Store,
    failure::{Exit, Failure, from_io},
};
use nix::sys::statvfs::statvfs;

/// Between two copies of a store of [`STEP_BYTES`] or less; a larger one is copied as much more seldom.
const PAUSE: Duration = Duration::from_secs(60);
const STEP_BYTES: u64 = 16 << 20;

impl Controller {
    /// Copies the store of bans if it has been written since it was copied last, and looks at every page
    /// before: what is damaged becomes no copy. How long the next copy can wait, and what is to be said.
    ///
    /// # Errors
    /// When the store cannot be read, or the copy not be written: then the one from before stays.
    pub fn copy_bans(&self) -> Result<(Duration, Option<String>), Failure> {
        let (store, copy) = (self.layout.bans(), self.layout.bans_copy());
        let _lock = Lock::acquire(&self.layout)?;
        if !has_changed(&store, &copy) {
            return Ok((PAUSE, None));
        }
        let now = session::now()?;
        let opened = Store::open_with_care(&store, &copy, &now)?;
        let warning = match &opened.quarantine {
            Some(quarantine) => Some(self.note_quarantine(quarantine)?),
            None => None,
        };
        drop(opened);
        let bytes = fs::metadata(&store).map_or(0, |file| file.len());
        write_copy(&store, &copy, bytes)?;
        let pause = PAUSE * u32::try_from(bytes.div_ceil(STEP_BYTES).max(1)).unwrap_or(u32::MAX);
        Ok((pause, warning))
    }
}

/// The copy has the time at which the store was written, so a clock that is set back hides nothing.
fn has_changed(store: &Path, copy: &Path) -> bool {
    written(store).is_ok_and(|store| written(copy).ok() != Some(store))
}

fn written(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

fn write_copy(store: &Path, copy: &Path, bytes: u64) -> Result<(), Failure> {
    if let Some(folder) = copy.parent()
        && let Ok(disk) = statvfs(folder)
        && disk.blocks_available() * disk.fragment_size() < bytes * 2
    {
        // The bans themselves need the room more.
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{}: not enough disk space to copy the store of bans: unless twice its {bytes} bytes are \
                 free, nothing can replace it if it is damaged",
                copy.display()
            ),
        ));
    }
    let next = copy.with_extension("next");
    // Whatever somebody has put there is not written into.
    fs::remove_file(&next).ok();
    let written = fs::copy(store, &next)
        .and_then(|_| fs::set_permissions(&next, fs::Permissions::from_mode(0o600)))
        .and_then(|()| {
            let file = fs::File::open(&next)?;
            file.set_modified(written(store)?)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&next, copy));
    written.map_err(|error| {
        fs::remove_file(&next).ok();
        from_io(copy.display(), &error)
    })
}
