//! A folder for what can only be read from files.

use std::{cell::OnceCell, path::Path};

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Runs something with the folder of this thread, which has what was written there before.
pub(crate) fn with(run: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            // In memory, if the machine has such a place.
            let memory = Path::new("/dev/shm");
            let made = match memory.is_dir() {
                true => tempfile::tempdir_in(memory),
                false => tempfile::tempdir(),
            };
            made.expect("a folder")
        });
        run(folder.path());
    });
}
