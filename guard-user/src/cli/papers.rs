//! What a package ships beside the program: manual pages and completions, made from the same
//! definition that reads the command line.

use std::{fs, io::Write as _, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Args;
use crate::failure::{Exit, Failure, from_io};

/// Writes guardctl.1 and one page per command.
pub(super) fn man(folder: &Path) -> Result<Exit, Failure> {
    let failed = |error| from_io(folder.display(), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), folder).map_err(failed)?;
    Ok(Exit::Ok)
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "guardctl", &mut script);
    // A reader that went away is no failure.
    std::io::stdout().write_all(&script).unwrap_or_default();
    Exit::Ok
}
