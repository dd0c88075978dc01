//! A control group whose processes, and what the kernel makes for them, have so much memory and no more.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{unique_prefix, until::within};
use crate::require;

/// Where groups with a limit of memory are made, and the file that takes it: of both versions of control groups.
const HIERARCHIES: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
];

/// The group; it goes with the value.
#[derive(Debug)]
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// With so many bytes; `None` when this machine has no such groups.
    #[must_use]
    pub fn of(bytes: u64) -> Option<Self> {
        let made = HIERARCHIES
            .into_iter()
            .find_map(|(root, limit)| Self::make(Path::new(root), limit, bytes).ok());
        let is_there = require::need(made.is_some(), || {
            "needs a control group that limits memory".to_owned()
        });
        made.filter(|_| is_there)
    }

    fn make(root: &Path, limit: &str, bytes: u64) -> io::Result<Self> {
        // Groups of the second version have it once their parent hands it down.
        fs::write(root.join("cgroup.subtree_control"), "+memory").ok();
        let group = Self(root.join(unique_prefix()));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }

    /// A shell script that enters it and becomes the program that it is given.
    #[must_use]
    pub fn script(&self) -> String {
        format!("echo $$ >{}/cgroup.procs && exec \"$@\"", self.0.display())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A process that has ended is in it for a moment longer.
        within(Duration::from_secs(2), || fs::remove_dir(&self.0).ok());
    }
}
