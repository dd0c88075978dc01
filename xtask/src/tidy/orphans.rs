//! Source files that no `mod` names: what a move left behind compiles nowhere, and nobody notices. The same for
//! tests that need a kernel, which are modules of a few programs.

use super::{Finding, Source};
use crate::test;

/// Where the programs of those tests are.
const TESTS: &str = "tests/tests/";

/// Files of `sources` below a `src` folder or among those tests that belong to no program.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let is_lost = |source: &&Source| {
        let Some((folder, file)) = source.path.rsplit_once('/') else {
            return false;
        };
        let name = file.strip_suffix(".rs").unwrap_or(file);
        let tests = source.path.strip_prefix(TESTS);
        let is_root = match tests {
            Some(path) => test::PROGRAMS
                .iter()
                .any(|program| path.strip_suffix(".rs") == Some(program.name)),
            None => ["lib", "main", "mod", "build"].contains(&name),
        };
        let is_program = source.text.contains("fn main(") || source.text.contains("#![no_main]");
        let counts = tests.is_some() || format!("{folder}/").contains("/src/");
        // A folder is named where it lies.
        let (folder, name) = match (name, folder.rsplit_once('/')) {
            ("mod", Some((above, folder))) => (above, folder),
            _ => (folder, name),
        };
        counts && !is_root && !is_program && !is_named(sources, folder, name)
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
            source("tests/tests/kernel.rs", "mod rules;\nmod flows;"),
            source("tests/tests/rules.rs", ""),
            source("tests/tests/flows/mod.rs", "mod scene;"),
            source("tests/tests/flows/scene.rs", ""),
            source("tests/tests/lost.rs", ""),
            source("tests/tests/bans/mod.rs", ""),
        ];
        let found: Vec<String> = check(&sources)
            .into_iter()
            .map(|found| found.path)
            .collect();
        let lost = [
            "a/src/left.rs",
            "a/src/folder/used.rs",
            "tests/tests/lost.rs",
            "tests/tests/bans/mod.rs",
        ];
        assert_eq!(found, lost);
    }
}
