//! Everything that a refused command must have left alone.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Instance, Namespace};

/// Paths and their contents, and what the kernel says of the interfaces.
pub type Dump = BTreeMap<String, String>;

impl Instance {
    /// Policy, state and pins of this instance, and the interfaces of a namespace. The lock file,
    /// which every command may make, is not part of it.
    ///
    /// # Panics
    /// When the folders cannot be read.
    #[must_use]
    pub fn dump(&self, namespace: &Namespace) -> Dump {
        let mut dump = Dump::new();
        for folder in [self.etc(), self.state(), self.bpffs()] {
            list(&folder, &mut dump);
        }
        let links = namespace.ip("-d link show");
        dump.insert("interfaces".to_owned(), links);
        dump
    }
}

fn list(folder: &Path, dump: &mut Dump) {
    let entries = fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        if path.is_dir() {
            dump.insert(name, "folder".to_owned());
            list(&path, dump);
        } else {
            // A pin cannot be read; that it is there is what counts.
            dump.insert(name, fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
