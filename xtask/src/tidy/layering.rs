//! Which crate may know which: everything not listed here is refused.

use super::{Finding, Source, crate_of};

/// The folder of a crate, and the crates of the workspace that it may depend on.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("guard-common", &[]),
    ("guard-ebpf", &["guard-common"]),
    // guard-ebpf as a build dependency: its object is compiled by the build script.
    ("guard-user", &["guard-common", "guard-ebpf"]),
    // Its integration tests name their own library.
    ("tests", &["guard-common", "guard-user", "guard-tests"]),
    ("fuzz", &["guard-common", "guard-user", "guard-fuzz"]),
    ("xtask", &[]),
];

const CRATES: &[&str] = &[
    "guard-common",
    "guard-ebpf",
    "guard-user",
    "guard-tests",
    "guard-fuzz",
    "xtask",
];

/// The one place that talks to the kernel through aya.
const AYA_HOME: &str = "guard-user/src/dataplane";
/// How the object gets into the binary; no kernel involved.
const AYA_INCLUDE: &str = "include_bytes_aligned!";

const DIRECTION: &str =
    "see the dependency directions in ARCHITECTURE.md; move the shared part into guard-common";

pub(super) fn check_manifest(manifest: &Source) -> Vec<Finding> {
    let owner = crate_of(&manifest.path);
    let mut in_dependencies = false;
    let mut findings = Vec::new();
    for (index, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        let mut named = None;
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_matches(['[', ']']);
            in_dependencies = section.ends_with("dependencies");
            named = section.rsplit_once("dependencies.").map(|(_, name)| name);
        } else if in_dependencies {
            named = line.split(['.', '=', ' ']).next();
        }
        if let Some(name) = named.filter(|name| is_refused(owner, name)) {
            findings.push(refusal(manifest, index, owner, name));
        }
    }
    findings
}

pub(super) fn check_source(source: &Source) -> Vec<Finding> {
    let owner = crate_of(&source.path);
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        if let Some(name) = imported_crate(line).filter(|name| is_refused(owner, name)) {
            findings.push(refusal(source, index, owner, &name));
        }
        // The rule itself and its fixtures have to name what they look for; tests and benchmark load
        // objects of their own.
        let at_home = source.path.starts_with(AYA_HOME) || ["xtask", "tests"].contains(&owner);
        if !at_home && mentions_aya(line) && !line.contains(AYA_INCLUDE) {
            findings.push(Finding {
                path: source.path.clone(),
                line: Some(index + 1),
                what: format!("only {AYA_HOME} may use aya"),
                way_out: "go through the Dataplane trait, so that it can be tested without root",
            });
        }
    }
    findings
}

fn is_refused(owner: &str, name: &str) -> bool {
    let Some((_, known)) = MAY_KNOW.iter().find(|(folder, _)| *folder == owner) else {
        return false;
    };
    // A crate names itself in its dev-dependencies to switch a feature on for its tests.
    CRATES.contains(&name) && name != owner && !known.contains(&name)
}

fn refusal(source: &Source, index: usize, owner: &str, name: &str) -> Finding {
    Finding {
        path: source.path.clone(),
        line: Some(index + 1),
        what: format!("{owner} must not depend on {name}"),
        way_out: DIRECTION,
    }
}

/// `guard-user` for `pub use guard_user::x;`.
fn imported_crate(line: &str) -> Option<String> {
    let path = line
        .strip_prefix("pub use ")
        .or_else(|| line.strip_prefix("use "))
        .or_else(|| line.strip_prefix("extern crate "))?;
    let name = path.split([':', ';', ' ']).next()?;
    Some(name.replace('_', "-"))
}

/// `aya::`, but neither `aya_ebpf::` nor the end of another name.
fn mentions_aya(line: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("aya::")
        .any(|(at, _)| !line[..at].ends_with(is_name))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    #[test]
    fn manifests_may_only_point_down() {
        let cases = [
            (
                "guard-common/Cargo.toml",
                "[dependencies]\nguard-user.workspace = true",
                1,
            ),
            (
                "guard-common/Cargo.toml",
                "[dev-dependencies]\nguard-common = { path = \".\" }",
                0,
            ),
            (
                "guard-ebpf/Cargo.toml",
                "[dependencies]\nguard-common = { path = \"x\" }",
                0,
            ),
            (
                "guard-ebpf/Cargo.toml",
                "[dependencies.guard-user]\npath = \"x\"",
                1,
            ),
            (
                "guard-user/Cargo.toml",
                "[build-dependencies]\nguard-ebpf.workspace = true",
                0,
            ),
            (
                "xtask/Cargo.toml",
                "[package]\nname = \"xtask\"\n[dependencies]\nguard-common = \"1\"",
                1,
            ),
            (
                "Cargo.toml",
                "[workspace.dependencies]\nguard-user = { path = \"guard-user\" }",
                0,
            ),
        ];
        for (path, text, expected) in cases {
            assert_eq!(
                check_manifest(&source(path, text)).len(),
                expected,
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn imports_may_only_point_down() {
        let found = check_source(&source("guard-common/src/lib.rs", "\nuse guard_user::x;\n"));

        assert_eq!(found[0].line, Some(2));
        assert_eq!(found[0].what, "guard-common must not depend on guard-user");
        assert!(check_source(&source("tests/src/lib.rs", "use guard_user::x;")).is_empty());
    }

    #[test]
    fn aya_stays_in_the_dataplane() {
        let cases = [
            ("guard-user/src/daemon/mod.rs", "use aya::Ebpf;", 1),
            ("guard-user/src/dataplane/load.rs", "use aya::Ebpf;", 0),
            (
                "guard-user/src/lib.rs",
                "    aya::include_bytes_aligned!(x)",
                0,
            ),
            ("guard-user/src/lib.rs", "// aya::Ebpf stays away", 0),
            ("guard-ebpf/src/main.rs", "use aya_ebpf::macros::xdp;", 0),
            ("guard-user/src/cli.rs", "malaya::x()", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(
                check_source(&source(path, text)).len(),
                expected,
                "{path}: {text}"
            );
        }
    }
}
