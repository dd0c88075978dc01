//! What runs in the guest: executables of this machine, with the libraries that they need.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::cpio::Tree;
use crate::{
    build,
    cross::Target,
    sh,
    test::{self, Extent},
    workspace,
};

/// What of the kernel tests an emulated guest runs: there a program takes its verifier ten seconds, so the tables stay
/// on this machine, and parity, which meets every reason, stands for them.
const MODULES: [&str; 3] = ["object::", "sessions::", "parity::"];

/// One program to run in the guest.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

impl Job {
    /// The NICs of the guest.
    fn wire() -> Self {
        Self {
            name: "wire".to_owned(),
            program: workspace::root().join("xtask/src/vm/wire.sh"),
            args: Vec::new(),
        }
    }
}

/// Everything that a guest is given to do.
pub(super) struct Payload {
    pub(super) jobs: Vec<Job>,
    /// Put on the guest's PATH for the jobs to call.
    pub(super) guardctl: Option<PathBuf>,
}

impl Payload {
    /// The kernel rungs, the same executables that `cargo xtask test` runs.
    pub(super) fn tests(arch: Target) -> Result<Self> {
        let guardctl = build::run_for(arch)?;
        let built = test::compile(arch.cargo(["test"])?, Extent::Quick)?;
        let program = built.executable(test::KERNEL.name)?;
        let mut args: Vec<String> = MODULES.map(str::to_owned).to_vec();
        // One emulated core: a second thread only gets in the way.
        args.push("--test-threads=1".to_owned());
        let mut jobs = vec![Job {
            name: test::KERNEL.name.to_owned(),
            program,
            args,
        }];
        if !arch.is_of_this_machine() {
            // On this machine's processor whole servers are tried.
            jobs.insert(0, Job::wire());
        }
        Ok(Self {
            jobs,
            guardctl: Some(guardctl),
        })
    }

    /// Any one executable.
    pub(super) fn program(program: &Path, args: &[String]) -> Result<Self> {
        let program = fs::canonicalize(program)
            .with_context(|| format!("no executable {}", program.display()))?;
        let name = program.file_name().unwrap_or_default();
        Ok(Self {
            jobs: vec![Job {
                name: name.to_string_lossy().into_owned(),
                program: program.clone(),
                args: args.to_vec(),
            }],
            guardctl: None,
        })
    }
}

/// Copies a program and every library that the loader would open for it.
pub(super) fn install(tree: &mut Tree, program: &Path, to: &str) -> Result<()> {
    let lean = stripped(program);
    tree.copy(lean.as_deref().unwrap_or(program), to)?;
    if let Some(lean) = lean {
        fs::remove_file(lean)?;
    }
    for library in libraries(program) {
        tree.copy(Path::new(&library), &library)?;
    }
    Ok(())
}

/// A copy without debug information, which is most of a Rust executable and slow to unpack in
/// the guest. `None` without binutils: then the original does.
fn stripped(program: &Path) -> Option<PathBuf> {
    let name = program.file_name()?.to_string_lossy().into_owned();
    let copy = std::env::temp_dir().join(format!("guard-vm-{}-{name}", std::process::id()));
    // Each knows the executables of its own processor.
    ["strip", "aarch64-linux-gnu-strip"]
        .into_iter()
        .find_map(|strip| {
            let mut strip = sh::command(strip, ["--strip-debug", "-o"]);
            strip.arg(&copy).arg(program);
            sh::output(&mut strip).ok()
        })?;
    Some(copy)
}

/// Empty for a static program, which ldd refuses.
fn libraries(program: &Path) -> BTreeSet<String> {
    let mut ldd = sh::command("ldd", []);
    ldd.arg(program);
    parse_ldd(&sh::output(&mut ldd).unwrap_or_default())
}

/// `name => /path (address)` and `/path (address)`.
fn parse_ldd(printed: &str) -> BTreeSet<String> {
    let path = |line: &str| {
        let before = line.rsplit_once(" (")?.0;
        let path = before
            .rsplit_once("=> ")
            .map_or(before, |(_, path)| path)
            .trim();
        path.starts_with('/').then(|| path.to_owned())
    };
    printed.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tests_have_the_modules_that_a_guest_runs() {
        let path = workspace::root().join(format!("tests/tests/{}.rs", test::KERNEL.name));
        let text = fs::read_to_string(path).expect("the program");
        for module in MODULES {
            let declaration = format!("mod {};", module.trim_end_matches(':'));
            assert!(text.lines().any(|line| line == declaration), "{module}");
        }
    }

    #[test]
    fn libraries_and_the_loader_are_found_and_the_vdso_is_not() {
        let printed = "\tlinux-vdso.so.1 (0x7ffe)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";

        let found: Vec<_> = parse_ldd(printed).into_iter().collect();
        assert_eq!(found, ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(parse_ldd("\tstatically linked\n").is_empty());
    }
}
