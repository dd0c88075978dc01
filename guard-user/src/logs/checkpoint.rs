//! Where reading stopped, in a way that finds the place again after the file was renamed or copied,
//! and never in another file that has got its inode.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::text::digest::Digest;

/// Bytes at the beginning of a file that tell it from others.
const HEAD_BYTES: usize = 256;

/// Device and inode.
pub(super) type Id = (u64, u64);

pub(super) fn id(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

/// A fingerprint of the beginning of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileHead {
    /// Bytes that it is of, at most 256.
    length: usize,
    hash: u64,
}

impl FileHead {
    /// Of the first bytes of a file, up to this many.
    pub(super) fn of(file: &File, most: u64) -> io::Result<Self> {
        let mut bytes = [0; HEAD_BYTES];
        let wanted = usize::try_from(most).unwrap_or(usize::MAX).min(HEAD_BYTES);
        let mut length = 0;
        while length < wanted {
            match file.read_at(&mut bytes[length..wanted], length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut digest = Digest::new();
        digest.add(&bytes[..length]);
        let hash = digest.finish();
        Ok(Self { length, hash })
    }

    /// Is it of as many bytes as there can be?
    pub(super) fn is_full(self) -> bool {
        self.length == HEAD_BYTES
    }

    /// Does the file still begin like this?
    pub(super) fn is_of(self, file: &File) -> io::Result<bool> {
        Ok(Self::of(file, self.length as u64)? == self)
    }
}

/// Where reading stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The name under which the file was read.
    pub path: PathBuf,
    /// Number of its device.
    pub device: u64,
    /// Number of its inode.
    pub inode: u64,
    /// Where the first line begins that was not handed on, in bytes.
    pub offset: u64,
    /// What the file began with.
    #[serde(flatten)]
    pub(super) head: FileHead,
}

impl Checkpoint {
    pub(super) fn id(&self) -> Id {
        (self.device, self.inode)
    }

    /// Is it about this open file, under whatever name?
    pub(super) fn is_of(&self, file: &File, metadata: &Metadata) -> bool {
        self.id() == id(metadata) && self.goes_on_in(file, metadata)
    }

    /// Is it about this file, or one that this is a copy of?
    pub(super) fn is_of_copy(&self, path: &Path, file: &File, metadata: &Metadata) -> bool {
        self.head.length > 0 && is_rotated_name(&self.path, path) && self.goes_on_in(file, metadata)
    }

    fn goes_on_in(&self, file: &File, metadata: &Metadata) -> bool {
        metadata.len() >= self.offset && self.head.is_of(file).unwrap_or(false)
    }
}

/// Could `name` be what a rotation made of `path`: `x.log.1`, `x.log-20261121`? A name is one of its own.
pub(super) fn is_rotated_name(path: &Path, name: &Path) -> bool {
    let (Some(old), Some(new)) = (path.file_name(), name.file_name()) else {
        return false;
    };
    path.parent() == name.parent() && new.as_encoded_bytes().starts_with(old.as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn a_checkpoint_is_of_its_file_and_of_its_copies_and_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        fs::write(&path, "first line\nsecond\n").unwrap();
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let (device, inode) = id(&metadata);
        let head = FileHead::of(&file, u64::MAX).unwrap();
        let mark = Checkpoint {
            path: path.clone(),
            device,
            inode,
            offset: 11,
            head,
        };
        let json = serde_json::to_string(&mark).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&json).unwrap(), mark);

        assert!(mark.is_of(&file, &metadata) && !head.is_full());
        let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(b"third\n").unwrap();
        assert!(mark.is_of(&file, &file.metadata().unwrap()), "it grew");

        let copy = folder.path().join("x.log.1");
        fs::copy(&path, &copy).unwrap();
        let other = File::open(&copy).unwrap();
        assert!(mark.is_of_copy(&copy, &other, &other.metadata().unwrap()));
        assert!(!mark.is_of(&other, &other.metadata().unwrap()));

        fs::write(&path, "first lime\nsecond\n and more").unwrap();
        assert!(
            !mark.is_of(&file, &file.metadata().unwrap()),
            "other content"
        );
        fs::write(&path, "first").unwrap();
        assert!(!mark.is_of(&file, &file.metadata().unwrap()), "shorter");
        fs::write(&copy, "first lime\nsecond\n and more").unwrap();
        assert!(!mark.is_of_copy(&copy, &other, &other.metadata().unwrap()));
    }

    #[test]
    fn rotated_names_begin_with_the_old_one_in_the_same_folder() {
        let path = Path::new("/var/log/x.log");
        for (name, is_one) in [
            ("/var/log/x.log.1", true),
            ("/var/log/x.log-20261121", true),
            ("/var/log/x.log", true),
            ("/var/log/y.log.1", false),
            ("/tmp/x.log.1", false),
            ("/", false),
        ] {
            assert_eq!(is_rotated_name(path, Path::new(name)), is_one, "{name}");
        }
    }
}
