//! Everything that the journal holds, read once.

use std::{
    io::{self, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{CHUNK_BYTES, Entry, MOST_JSON_BYTES, Matches, Splitter, form};

/// Hands on every entry that one of these means, oldest first, and says how many there were that could
/// not be read.
///
/// # Errors
/// `journalctl` cannot be begun (there is none: `NotFound`), or fails, with what it says.
pub fn entries(
    program: &Path,
    matches: &[Matches],
    each: &mut dyn FnMut(&Entry),
) -> io::Result<u64> {
    let mut child = Command::new(program)
        .args(form(matches))
        .args(Matches::arguments(matches))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // To the terminal: whoever asks sits there.
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut unreadable = 0;
    let mut splitter = Splitter::of(MOST_JSON_BYTES);
    let mut buffer = vec![0; CHUNK_BYTES];
    if let Some(entries) = &mut child.stdout {
        loop {
            let read = match entries.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // The error is what is told; the child must not outlive it.
                    let _ = super::stop(&mut child);
                    return Err(error);
                }
            };
            splitter.push(&buffer[..read], |json| match Entry::parse(json) {
                Some(entry) => each(&entry),
                None => unreadable += 1,
            });
        }
    }
    let status = child.wait()?;
    // It ends with 1 when it has nothing to show.
    if status.success() || (status.code() == Some(1) && splitter.take_counts().lines == 0) {
        Ok(unreadable)
    } else {
        Err(io::Error::other(status.to_string()))
    }
}
