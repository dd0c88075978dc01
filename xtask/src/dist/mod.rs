//! `cargo xtask dist`: packages of guardctl in target/dist: .deb, .rpm, a tarball, their checksums, and what they
//! are made of. The same commit and program give the same bytes.

mod binary;
mod contents;
mod crates;
mod deb;
mod licences;
mod release;
mod rpm;
mod sbom;
mod tarball;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{build, cross::Target, packages, sh, workspace};
use tree::Tree;

pub(crate) use deb::{Compression, pack as pack_deb};
pub(crate) use release::Release;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Processors to pack for; repeat for several
    #[arg(long, value_enum, default_values_t = [Target::of_this_machine()])]
    target: Vec<Target>,
    /// Pack everything a second time, and fail unless all bytes are the same
    #[arg(long)]
    check: bool,
    /// Have lintian look at the .deb, and fail for an error
    #[arg(long)]
    lint: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    packages::ensure(packages::DIST, "packing")?;
    if args.lint {
        packages::ensure(&["lintian"], "checking the .deb")?;
    }
    let folder = workspace::target().join("dist");
    fresh(&folder)?;
    let mut files = Vec::new();
    for target in &args.target {
        let program = Program::build(*target)?;
        files.extend(program.pack(&folder)?);
        if args.check {
            let second = workspace::target().join("dist-second");
            fresh(&second)?;
            let again = program.pack(&second)?;
            compare(&files, &again)?;
            fs::remove_dir_all(&second)?;
        }
    }
    let sums = checksums(&folder, &files)?;
    if args.lint {
        for file in files.iter().filter(|file| deb::is_one(file)) {
            deb::lint(file)?;
        }
    }
    println!();
    for file in files.iter().chain([&sums]) {
        println!(
            "{}  {} kB",
            file.display(),
            fs::metadata(file)?.len().div_ceil(1000)
        );
    }
    Ok(())
}

/// guardctl for a processor, and one that runs here, which writes the manual and the completions.
pub(crate) struct Program {
    pub(crate) release: Release,
    target: Target,
    guardctl: PathBuf,
    native: PathBuf,
}

impl Program {
    fn build(target: Target) -> Result<Self> {
        let native = build::run()?;
        let guardctl = if target.is_of_this_machine() {
            native.clone()
        } else {
            build::run_for(target)?
        };
        Ok(Self {
            release: Release::of_this_commit()?,
            target,
            guardctl,
            native,
        })
    }

    /// One that has been built for this machine.
    pub(crate) fn of_this_machine(guardctl: &Path) -> Result<Self> {
        Ok(Self {
            release: Release::of_this_commit()?,
            target: Target::of_this_machine(),
            guardctl: guardctl.to_path_buf(),
            native: guardctl.to_path_buf(),
        })
    }

    /// The files of its packages, below a folder.
    pub(crate) fn lay(&self, folder: &Path) -> Result<Tree> {
        tree::lay(
            &self.release,
            self.target,
            &self.guardctl,
            &self.native,
            folder,
        )
    }

    /// Packs all that there is for its processor.
    fn pack(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let work = folder.join("work");
        fresh(&work)?;
        let tree = self.lay(&work.join("tree"))?;
        let files = vec![
            deb::pack(&self.release, &tree, Compression::Small, folder)?,
            rpm::pack(&self.release, &tree, &work, folder)?,
            tarball::pack(&self.release, &tree, folder)?,
            sbom::write(&self.release, self.target, folder)?,
        ];
        fs::remove_dir_all(&work)?;
        Ok(files)
    }
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

/// Fails where packing twice gives two things.
fn compare(files: &[PathBuf], again: &[PathBuf]) -> Result<()> {
    for second in again {
        let first = files
            .iter()
            .find(|file| file.file_name() == second.file_name())
            .with_context(|| format!("{} was packed once", second.display()))?;
        if fs::read(first)? != fs::read(second)? {
            bail!(
                "{} and {} differ: packing is not reproducible\n  help: diffoscope shows where",
                first.display(),
                second.display()
            );
        }
    }
    println!("packed twice: {} files, every byte the same", again.len());
    Ok(())
}

fn checksums(folder: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    let mut names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    names.sort_unstable();
    let mut sum = sh::command("sha256sum", names);
    let sums = sh::output(sum.current_dir(folder))?;
    let path = folder.join("SHA256SUMS");
    fs::write(&path, sums).with_context(|| path.display().to_string())?;
    Ok(path)
}
