//! A journalctl of our own that writes entries as fast as they are read until it is told to stop.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use guard_tests::{lab::within, sshd_log};

/// Entries of a block.
const BLOCK: usize = 20_000;

pub(crate) struct Endless {
    folder: PathBuf,
}

impl Endless {
    /// Puts it there.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        fs::create_dir(folder).expect("a folder");
        fs::write(
            folder.join("block"),
            sshd_log::entries(0, sshd_log::messages(0, BLOCK)),
        )
        .expect("written");
        // A block is counted when all of it is in the pipe.
        let script = format!(
            "#!/bin/sh\ncd {}\ntest -e begun && exec sleep 1000\n: > begun\n\
             while ! test -e stop; do\n\
             cat block\necho >> blocks\n\
             if test -e attack; then cat attack; mv attack attacked; fi\n\
             done\n: > stopped\nexec sleep 1000\n",
            folder.display()
        );
        let program = folder.join("journalctl");
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where programs are looked for, this one first.
    pub(crate) fn search_path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.folder.display())
    }

    /// Five failures of this source, behind the block that is written now.
    pub(crate) fn attack(&self, source: &str) {
        let failure = format!("Failed password for root from {source} port 40000 ssh2");
        let text = sshd_log::entries(BLOCK, std::iter::repeat_n(failure, 5));
        let ready = self.folder.join("ready");
        fs::write(&ready, text).expect("written");
        fs::rename(ready, self.folder.join("attack")).expect("renamed");
    }

    /// No more blocks.
    pub(crate) fn stop(&self) {
        fs::write(self.folder.join("stop"), "").expect("written");
    }

    /// Entries that were written so far, in whole blocks.
    pub(crate) fn written(&self) -> u64 {
        let blocks = fs::metadata(self.folder.join("blocks")).map_or(0, |file| file.len());
        blocks * BLOCK as u64
    }

    /// What was written is read, once. `read` says how many entries were.
    pub(crate) fn assert_read(&self, read: impl Fn() -> u64) {
        let is_there = |name: &str| self.folder.join(name).exists();
        let stopped = within(Duration::from_secs(20), || {
            is_there("stopped").then_some(())
        });
        assert!(stopped.is_some(), "it does not stop");
        assert!(is_there("attacked") && !is_there("attack"));
        let written = self.written() + 5;
        let caught_up = within(Duration::from_secs(20), || {
            (read() >= written).then_some(())
        });
        assert!(caught_up.is_some(), "{} of {written} entries", read());
        assert_eq!(read(), written, "no entry is lost, and none is read twice");
    }
}
