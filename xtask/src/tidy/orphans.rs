//! Source files that no `mod` names: what a move left behind compiles nowhere, and nobody notices.

use super::{Finding, Source};

/// Files of `sources` below a `src` folder that belong to no program.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let is_lost = |source: &&Source| {
        let Some((folder, file)) = source.path.rsplit_once('/') else {
            return false;
        };
        let name = file.strip_suffix(".rs").unwrap_or(file);
        let is_root = ["lib", "main", "mod", "build"].contains(&name);
        let is_program = source.text.contains("fn main(") || source.text.contains("#![no_main]");
        let in_source = format!("{folder}/").contains("/src/");
        in_source && !is_root && !is_program && !is_named(sources, folder, name)
    };
    let lost = sources.iter().filter(is_lost);
    lost.map(|source| Finding {
        path: source.path.clone(),
        line: None,
        what: "no `mod` names this file, so nothing compiles it".to_owned(),
        way_out: "remove it, or name it where it belongs",
    })
    .collect()
}

/// Does a file of the folder, or the one that the folder is named after, have `mod NAME;`?
fn is_named(sources: &[Source], folder: &str, name: &str) -> bool {
    let declaration = format!("mod {name};");
    let owner = format!("{folder}.rs");
    let may_name = |source: &&Source| {
        source.path == owner
            || source
                .path
                .rsplit_once('/')
                .is_some_and(|(at, _)| at == folder)
    };
    sources.iter().filter(may_name).any(|source| {
        source
            .text
            .lines()
            .any(|line| line.trim_end().ends_with(&declaration))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    #[test]
    fn a_file_that_nobody_names_is_found() {
        let sources = [
            source("a/src/lib.rs", "mod used;\npub(crate) mod folder;"),
            source("a/src/used.rs", "mod inner;"),
            source("a/src/used/inner.rs", ""),
            source("a/src/folder/mod.rs", "mod deep;"),
            source("a/src/folder/deep.rs", ""),
            source("a/src/bin/tool.rs", "fn main() {}"),
            source("a/tests/whole.rs", ""),
            source("a/src/left.rs", ""),
            source("a/src/folder/used.rs", ""),
        ];
        let found: Vec<String> = check(&sources)
            .into_iter()
            .map(|found| found.path)
            .collect();
        assert_eq!(found, ["a/src/left.rs", "a/src/folder/used.rs"]);
    }
}
