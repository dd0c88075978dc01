//! Reading files of the state folder, whatever has become of them: nothing else than a regular file is read, and
//! nobody is waited for.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

/// What stands where a file should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A file, or a link to one.
    File {
        /// Its length.
        bytes: u64,
    },
    /// Something that is no file.
    Other(&'static str),
}

/// Looks, and opens nothing. What cannot be looked at counts as not there.
pub(crate) fn found(path: &Path) -> Found {
    let Ok(metadata) = fs::metadata(path) else {
        return match path.symlink_metadata() {
            Ok(_) => Found::Other("a link to nothing"),
            Err(_) => Found::Nothing,
        };
    };
    let kind = metadata.file_type();
    if kind.is_file() {
        Found::File {
            bytes: metadata.len(),
        }
    } else if kind.is_dir() {
        Found::Other("a folder")
    } else if kind.is_fifo() {
        Found::Other("a pipe")
    } else {
        Found::Other("no regular file")
    }
}

/// The content of a regular file.
///
/// # Errors
/// `InvalidInput` for what is none, and whatever the disk says.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let why = format!("{}: no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn only_regular_files_are_read_and_nobody_is_waited_for() {
        let folder = Folder::new();
        let file = folder.write("file", "text");
        let at = |name: &str| folder.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        fs::create_dir(at("folder")).expect("a folder");
        for (link, to) in [
            ("link", file),
            ("dangling", at("gone")),
            ("to-pipe", at("pipe")),
        ] {
            symlink(to, at(link)).expect("a link");
        }
        for (name, expected, text) in [
            ("file", Found::File { bytes: 4 }, Some("text")),
            ("link", Found::File { bytes: 4 }, Some("text")),
            ("gone", Found::Nothing, None),
            ("dangling", Found::Other("a link to nothing"), None),
            ("pipe", Found::Other("a pipe"), None),
            ("to-pipe", Found::Other("a pipe"), None),
            ("folder", Found::Other("a folder"), None),
        ] {
            assert_eq!(found(&at(name)), expected, "{name}");
            let read = read(&at(name)).ok();
            assert_eq!(read.as_deref(), text.map(str::as_bytes), "{name}");
        }
    }
}
