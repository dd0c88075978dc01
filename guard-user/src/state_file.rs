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
pub(crate) enum FileKind {
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
pub(crate) fn found(path: &Path) -> FileKind {
    let Ok(metadata) = fs::metadata(path) else {
        return match path.symlink_metadata() {
            Ok(_) => FileKind::Other("a link to nothing"),
            Err(_) => FileKind::Nothing,
        };
    };
    let kind = metadata.file_type();
    if kind.is_file() {
        FileKind::File {
            bytes: metadata.len(),
        }
    } else if kind.is_dir() {
        FileKind::Other("a folder")
    } else if kind.is_fifo() {
        FileKind::Other("a pipe")
    } else {
        FileKind::Other("not a regular file")
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
        let why = format!("{}: not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a regular file.
///
/// # Errors
/// As [`read`], and `InvalidData` for what is no text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Removes a file, if there is one. A folder in its place is put aside: who knows what is in it.
///
/// # Errors
/// What the disk says.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => put_folder_aside(path).map_err(|_| error),
        Ok(()) => Ok(()),
    }
}

/// Renames a folder that stands where a file should be, so that somebody can look at it.
///
/// # Errors
/// When it is none, or cannot be renamed.
pub(crate) fn put_folder_aside(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut numbers = 1u32..;
    let aside = numbers.find_map(|number| {
        let aside = path.with_file_name(format!("{name}.folder-{number}"));
        aside.symlink_metadata().is_err().then_some(aside)
    });
    fs::rename(path, aside.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::ruleset::testing::Folder;

    #[test]
    fn a_folder_in_the_place_of_a_file_makes_way_and_is_kept() {
        let folder = Folder::new();
        let path = folder.path().join("applied.json");
        for number in 1..3 {
            fs::create_dir(&path).expect("a folder");
            fs::write(path.join("x"), "x").expect("a file in it");
            remove(&path).expect("put aside");
            assert_eq!(found(&path), FileKind::Nothing);
            let aside = folder.path().join(format!("applied.json.folder-{number}"));
            assert_eq!(fs::read_to_string(aside.join("x")).expect("kept"), "x");
        }
        remove(&path).expect("nothing to remove");
        fs::write(&path, "text").expect("a file");
        remove(&path).expect("removed");
        assert_eq!(found(&path), FileKind::Nothing);
        assert!(put_folder_aside(&path).is_err());
    }

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
            ("file", FileKind::File { bytes: 4 }, Some("text")),
            ("link", FileKind::File { bytes: 4 }, Some("text")),
            ("gone", FileKind::Nothing, None),
            ("dangling", FileKind::Other("a link to nothing"), None),
            ("pipe", FileKind::Other("a pipe"), None),
            ("to-pipe", FileKind::Other("a pipe"), None),
            ("folder", FileKind::Other("a folder"), None),
        ] {
            assert_eq!(found(&at(name)), expected, "{name}");
            let read = read(&at(name)).ok();
            assert_eq!(read.as_deref(), text.map(str::as_bytes), "{name}");
        }
    }
}
