//! `cargo xtask setup`: finds or installs a compiler for the BPF target and its linker, and
//! writes down which for guard-user's build script.

mod debian;
mod linker;
mod nats;
mod probe;
mod recipe;
mod rustup;

use anyhow::{Result, bail};

use crate::{packages, sh, workspace};
use recipe::Recipe;

/// How the BPF object is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Route {
    /// The project's own toolchain with the rust-src component; builds `core` from source
    Rustup,
    /// Debian's rustc with its prebuilt `core` for the BPF target
    Debian,
}

impl Route {
    const ALL: [Self; 2] = [Self::Rustup, Self::Debian];

    fn label(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "Debian",
        }
    }

    /// By which a recipe was made.
    fn of(recipe: &Recipe) -> Self {
        if recipe.toolchain == debian::TOOLCHAIN {
            Self::Debian
        } else {
            Self::Rustup
        }
    }

    /// `None` when it has everything; else what is missing.
    fn lacks(self) -> Option<String> {
        match self {
            Self::Rustup => rustup::lacks(),
            Self::Debian => debian::lacks(),
        }
    }

    fn install(self) -> Result<()> {
        match self {
            Self::Rustup => rustup::install(),
            Self::Debian => debian::install(),
        }
    }

    fn recipe(self) -> Result<Recipe> {
        match self {
            Self::Rustup => rustup::recipe(),
            Self::Debian => debian::recipe(),
        }
    }
}

/// The command.
pub(crate) fn run(route: Option<Route>) -> Result<()> {
    if let Some(recipe) = usable(route) {
        println!(
            "BPF toolchain: ready ({}, bpf-linker {})",
            recipe.toolchain,
            linker::VERSION
        );
        return Ok(());
    }
    install(route)
}

/// The command with what the full test run needs.
pub(crate) fn with_tests(route: Option<Route>) -> Result<()> {
    packages::ensure(packages::TESTS, "the full test run")?;
    nats::ensure()?;
    run(route)
}

/// For the other commands: silent when there is nothing to do.
pub(crate) fn ensure() -> Result<()> {
    match usable(None) {
        Some(_) => Ok(()),
        None => install(None),
    }
}

/// The recorded toolchain, when all its parts are still there.
fn usable(route: Option<Route>) -> Option<Recipe> {
    let recipe = Recipe::read()?;
    let recorded = Route::of(&recipe);
    let wanted = route.is_none_or(|route| route == recorded);
    (wanted && recorded.lacks().is_none() && linker::is_installed()).then_some(recipe)
}

fn install(forced: Option<Route>) -> Result<()> {
    if sh::find("rustup").is_none() {
        bail!(
            "rustup is not on PATH, and the pinned toolchain comes from it\n  help: install rustup (on Debian 13: apt-get install rustup), open a new shell and run this again"
        );
    }
    println!(
        "setting up the BPF toolchain in {}: a compiler with `core` for the BPF target, and bpf-linker",
        workspace::tools().display()
    );
    linker::ensure()?;

    let mut candidates = forced.map_or_else(|| Route::ALL.to_vec(), |route| vec![route]);
    // What works without installing anything comes first.
    candidates.sort_by_key(|route| route.lacks().is_some());
    let mut failures = Vec::new();
    for route in candidates {
        match attempt(route) {
            Ok(recipe) => {
                recipe.write()?;
                println!(
                    "BPF toolchain: ready ({}, {} route)",
                    recipe.toolchain,
                    route.label()
                );
                return Ok(());
            }
            Err(error) => {
                let details = format!("{error:#}");
                println!("{details}");
                let gist = gist(&details);
                println!("the {} route does not work here: {gist}", route.label());
                failures.push(format!("  {}: {gist}", route.label()));
            }
        }
    }
    bail!(
        "no working compiler for the BPF target (details above)\n{}\n  help: one of these is enough, then run `cargo xtask setup` again:\n    rustup component add rust-src --toolchain {}\n    sudo apt-get install -y --no-install-recommends {}\n  help: if bpf-linker is at fault, remove {} and it is built again",
        failures.join("\n"),
        rustup::TOOLCHAIN,
        debian::PACKAGES[0].join(" "),
        workspace::tools().display()
    )
}

/// The one line of a failure that says most: a program's own error, or else what came first.
fn gist(failure: &str) -> &str {
    let own = failure.lines().find(|line| line.starts_with("error"));
    own.or_else(|| failure.lines().next()).unwrap_or_default()
}

/// Installs what is missing and proves the route with a real program before it is recorded.
fn attempt(route: Route) -> Result<Recipe> {
    if let Some(lack) = route.lacks() {
        println!("{} route: {lack}; installing it", route.label());
        route.install()?;
        if let Some(lack) = route.lacks() {
            bail!("{lack}, although its installation reported success");
        }
    }
    let recipe = route.recipe()?;
    println!(
        "{} route: proving it with a small XDP program",
        route.label()
    );
    probe::compile(&recipe)?;
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_is_the_compilers_error_if_there_is_one() {
        let failure = "`cargo build` failed; its last lines:\n   Compiling probe\nerror: no core\n";

        assert_eq!(gist(failure), "error: no core");
        assert_eq!(gist("needs root\n  help: sudo"), "needs root");
    }
}
