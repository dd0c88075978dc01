//! The maps of a loaded object, for others that are to run on the same.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::Ebpf;

use crate::lab::{Folder, mount_bpffs, unmount_bpffs};

/// The maps of an object, pinned for others that are to have the same.
pub(super) struct SharedMaps {
    folder: Folder,
    names: Vec<String>,
}

impl SharedMaps {
    pub(super) fn of(object: &Ebpf) -> Result<Self> {
        let folder = Folder::new();
        mount_bpffs(folder.path());
        let mut maps = Self {
            folder,
            names: Vec::new(),
        };
        // Constants are each object's own; the file system of BPF takes no names with dots.
        for (name, map) in object.maps().filter(|(name, _)| !name.contains('.')) {
            map.pin(maps.folder.join(name))
                .with_context(|| format!("map {name}"))?;
            maps.names.push(name.to_owned());
        }
        Ok(maps)
    }

    /// Names, and where they are.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let path = |name: &String| self.folder.join(name);
        self.names
            .iter()
            .map(move |name| (name.as_str(), path(name)))
    }
}

impl Drop for SharedMaps {
    fn drop(&mut self) {
        unmount_bpffs(self.folder.path());
    }
}
