//! Everything that the journal holds, read once.

use std::{
    io::{self, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{CHUNK_BYTES, Export, JournalEntry, Matches, entry, form};

/// Hands on every entry that one of these means, oldest first, and says how many there were that could
/// not be read.
///
/// # Errors
/// `journalctl` cannot be begun (there is none: `NotFound`), or fails, with what it says.
pub fn entries(
    program: &Path,
    matches: &[Matches],
    each: &mut dyn FnMut(&JournalEntry<'_>),
) -> io::Result<u64> {
    let mut export = Export::of(entry::names(matches));
    let mut child = Command::new(program)
        .args(form(export.names()))
        .args(Matches::arguments(matches))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // To the terminal: whoever asks sits there.
        .stderr(Stdio::inherit())
        .spawn()?;
    let (mut read_entries, mut unreadable) = (0_u64, 0);
    let mut line = Vec::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    if let Some(entries) = &mut child.stdout {
        loop {
            let read = match entries.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // The error is what is reported; the child must not outlive it.
                    let _ = super::stop(&mut child);
                    return Err(error);
                }
            };
            let pushed = export.push(&buffer[..read], |names, fields| {
                read_entries += 1;
                match JournalEntry::of(names, fields, &mut line) {
                    Some(entry) => each(&entry),
                    None => unreadable += 1,
                }
            });
            if pushed.is_err() {
                // As above.
                let _ = super::stop(&mut child);
                return Err(io::Error::other("what it writes is no journal"));
            }
        }
    }
    let status = child.wait()?;
    // It ends with 1 when it has nothing to show.
    if status.success() || (status.code() == Some(1) && read_entries == 0) {
        Ok(unreadable + export.take_unreadable())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
