//! Members of the fleet of which nothing is taken, over restarts.

use std::{collections::BTreeMap, io};

use crate::{
    failure::{Failure, from_io},
    layout::Layout,
    state_file,
    text::staged,
};

/// Who, and why; a file that makes no sense is an error, for to forget it would be to believe again.
///
/// # Errors
/// When there is a file that cannot be read.
pub(in crate::controller) fn read(layout: &Layout) -> Result<BTreeMap<String, String>, Failure> {
    let path = layout.quarantined();
    let text = match state_file::read_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(from_io(path.display(), &error)),
    };
    serde_json::from_str(&text).map_err(|error| {
        from_io(
            path.display(),
            &io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        )
        .help("remove it, and quarantine again whom you do not believe")
    })
}

/// Replaces it.
///
/// # Errors
/// When the disk says so.
pub(in crate::controller) fn write(
    layout: &Layout,
    members: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let path = layout.quarantined();
    let text = serde_json::to_string(members)
        .map_err(|error| from_io(path.display(), &io::Error::other(error)))?;
    staged::write_state(&path, &text).map_err(|error| error.failure())
}
