//! The operator's editor: `$VISUAL`, `$EDITOR`, or what Debian calls `editor`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::failure::{Exit, Failure};

/// Programs that are there on most servers, the first that is found.
const USUAL: [&str; 4] = ["editor", "nano", "vim", "vi"];

/// Has the operator edit a file; comes back when he is done.
pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let editor = chosen(|name| env::var(name).ok(), is_there).ok_or_else(|| {
        Failure::new(Exit::Failed, "no editor is found")
            .help("name one: `EDITOR=nano guardctl edit`")
    })?;
    // As others do it: the value may have options, `code --wait`.
    let ended = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("guardctl")
        .arg(file)
        .status();
    let why = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) if status.code() == Some(127) => "cannot be found".to_owned(),
        Ok(status) => format!("failed ({status})"),
        Err(error) => format!("cannot be started: {error}"),
    };
    Err(Failure::new(
        Exit::Failed,
        format!("the editor \"{}\" {why}", editor.escape_debug()),
    )
    .help("VISUAL and EDITOR name the editor"))
}

fn chosen(
    variable: impl Fn(&str) -> Option<String>,
    is_there: impl Fn(&str) -> bool,
) -> Option<String> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(variable);
    let named = named
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty());
    named.or_else(|| {
        USUAL
            .into_iter()
            .find(|name| is_there(name))
            .map(str::to_owned)
    })
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path);
    folders.any(|folder: PathBuf| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_is_the_one_that_the_operator_names() {
        let with = |visual: Option<&str>, editor: Option<&str>, there: &[&str]| {
            let variable = |name: &str| match name {
                "VISUAL" => visual.map(str::to_owned),
                _ => editor.map(str::to_owned),
            };
            chosen(variable, |program| there.contains(&program))
        };
        assert_eq!(
            with(Some("code --wait"), Some("vi"), &[]).as_deref(),
            Some("code --wait")
        );
        assert_eq!(with(Some(" "), Some("ed"), &[]).as_deref(), Some("ed"));
        assert_eq!(with(None, None, &["vi", "nano"]).as_deref(), Some("nano"));
        assert_eq!(with(None, None, &[]), None);
    }
}
