//! Files of another firewall, read without trust: bounded, never waited for, and text.

use std::{path::Path, sync::Arc};

use crate::{
    failure::{Exit, Failure},
    text::{
        diagnostic::LineIndex,
        files::{Overlay, Purpose, Unreadable},
    },
};

/// A text, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its path, or what was asked.
    pub name: Arc<str>,
    /// What it says.
    pub text: String,
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// Exit 5 when it cannot be read, or is no text; exit 4 without the right to.
pub fn read(path: &Path) -> Result<Option<Text>, Failure> {
    let name = path.display().to_string();
    let bytes = match Overlay::default().read(path, Purpose::Import) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(Unreadable::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Failure::new(
                Exit::NotPermitted,
                format!("{name}: cannot be read: {error}"),
            )
            .help("run the command as root"));
        }
        Err(unreadable) => {
            return Err(
                Failure::new(Exit::BadConfiguration, format!("{name}: {unreadable}"))
                    .help("repair the file, or give the files of a copy with --root"),
            );
        }
    };
    text_of(&name, bytes).map(Some)
}

/// Bytes as a text.
///
/// # Errors
/// Exit 5 with the line at which it is none.
pub fn text_of(name: &str, bytes: Vec<u8>) -> Result<Text, Failure> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text {
            name: name.into(),
            text,
        }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let line = LineIndex::new(&before).position(valid).line;
            Err(Failure::new(
                Exit::BadConfiguration,
                format!("{name}:{line}: the file is not UTF-8 text"),
            )
            .help("repair the line; if the file was cut off or damaged, restore it"))
        }
    }
}

/// A file that must be there.
///
/// # Errors
/// As [`read`], and exit 5 when it is not.
pub fn required(path: &Path, of: &str) -> Result<Text, Failure> {
    read(path)?.ok_or_else(|| {
        Failure::new(
            Exit::BadConfiguration,
            format!("{}: is missing, and {of} needs it", path.display()),
        )
        .help(format!("restore it; {of} would not start without it"))
    })
}
