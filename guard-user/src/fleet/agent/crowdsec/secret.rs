//! Files that prove who we are: keys, passwords, certificates. They are read anew for each request, so that a changed
//! one counts at once; nothing but a small regular file that others cannot read is taken.

use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::failure::{Exit, Failure, from_io};

/// Longest key or password.
const MOST_SECRET: u64 = 512;
/// Longest file of certificates; a system's whole store is half of it.
const MOST_CERTIFICATES: u64 = 1 << 20;

/// The key or password that is all of a file.
///
/// # Errors
/// What is wrong with the file; never what is in it.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let bytes = small(path, MOST_SECRET, ReadableBy::Us)?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(path, "holds no key").help("one line of printable ASCII, without spaces"));
    }
    Ok(text.to_owned())
}

/// A key of a certificate, as PEM.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn private(path: &Path) -> Result<Vec<u8>, Failure> {
    small(path, MOST_CERTIFICATES, ReadableBy::Us)
}

/// Certificates, as PEM, which everybody may read.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn public(path: &Path) -> Result<Vec<u8>, Failure> {
    small(path, MOST_CERTIFICATES, ReadableBy::All)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadableBy {
    Us,
    All,
}

fn small(path: &Path, most: u64, by: ReadableBy) -> Result<Vec<u8>, Failure> {
    let io = |error: std::io::Error| {
        let mut failure = from_io(path.display(), &error);
        failure.help =
            Some("guard-fleet must be able to read it: chgrp guard-fleet, chmod 640".into());
        failure
    };
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(bad(path, "is not a regular file"));
    }
    if by == ReadableBy::Us && found.mode() & 0o007 != 0 {
        return Err(
            bad(path, "can be read by every user").help(format!("chmod o= {}", path.display()))
        );
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        return Err(bad(path, &format!("is longer than {most} bytes")));
    }
    Ok(bytes)
}

fn bad(path: &Path, what: &str) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        format!("{}: {what}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn written(bytes: &[u8], mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        fs::write(&path, bytes).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        folder
    }

    #[test]
    fn a_key_is_one_line_that_others_cannot_read() {
        for mode in [0o600, 0o640, 0o400] {
            let folder = written(b"0123abc\n", mode);
            assert_eq!(text(&folder.path().join("key")).expect("key"), "0123abc");
        }
        let cases: [(&[u8], u32, &str); 7] = [
            (b"abc", 0o644, "every user"),
            (b"", 0o600, "holds no key"),
            (b"\n \n", 0o600, "holds no key"),
            (b"a b", 0o600, "holds no key"),
            (b"a\r\nX-Y: z", 0o600, "holds no key"),
            (b"\xff\xfe", 0o600, "holds no key"),
            (&[b'a'; 600], 0o600, "longer than"),
        ];
        for (bytes, mode, why) in cases {
            let folder = written(bytes, mode);
            let error = text(&folder.path().join("key")).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_key_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("pipe");
        let error = text(&path).expect_err("a pipe").to_string();
        assert!(error.contains("not a regular file"), "{error}");
        let error = text(&folder.path().join("none"))
            .expect_err("nothing")
            .to_string();
        assert!(error.contains("none"), "{error}");
    }
}
