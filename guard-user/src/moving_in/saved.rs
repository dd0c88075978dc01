//! Where the rules of iptables and nftables come from: a file that somebody saved, the files that are loaded at boot, or
//! the kernel, through the programs that know it.

use std::{
    io::{self, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use super::files::{self, Text};
use crate::failure::{Exit, Failure};

/// Most bytes that are read.
const MOST: u64 = 16 << 20;

/// What stands for standard input in the place of a file.
pub const STDIN: &str = "-";

/// Where to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whence<'a> {
    /// Read the files that are loaded at boot, below this folder.
    pub root: Option<&'a Path>,
    /// Read this file.
    pub file: Option<&'a Path>,
    /// Read this file for IPv6, where each family has its own.
    pub file_v6: Option<&'a Path>,
}

/// A file that was named.
///
/// # Errors
/// When it is not there, or as [`files::read`].
pub(super) fn named(path: &Path) -> Result<Text, Failure> {
    if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes);
        read.map_err(|error| crate::failure::from_io("standard input", &error))?;
        if bytes.len() as u64 > MOST {
            return Err(Failure::new(
                Exit::BadConfiguration,
                "standard input: is larger than 16 MiB",
            )
            .help("give the rules alone, without anything else"));
        }
        return files::text_of("standard input", bytes);
    }
    files::read(path)?.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            format!("{}: there is no such file", path.display()),
        )
        .help("name the file that the rules were saved to")
    })
}

/// What a program says about the rules in the kernel; `None` when it is not installed.
///
/// # Errors
/// When it fails, with what it says.
pub(super) fn asked(program: &str, arguments: &[&str]) -> Result<Option<Text>, Failure> {
    let name = [&[program], arguments].concat().join(" ");
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(crate::failure::from_io(format!("`{name}`"), &error)),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("it says nothing").trim();
        return Err(
            Failure::new(Exit::NotPermitted, format!("`{name}` failed: {said}"))
                .help("run the command as root, or give a saved file with --from"),
        );
    }
    files::text_of(&format!("`{name}`"), output.stdout).map(Some)
}
