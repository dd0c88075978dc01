//! One daemon per instance of guard: a lock that lasts as long as its process.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use crate::{
    failure::{Exit, Failure, from_io},
    layout::Layout,
};

/// Being the only one.
#[derive(Debug)]
pub(super) struct Single {
    _file: File,
}

impl Single {
    /// Takes the lock and writes our process number into it.
    ///
    /// # Errors
    /// Exit 1 naming the daemon that has it.
    pub(super) fn claim(layout: &Layout) -> Result<Self, Failure> {
        let path = layout.daemon_lock();
        let failed = |error: &std::io::Error| from_io(path.display(), error);
        fs::create_dir_all(&layout.run).map_err(|error| failed(&error))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&error))?;
        if file.try_lock().is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).unwrap_or_default();
            return Err(Failure::new(
                Exit::Failed,
                format!("another daemon is running: process {}", pid.trim()),
            )
            .help("`guardctl daemon --status` shows it, `guardctl daemon --stop` ends it"));
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| failed(&error))?;
        Ok(Self { _file: file })
    }
}
