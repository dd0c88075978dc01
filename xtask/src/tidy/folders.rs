//! Which folder of guard-user may know which: each only those that stand before it in its list, so that there is no
//! circle.

use super::{Finding, Source, imports};

/// A folder, and the modules in it, from the ground up.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "guard-user/src",
        &[
            "failure",
            "layout",
            "state_file",
            "text",
            "http",
            "database",
            "control",
            "logs",
            "host",
            "fleet",
            "bans",
            "ruleset",
            "filters",
            "jails",
            "explain",
            "moving_in",
            "events",
            "dataplane",
            "controller",
            "detect",
            "metrics",
            "daemon",
            "output",
            "web",
            "live",
            "cli",
        ],
    ),
    (
        "guard-user/src/dataplane",
        &[
            "bpffs",
            "clock",
            "tables",
            "object",
            "pins",
            "interface",
            "crossing",
            "preflight",
            "spare",
            "run_time",
            "adopt",
            "removal",
            "takeover",
            "enlarge",
            "bans",
            "heal",
            "installation",
            "explain",
            "trial",
            "watch",
        ],
    ),
    (
        "guard-user/src/controller",
        &["state", "transaction", "query", "bans", "boot", "upkeep"],
    ),
];

/// What only some may ask, all others through them.
const ONLY_THROUGH: &[(&str, &[&str])] = &[
    ("dataplane", &["dataplane", "controller"]),
    // The words of the socket: of those who talk over it, no domain of their own.
    (
        "control",
        &["control", "fleet", "controller", "metrics", "daemon", "cli"],
    ),
];

const ROOT: &str = "guard-user/src/";
const WAY_OUT: &str =
    "see the layers in ARCHITECTURE.md; what both need belongs into the lower of them, or below";

/// Imports that point up.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    // Tests may build what they need of everything.
    if imports::is_test(&source.path) || !source.path.starts_with(ROOT) {
        return Vec::new();
    }
    let Some((_, own_path)) = imports::module(source) else {
        return Vec::new();
    };
    let named: Vec<(usize, Vec<&str>)> = imports::of(imports::without_tests(&source.text))
        .iter()
        .filter_map(|import| Some((import.line, imports::absolute(&own_path, &import.path)?)))
        .collect();
    let mut findings = past_the_layer(source, &own_path, &named);
    for (folder, order) in ORDERS {
        let Some(own) = source.path.strip_prefix(folder).and_then(module) else {
            continue;
        };
        let Some(height) = order.iter().position(|name| *name == own) else {
            continue;
        };
        let prefix: Vec<&str> = folder.strip_prefix(ROOT).into_iter().collect();
        for (line, path) in &named {
            let name = path
                .strip_prefix(prefix.as_slice())
                .and_then(|rest| rest.first());
            let other = name.and_then(|name| order.iter().position(|known| known == name));
            if other.is_some_and(|other| other > height) {
                findings.push(Finding {
                    path: source.path.clone(),
                    line: Some(*line),
                    what: format!(
                        "`{own}` is below `{}` and must not know it",
                        path[prefix.len()]
                    ),
                    way_out: WAY_OUT,
                });
            }
        }
    }
    findings
}

/// Imports that reach past those that others have to ask.
fn past_the_layer(
    source: &Source,
    own_path: &[&str],
    named: &[(usize, Vec<&str>)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (hidden, may) in ONLY_THROUGH {
        if own_path.first().is_none_or(|own| may.contains(own)) {
            continue;
        }
        let reaching = named
            .iter()
            .filter(|(_, path)| path.first() == Some(hidden));
        findings.extend(reaching.map(|(line, _)| Finding {
            path: source.path.clone(),
            line: Some(*line),
            what: format!("only {} may know `{hidden}`", may.join(" and ")),
            way_out: "ask one of those; what it lacks is a method of it, or a name that it exports",
        }));
    }
    findings
}

/// `/bans/store.rs` and `/bans.rs` are of `bans`.
fn module(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('/')?;
    let name = rest.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Option<usize>> {
        let findings = check(&source(path, text));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_folder_may_know_those_below_it_and_no_other() {
        let bans = "guard-user/src/bans/store.rs";
        assert!(found(bans, "use crate::text::value;").is_empty());
        assert!(found(bans, "use crate::bans::Prefix;").is_empty());
        assert_eq!(
            found(bans, "\nuse crate::{text, ruleset::model};"),
            [Some(2)]
        );
        assert_eq!(
            found("guard-user/src/failure.rs", "crate::cli::run()"),
            [Some(1)]
        );
        assert!(found(bans, "// crate::cli is above").is_empty());
        assert!(found("guard-user/src/main.rs", "crate::cli::run()").is_empty());
        assert!(found("guard-user/src/bans/tests.rs", "use crate::cli;").is_empty());
        let tested = "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}";
        assert!(found(bans, tested).is_empty());
    }

    #[test]
    fn nobody_reaches_past_those_that_have_to_be_asked() {
        let text = "use crate::{\n    controller::Spare,\n    dataplane::pins,\n};";
        for folder in ["cli", "daemon", "output", "detect"] {
            let path = format!("guard-user/src/{folder}/stats.rs");
            assert_eq!(found(&path, text), [Some(1)], "{folder}");
        }
        assert_eq!(
            found("guard-user/src/detect/mod.rs", "use crate::control::Level;"),
            [Some(1)]
        );
        let inside = "use crate::dataplane::pins;";
        assert!(found("guard-user/src/controller/query/fault.rs", inside).is_empty());
        assert!(found("guard-user/src/dataplane/heal.rs", inside).is_empty());
    }

    #[test]
    fn inside_the_controller_it_is_the_same() {
        let state = "guard-user/src/controller/state/lock.rs";
        assert_eq!(
            found(state, "use crate::controller::{boot::load, Lock};"),
            [Some(1)]
        );
        assert!(found(state, "use crate::{controller::Controller, host};").is_empty());
        let boot = "guard-user/src/controller/boot/load.rs";
        assert!(found(boot, "use crate::controller::state::lock;").is_empty());
    }
}
