//! What a package ships beside the program: manual pages and completions, made from the same
//! definition that reads the command line.

use std::{fs, io::Write as _, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Args;
use crate::{
    controller::Page,
    failure::{Exit, Failure, from_io},
};

/// Writes guardctl.1 and one page per command.
pub(super) fn man(folder: &Path) -> Result<Exit, Failure> {
    let failed = |error| from_io(folder.display(), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), folder).map_err(failed)?;
    Ok(Exit::Ok)
}

/// The same, to be written by somebody else.
pub(super) fn pages() -> Result<Vec<Page>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| from_io("a temporary folder", &error))?;
    man(folder.path())?;
    let failed = |error| from_io(folder.path().display(), &error);
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder.path()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default();
        pages.push(Page {
            name: name.to_string_lossy().into_owned(),
            text: fs::read_to_string(&path).map_err(failed)?,
        });
    }
    pages.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(pages)
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "guardctl", &mut script);
    // A reader that went away is no failure.
    std::io::stdout().write_all(&script).unwrap_or_default();
    Exit::Ok
}
