//! The files of an initramfs, a newc cpio archive. Not made by cpio(1), because a device node then needs no
//! root.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use cpio::newc::{Builder, ModeFileType, trailer};

enum Node {
    Folder,
    File { mode: u32, bytes: Vec<u8> },
    Character { major: u32, minor: u32 },
}

/// A file tree in memory. Paths are relative to the root of the guest.
#[derive(Default)]
pub(super) struct Tree(BTreeMap<String, Node>);

impl Tree {
    pub(super) fn folder(&mut self, path: &str) {
        self.put(path, Node::Folder);
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.put(path, Node::File { mode, bytes });
    }

    pub(super) fn character(&mut self, path: &str, major: u32, minor: u32) {
        self.put(path, Node::Character { major, minor });
    }

    /// Copies a file of this machine, following links.
    pub(super) fn copy(&mut self, from: &Path, to: &str) -> Result<()> {
        let context = || format!("cannot read {}", from.display());
        let mode = fs::metadata(from)
            .with_context(context)?
            .permissions()
            .mode()
            & 0o777;
        self.file(to, mode, fs::read(from).with_context(context)?);
        Ok(())
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        // The kernel does not make the folders above a file.
        for (at, _) in path.match_indices('/') {
            self.0.entry(path[..at].to_owned()).or_insert(Node::Folder);
        }
        self.0.insert(path.to_owned(), node);
    }

    /// Writes the archive. The map's order puts each folder before what is in it.
    pub(super) fn write(&self, mut out: impl Write) -> io::Result<()> {
        for (inode, (path, node)) in (1..).zip(&self.0) {
            let entry = Builder::new(path).ino(inode);
            let (entry, data): (_, &[u8]) = match node {
                Node::Folder => (
                    entry
                        .mode(0o755)
                        .set_mode_file_type(ModeFileType::Directory),
                    &[],
                ),
                Node::File { mode, bytes } => (
                    entry.mode(*mode).set_mode_file_type(ModeFileType::Regular),
                    bytes,
                ),
                Node::Character { major, minor } => (
                    entry
                        .mode(0o600)
                        .set_mode_file_type(ModeFileType::Char)
                        .rdev_major(*major)
                        .rdev_minor(*minor),
                    &[],
                ),
            };
            let size = u32::try_from(data.len()).map_err(io::Error::other)?;
            let mut writer = entry.write(out, size);
            writer.write_all(data)?;
            out = writer.finish()?;
        }
        trailer(out).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_everything_is_aligned() {
        let mut tree = Tree::default();
        tree.file("/a/b/file", 0o644, b"hello".to_vec());
        tree.character("/a/node", 5, 1);
        let mut bytes = Vec::new();
        tree.write(&mut bytes).expect("memory takes it");

        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let names = ["a\0", "a/b\0", "a/b/file\0", "a/node\0", "TRAILER!!!\0"];
        let positions: Vec<_> = names.iter().map(|name| text.find(name)).collect();
        assert!(positions.is_sorted() && positions.iter().all(Option::is_some));
        for (at, _) in text.match_indices("070701") {
            assert_eq!(at % 4, 0);
        }
    }
}
