//! What a package ships beside the program: manual pages and completions, made from the same
//! definition that reads the command line.

use std::{fs, io::Write as _, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{args::Args, complete};
use crate::{
    controller::SharedFile,
    failure::{Exit, Failure, from_io},
};

/// Writes guardctl.1 and one page per command.
pub(super) fn man(folder: &Path) -> Result<Exit, Failure> {
    let failed = |error| from_io(folder.display(), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), folder).map_err(failed)?;
    Ok(Exit::Ok)
}

/// The manual and the completions, to be written by somebody else.
pub(super) fn shared() -> Result<Vec<SharedFile>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| from_io("a temporary folder", &error))?;
    man(folder.path())?;
    let failed = |error| from_io(folder.path().display(), &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.path()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default();
        let text = fs::read_to_string(&path).map_err(failed)?;
        files.push(SharedFile::page(&name.to_string_lossy(), text));
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let shells = [
        (Shell::Bash, SharedFile::BASH),
        (Shell::Zsh, SharedFile::ZSH),
        (Shell::Fish, SharedFile::FISH),
    ];
    files.extend(shells.map(|(shell, path)| SharedFile {
        path: path.into(),
        text: String::from_utf8_lossy(&complete::script(shell)).into_owned(),
    }));
    files.push(SharedFile {
        path: SharedFile::POLICY_SCHEMA.into(),
        text: include_str!("../../../packaging/schema/guard.schema.json").to_owned(),
    });
    files.push(SharedFile {
        path: SharedFile::JAILS_SCHEMA.into(),
        text: include_str!("../../../packaging/schema/jails.schema.json").to_owned(),
    });
    Ok(files)
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Exit {
    // A reader that went away is no failure.
    std::io::stdout()
        .write_all(&complete::script(shell))
        .unwrap_or_default();
    Exit::Ok
}
