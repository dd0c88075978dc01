//! What a document shows to be typed.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Documents for operators, below the root of the workspace.
pub(crate) fn all() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/guide", "docs/reference"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("entry").file_name());
        let names = names.map(|name| format!("{folder}/{}", name.display()));
        found.extend(names.filter(|name| name.ends_with(".md")));
    }
    found
}

fn root() -> PathBuf {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.parent().expect("a workspace").to_path_buf()
}

/// The commands of root in the blocks of a document, and `guardctl` in the tables, in their order.
pub(crate) fn commands(path: &str) -> Vec<String> {
    let text =
        fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    typed(&text)
}

fn typed(text: &str) -> Vec<String> {
    let mut is_shown = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            is_shown = !is_shown && fence == "console";
        } else if is_shown {
            found.extend(line.strip_prefix("# ").map(str::to_owned));
        } else if line.starts_with('|') {
            // In a row of a table `\|` is a bar; every other piece between backquotes is code.
            let row = line.replace("\\|", "\u{1}");
            let code = row.split('`').skip(1).step_by(2);
            // `guardctl unban …` names a command and is none.
            let commands = code.filter(|code| code.starts_with("guardctl ") && !code.contains('…'));
            found.extend(commands.map(|code| code.replace('\u{1}', "|")));
        }
    }
    found
}

#[test]
fn commands_are_found_in_blocks_and_tables() {
    let text = "# Title\n\n```console\n# guardctl a   # why\nsaid\nclient$ curl x\n```\n\n```text\n# guardctl b\n```\n\
        | do | `ufw x`, `guardctl c` | `guardctl d \\| e` |\nas `guardctl f` does\n";
    assert_eq!(
        typed(text),
        ["guardctl a   # why", "guardctl c", "guardctl d | e"]
    );
}
