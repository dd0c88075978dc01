//! `edit`, as `visudo` does it: a copy is edited and checked, and takes the place of the file when it is right.

mod editor;

use std::{
    fs::{OpenOptions, Permissions},
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    change_report::report,
    context::Context,
    deadline::{self, Danger},
    options::{Deadline, Global},
};
use crate::{
    controller::EditableFile,
    failure::{Exit, Failure, from_io},
    text::files::{Overlay, Purpose},
};

pub(super) fn edit(
    context: &mut Context<'_>,
    file: Option<&Path>,
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let file = context.controller.editable(file)?;
    let draft = Draft::of(&file)?;
    loop {
        editor::run(&draft.path).map_err(|failure| failure.context("nothing was changed"))?;
        let text = draft.read()?;
        if text == file.text {
            let message = format!("{}: nothing was changed", file.name);
            context.output.show(
                |out| writeln!(out, "{message}"),
                || serde_json::json!({"changed": false, "message": message}),
            );
            return Ok(Exit::Ok);
        }
        let failure = match put(context, &file, &text, deadline) {
            Ok(exit) => return Ok(exit),
            Err(failure) => failure,
        };
        if !may_ask(context.global) {
            return Err(draft.kept_with(failure));
        }
        eprintln!("guardctl: {failure}");
        if !wants_again() {
            let exit = failure.exit;
            let kept = draft.keep();
            eprintln!(
                "nothing was changed; your text is kept in {}",
                kept.display()
            );
            return Ok(exit);
        }
    }
}

/// Shows what changes, and puts it in force.
fn put(
    context: &mut Context<'_>,
    file: &EditableFile,
    text: &str,
    deadline: Deadline,
) -> Result<Exit, Failure> {
    let change = context.controller.check_text(file, text)?;
    if !context.global.json && !context.global.quiet {
        write!(io::stdout(), "{change}").unwrap_or_default();
    }
    let consent = deadline::consent(context.global, deadline, Danger::MayShutOut);
    let changed = context.controller.put_text(file, text, consent)?;
    report(context, &changed, consent)
}

/// Is there a person who can be asked?
fn may_ask(global: &Global) -> bool {
    !global.json && !global.yes && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whoever does not answer has had enough.
fn wants_again() -> bool {
    loop {
        let mut error = io::stderr();
        let asked = write!(error, "(e)dit again or (q)uit? ").and_then(|()| error.flush());
        let mut answer = String::new();
        let read = io::stdin()
            .lock()
            .read_line(&mut answer)
            .unwrap_or_default();
        match answer.trim() {
            "e" | "E" | "edit" => return true,
            "q" | "Q" | "quit" => return false,
            _ if asked.is_err() || read == 0 => return false,
            _ => {}
        }
    }
}

/// The copy that is edited, in a folder of this user alone; gone with the value unless it is kept.
struct Draft {
    folder: TempDir,
    path: PathBuf,
}

impl Draft {
    fn of(file: &EditableFile) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("guard-edit-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| from_io("a temporary folder", &error))?;
        // Editors know the language by the name.
        let name = file.path.file_name().unwrap_or_default();
        let path = folder.path().join(name);
        let failed = |error: io::Error| from_io(path.display(), &error);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut copy| copy.write_all(file.text.as_bytes()))
            .map_err(failed)?;
        Ok(Self { folder, path })
    }

    /// What the editor has left.
    fn read(&self) -> Result<String, Failure> {
        let wrong = |what: String| {
            Failure::new(
                Exit::BadConfiguration,
                format!("{}: {what}", self.path.display()),
            )
            .help("nothing was changed")
        };
        match Overlay::default().read(&self.path, Purpose::Policy) {
            Ok(Some(bytes)) => {
                String::from_utf8(bytes).map_err(|_| wrong("the file is not UTF-8 text".to_owned()))
            }
            Ok(None) => Err(wrong("the editor has removed it".to_owned())),
            Err(unreadable) => Err(wrong(unreadable.to_string())),
        }
    }

    /// What somebody has typed is not thrown away.
    fn keep(self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default();
        self.folder.keep().join(name)
    }

    fn kept_with(self, failure: Failure) -> Failure {
        let kept = self.keep();
        let help = failure
            .help
            .clone()
            .map_or_else(String::new, |help| format!("{help}; "));
        failure.help(format!("{help}your text is kept in {}", kept.display()))
    }
}
