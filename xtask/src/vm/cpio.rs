//! Writes an initramfs: a newc cpio archive, as the kernel's `buffer-format` document has it.
//! Done here and not by cpio(1), because a device node then needs no root.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};

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
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (inode, (path, node)) in (1..).zip(&self.0) {
            let (mode, data, device): (u32, &[u8], _) = match node {
                Node::Folder => (0o040_755, &[], (0, 0)),
                Node::File { mode, bytes } => (0o100_000 | mode, bytes, (0, 0)),
                Node::Character { major, minor } => (0o020_600, &[], (*major, *minor)),
            };
            write_entry(out, inode, path, mode, device, data)?;
        }
        write_entry(out, 0, "TRAILER!!!", 0, (0, 0), &[])
    }
}

fn write_entry(
    out: &mut impl Write,
    inode: u32,
    path: &str,
    mode: u32,
    (major, minor): (u32, u32),
    data: &[u8],
) -> io::Result<()> {
    let size = u32::try_from(data.len()).map_err(io::Error::other)?;
    let name_size = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
    // inode, mode, uid, gid, links, mtime, size, device (2), device node (2), name size, checksum
    let fields = [
        inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0,
    ];
    let mut header = String::from("070701");
    for field in fields {
        header.push_str(&format!("{field:08x}"));
    }
    header.push_str(path);
    header.push('\0');
    out.write_all(header.as_bytes())?;
    pad(out, header.len())?;
    out.write_all(data)?;
    pad(out, data.len())
}

/// Every part begins on a multiple of four.
fn pad(out: &mut impl Write, length: usize) -> io::Result<()> {
    out.write_all(&[0; 3][..length.next_multiple_of(4) - length])
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
