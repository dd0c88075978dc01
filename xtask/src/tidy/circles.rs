//! Files that import each other in a circle: none of them can be read, tested or moved without the others.
//!
//! That a module names its own children is no import: it has to, and exports them again. A name that is imported from
//! where it is exported again belongs to the file that it comes from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Finding, Source,
    imports::{self, Import},
};

const WAY_OUT: &str = "move what both need into a file below them, or hand it over as an argument";
/// Traits whose methods are, unless the kernel puts a call around them, the functions that take the trait.
const CALLS_BACK: &[&str] = &["guard-common/src/policy/searches.rs"];
/// How often a name may be exported again.
const MAX_EXPORTS: usize = 8;

/// A file, and what it names.
struct Module<'s> {
    source: &'s Source,
    names: Vec<&'s str>,
    imports: Vec<Import<'s>>,
}

/// The modules of a crate by their paths.
type Modules<'s> = BTreeMap<Vec<&'s str>, Module<'s>>;
/// Whom each module imports, and in which line.
type Edges<'m> = BTreeMap<&'m [&'m str], BTreeMap<&'m [&'m str], usize>>;

/// One finding for each circle; there may be more behind it.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Modules<'_>> = BTreeMap::new();
    for source in sources {
        let Some((owner, names)) = imports::module(source) else {
            continue;
        };
        let is_let_off = CALLS_BACK.contains(&source.path.as_str());
        if is_let_off || imports::is_test(&source.path) {
            continue;
        }
        let imports = imports::of(imports::without_tests(&source.text));
        let module = Module {
            source,
            names: names.clone(),
            imports,
        };
        crates.entry(owner).or_default().insert(names, module);
    }
    crates.values().flat_map(circles).collect()
}

fn circles(modules: &Modules<'_>) -> Vec<Finding> {
    let edges: Edges<'_> = modules
        .values()
        .map(|module| (module.names.as_slice(), edges(modules, module)))
        .collect();
    let mut seen: BTreeSet<&[&str]> = BTreeSet::new();
    let mut findings = Vec::new();
    for (names, module) in modules {
        if seen.contains(names.as_slice()) {
            continue;
        }
        let Some(way) = way_back(&edges, names) else {
            continue;
        };
        seen.extend(&way);
        let shown: Vec<String> = way.iter().map(|names| names.join("::")).collect();
        findings.push(Finding {
            path: module.source.path.clone(),
            line: way
                .get(1)
                .and_then(|next| edges.get(names.as_slice())?.get(next))
                .copied(),
            what: format!("imports in a circle: {}", shown.join(" -> ")),
            way_out: WAY_OUT,
        });
    }
    findings
}

/// Whom a module imports, but for itself and its children.
fn edges<'m>(modules: &'m Modules<'m>, module: &'m Module<'m>) -> BTreeMap<&'m [&'m str], usize> {
    let mut found = BTreeMap::new();
    for import in &module.imports {
        let target = absolute(modules, module, &import.path)
            .and_then(|path| origin(modules, path))
            .filter(|target| !target.starts_with(&module.names));
        if let Some(target) = target {
            found.entry(target).or_insert(import.line);
        }
    }
    found
}

/// The path of an import from the root; `None` when it is of another crate.
fn absolute<'m>(
    modules: &Modules<'m>,
    module: &Module<'m>,
    path: &[&'m str],
) -> Option<Vec<&'m str>> {
    let is_rooted = matches!(path.first(), Some(&("crate" | "super" | "self")));
    let absolute = imports::absolute(&module.names, path)?;
    let is_child = || modules.contains_key(&absolute[..=module.names.len()]);
    (is_rooted || is_child()).then_some(absolute)
}

/// The module that the thing of this path stands in.
fn origin<'m>(modules: &'m Modules<'m>, mut path: Vec<&'m str>) -> Option<&'m [&'m str]> {
    for _ in 0..MAX_EXPORTS {
        let length = (0..=path.len())
            .rev()
            .find(|length| modules.contains_key(&path[..*length]))?;
        let owner = modules.get(&path[..length])?;
        let name = path.get(length);
        let export = owner
            .imports
            .iter()
            .find(|import| name.is_some() && import.exported == name.copied())
            .and_then(|import| absolute(modules, owner, &import.path));
        match export {
            Some(export) => path = [export.as_slice(), &path[length + 1..]].concat(),
            None => return Some(&owner.names),
        }
    }
    None
}

/// The shortest way from a module over others back to itself.
fn way_back<'m>(edges: &Edges<'m>, from: &[&'m str]) -> Option<Vec<&'m [&'m str]>> {
    let (from, _) = edges.get_key_value(from)?;
    let mut before: BTreeMap<&[&str], &[&str]> = BTreeMap::new();
    let mut next = VecDeque::from([*from]);
    while let Some(at) = next.pop_front() {
        for target in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            if target == from {
                let mut way = vec![*from, at];
                while way.last() != Some(from) {
                    let last = way.last().and_then(|last| before.get(last));
                    way.push(last?);
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(target) {
                before.insert(*target, at);
                next.push_back(*target);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::fixture::source;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| source(&format!("a/src/{path}"), text))
            .collect();
        let findings = check(&sources);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_circle_of_files_is_found_once_with_its_way() {
        let found = found(&[
            ("lib.rs", "mod x;\nmod y;\nmod z;"),
            ("x.rs", "\nuse super::y::Y;"),
            ("y.rs", "use crate::z::Z;"),
            ("z.rs", "fn f() { crate::x::f() }"),
        ]);
        assert_eq!(
            found,
            [format!(
                "a/src/x.rs:2: imports in a circle: x -> y -> z -> x\n  help: {WAY_OUT}"
            )]
        );
    }

    #[test]
    fn what_points_one_way_is_no_circle() {
        let files = [
            ("lib.rs", "mod x;\nmod y;\npub use x::X;"),
            (
                "x.rs",
                "use crate::y::Y;\n#[cfg(test)]\nmod tests {\n    use crate::z;\n}",
            ),
            (
                "y.rs",
                "//! See [`crate::x`].\n// use crate::x;\nuse std::fmt;",
            ),
            ("y/tests.rs", "use crate::x;"),
            ("z.rs", "use crate::{x, y};"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn a_module_names_its_children_and_they_may_use_what_stands_in_it() {
        let files = [
            ("lib.rs", "mod x;"),
            (
                "x.rs",
                "mod inner;\nuse inner::f;\npub struct X;\nfn g() { self::inner::f() }",
            ),
            ("x/inner.rs", "use super::X;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn a_name_that_is_exported_again_belongs_to_where_it_comes_from() {
        let through_the_parent = [
            (
                "x/mod.rs",
                "mod one;\nmod two;\npub use one::One;\npub use two::Two as Second;",
            ),
            ("x/one.rs", "use super::Second;"),
            ("x/two.rs", "use crate::x::One;"),
        ];
        let found_here = found(&through_the_parent);
        assert!(
            found_here.len() == 1 && found_here[0].contains("x::one -> x::two -> x::one"),
            "{found_here:?}"
        );
        let no_circle = [
            ("x/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            ("x/one.rs", ""),
            ("x/two.rs", "use super::One;"),
            ("y.rs", "use crate::x::One;"),
        ];
        assert_eq!(found(&no_circle), [""; 0]);
    }
}
